//! Pods of a real cluster through its API server: `KEDACTL_TEST_KUBECONFIG` names it, `tests/cluster/lab exec` sets it.
//! Must not run where there is none, and leaves no namespace behind.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "what fails here fails the test; figures and a namespace that is left are told"
)]

mod figures;
mod forward;
mod lab;
mod redis;
