//! The whole platform on a real Kubernetes: what `kedactl up` promises, with the real KEDA and HPA.
//!
//! It must not pass where there is no cluster: `tests/cluster/lab exec -- …` gives the environment. Every stack has a name,
//! namespaces and a state folder of its own, and ends with its test.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(
    clippy::print_stdout,
    reason = "what was tried and how long it took, for who reads the log"
)]

mod bundle;
#[path = "../cluster.rs"]
mod cluster;
mod faults;
mod huey;
mod interrupts;
mod kind;
mod life;
mod load;
mod monitoring;
mod refusals;
mod rig;
mod secrets;
mod turn;
