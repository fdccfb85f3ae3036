//! The services: the API that takes tasks, the worker that runs them, which is also the SDK for handlers, and the webhook that
//! shows alerts.
//!
//! Law: no name or type of a Redis key is known here (that is `kedactl_queue`'s); nothing answers before it is true; nothing a
//! client or a handler does stops probes, leases or signals.

pub mod api;
pub mod catalogue;
mod events;
mod health;
mod metrics;
mod serve;
pub mod settings;
pub mod shutdown;
mod startup;
mod telemetry;
mod trace;
pub mod webhook;
pub mod worker;
