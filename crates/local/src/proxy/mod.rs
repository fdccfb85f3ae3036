//! The service proxy: one process that listens on the Services' ports and forwards connections to ready pods.
//! Must not look into a connection, and must go on serving when the supervisor is dead.

pub(crate) mod balance;
pub(crate) mod endpoints;
mod serve;
mod watchdog;

pub(crate) use serve::main;
