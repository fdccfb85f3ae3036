//! The worker, and the SDK with which a user writes handlers of their own.
//!
//! It must not let a handler near the threads on which leases are renewed, probes answered and signals heard.
//!
//! ```no_run
//! use kedactl_services::worker::{self, Context, Failure};
//!
//! #[derive(serde::Deserialize)]
//! struct Greet { name: String }
//!
//! async fn greet(greet: Greet, task: Context) -> Result<String, Failure> {
//!     task.progress(&"half way");
//!     Ok(format!("hello, {}", greet.name))
//! }
//!
//! fn main() -> std::process::ExitCode {
//!     worker::main(|worker| worker.handle("greet", greet))
//! }
//! ```

mod builder;
mod builtin;
mod context;
mod handler;
mod ledger;
mod metrics;
mod pages;
mod process;
mod run;
mod slots;
mod trace;

pub use builder::{Worker, WorkerBuilder, WorkerError};
pub use context::Context;
pub use handler::Failure;
pub use metrics::WorkerMetrics;
pub use process::{main, main_with};
pub use run::Ended;
