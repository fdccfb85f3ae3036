//! Tests on a real Kubernetes, and of the test cluster itself.
//!
//! It must not pass where there is no cluster: `tests/cluster/lab exec -- …` gives the environment, else every test fails
//! and says so. Each test works in namespaces of its own, which end with it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(
    clippy::print_stdout,
    reason = "figures of a run belong beside its result"
)]

mod acceptance;
mod cluster;
mod lab;
mod namespace;
mod scaling;
mod shadow;
