//! The HTTP API: tasks in, states out.
//!
//! It must not hold the meaning of a task; that is the queue's. What is here is the shape, the limits and the answers.

pub(crate) mod auth;
pub(crate) mod body;
mod fields;
mod metrics;
mod openapi;
mod pages;
mod params;
pub(crate) mod parse;
mod problem;
mod process;
mod queues;
mod redis_watch;
mod router;
mod schedule;
mod state;
mod submit;
mod tasks;
pub(crate) mod trace;
mod views;
mod wire;

pub use metrics::{ApiMetrics, RefusedLabel};
pub use openapi::document as openapi_document;
pub use problem::{FieldError, Problem};
pub(crate) use process::routed;
pub use process::{main, run};
pub use router::{admin, app};
pub use state::ApiState;
