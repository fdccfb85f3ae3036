//! One pod: one process made from a Deployment's container, with its probes, restarts and grace period.
//! Must not decide how many pods there are.

pub(crate) mod hooks;
pub(crate) mod materialize;
pub(crate) mod probe;
pub(crate) mod runner;
pub(crate) mod template;
pub(crate) mod victims;
