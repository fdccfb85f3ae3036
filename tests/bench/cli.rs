//! How long a user waits: `--help`, `status`, a second `up`, beside `true` as the floor of starting a process.
//!
//! It must not count the first run of a program: that one reads it from the disk.

use crate::report::{Goal, Report};
use kedactl_tests::Context;
use std::process::{Command, Stdio};
use tokio::time::Instant;

pub(crate) fn run(report: &mut Report) -> anyhow::Result<()> {
    let bin = std::env::current_exe()?;
    let beside = |name: &str| bin.with_file_name(name);
    let context = Context::new(beside("kedactl"))
        .with_services(&beside("kedactl-api"), &beside("kedactl-worker"));
    let floor = median(20, start_true);
    let help = median(20, || context.run(&["--help"]).check(0));
    report.figure(
        "cli.help",
        help,
        "ms",
        Some(("true", floor)),
        Goal::AtMost(20.0),
    );
    context.up(&[]).check(0);
    let status = median(10, || context.run(&["status"]).check(0));
    report.figure(
        "cli.status",
        status,
        "ms",
        Some(("true", floor)),
        Goal::AtMost(200.0),
    );
    let second = median(5, || context.up(&[]).check(0));
    report.figure(
        "cli.second_up",
        second,
        "ms",
        Some(("true", floor)),
        Goal::AtMost(1000.0),
    );
    Ok(())
}

#[expect(
    clippy::disallowed_methods,
    reason = "the floor is the start of a process"
)]
fn start_true() {
    // Where `true` is missing the floor is the cost of finding that out.
    drop(Command::new("true").stdout(Stdio::null()).status());
}

/// Median of `times` runs in milliseconds, after one that is not counted.
fn median(times: usize, mut work: impl FnMut()) -> f64 {
    work();
    let mut took: Vec<f64> = (0..times)
        .map(|_| {
            let start = Instant::now();
            work();
            start.elapsed().as_secs_f64() * 1000.0
        })
        .collect();
    took.sort_by(f64::total_cmp);
    took[times / 2]
}
