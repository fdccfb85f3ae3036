//! Helm and our own chart on a real cluster. Run by hand, with:
//! `KEDACTL_TEST_KUBECONFIG`, `KEDACTL_TEST_HELM` (programs, separated by colons), `KEDACTL_TEST_REDIS_IMAGE` (on the nodes), `KEDACTL_TEST_CLUSTER` (its name in kind).
#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "what fails here fails the test, and a namespace that is left is told"
)]

mod helm;
mod kind;
mod lab;
mod redis;
