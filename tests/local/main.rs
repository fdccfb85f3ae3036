//! The whole platform as a user has it: `up`, tasks, `load`, `status`, `queue`, `logs`, faults, `down`.
//!
//! It must not test what a crate tests by itself; every stack is in folders of its own and is taken down on drop.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod alerts;
mod ci;
mod foreign;
mod life;
mod queue;
mod scaling;
mod task;
mod workflows;

use kedactl_tests::Context;
use serde_json::Value;
use std::path::Path;
use std::time::{Duration, Instant};

fn context() -> Context {
    Context::new(env!("CARGO_BIN_EXE_kedactl-under-test")).with_services(
        Path::new(env!("CARGO_BIN_EXE_api-under-test")),
        Path::new(env!("CARGO_BIN_EXE_worker-under-test")),
    )
}

/// A context whose stack is up.
fn running() -> Context {
    let context = context();
    context.up(&[]).check(0);
    context
}

fn status(context: &Context) -> Value {
    context.run(&["status", "-o", "json"]).expect(0).json()
}

/// Process ids of a role, in the order of the status.
fn pids(context: &Context, role: &str) -> Vec<i64> {
    let status = status(context);
    let of_role = status["processes"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|p| p["role"] == role);
    of_role.filter_map(|p| p["pid"].as_i64()).collect()
}

#[expect(
    clippy::disallowed_methods,
    reason = "polls a condition of real processes until a deadline"
)]
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(45);
    while !holds() {
        assert!(Instant::now() < deadline, "{what} did not happen in time");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn kill(pid: i64, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, signal).unwrap();
}
