//! Tests of the services as a client and an operator see them: real processes, real Redis.
//!
//! They must not share a server or a port.

mod api;
mod errors;
mod settings;
mod skew;
mod stop;
mod support;
mod task_log;
mod traces;
mod worker;
