//! `kedactl-worker`: the worker with the built-in handlers.
//!
//! It must not hold logic; a user's own worker is the same five lines with `handle` calls.

use std::process::ExitCode;

use kedactl_services::worker::{self, WorkerBuilder};

fn main() -> ExitCode {
    worker::main(WorkerBuilder::builtin)
}
