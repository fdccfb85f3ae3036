//! Processes: run to the end, started for good, watched, signalled, found.
//!
//! Law: the only library crate that spawns processes. It knows no program by name and reads no configuration;
//! what it starts survives it, and a pid is never signalled before its start time was compared.

mod error;
mod find;
mod identity;
mod job;
mod left;
pub mod procfs;
mod run;
mod spawn;

pub use error::ExecError;
pub use find::{find, find_first};
pub use identity::{ProcId, host_name, signal_named};
pub use job::{Ended, Job};
pub use left::end_left_behind;
pub use run::{Output, Run, describe, last_words};
pub use rustix::process::Signal;
pub use spawn::{Exit, Spawn, Watched, gone, inherited};
pub use tokio_util::sync::CancellationToken;
