//! The parts that an API server decides, against a real one: `KEDACTL_TEST_KUBECONFIG` names it.
//! Must not run where there is none, and leaves no namespace behind.

mod apply;
mod down;
mod lab;
mod lock;
mod look;
mod ready;
mod rights;
