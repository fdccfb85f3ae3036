//! The `main` of a worker process: settings, logging, the control runtime, the exit code.
//!
//! It must not know a handler.

use std::ffi::OsString;
use std::process::ExitCode;

use super::builder::{Worker, WorkerBuilder};
use super::run::Ended;
use crate::settings::WorkerArgs;
use crate::startup;

/// Runs a worker process with the handlers that `register` adds, and returns its exit code: 0 after a stop that was
/// asked for, 1 when it could not go on, 64 and 65 for bad flags and settings.
///
/// Signals, probes, leases and Redis live on a runtime of one thread that no handler can reach.
pub fn main(register: impl FnOnce(WorkerBuilder) -> WorkerBuilder) -> ExitCode {
    main_with(std::env::args_os(), register)
}

/// As [`main`], with arguments of the caller's; the first one is the program's name.
pub fn main_with(
    args: impl IntoIterator<Item = OsString>,
    register: impl FnOnce(WorkerBuilder) -> WorkerBuilder,
) -> ExitCode {
    startup::main(
        args,
        WorkerArgs::resolve,
        |args| &args.log,
        |_| 1,
        async |settings, shutdown| {
            let worker = register(Worker::builder(settings)).build();
            match worker.run(shutdown).await.map_err(|e| startup::chain(&e))? {
                Ended::Drained => Ok(()),
                Ended::Stuck => Err("a handler blocks its thread past its time limit".to_owned()),
            }
        },
    )
}
