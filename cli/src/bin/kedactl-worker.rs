//! `kedactl-worker`: the worker with the built-in handlers. It belongs to this package so that one installation brings all that
//! a stack needs.
//!
//! It must not hold logic; a user's own worker is the same five lines with `handle` calls.

use kedactl_services::worker::{self, WorkerBuilder};

fn main() -> std::process::ExitCode {
    worker::main(WorkerBuilder::builtin)
}
