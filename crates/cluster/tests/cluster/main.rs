//! The parts that an API server decides, against a real one: `KEDACTL_TEST_KUBECONFIG` names it.
//! Must not run where there is none, and leaves no namespace behind.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod apply;
mod down;
mod lab;
mod lock;
mod look;
mod ready;
mod rights;
