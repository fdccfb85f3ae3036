//! The whole provider on real processes: Redis, Sentinels, pods that are this very test program, the proxy, the supervisor.
//! Must leave no process behind, also where a test fails.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "fixtures fail by panicking, and a pod writes to its log"
)]

mod fixture;
mod life;
mod pod;
mod redis;
mod scaling;

/// The hidden helpers of the stacks under test; started by them, never by the test runner.
#[test]
#[ignore = "started by the stacks under test"]
fn helper_entry() {
    let args: Vec<String> = std::env::args().collect();
    let [.., role, dir] = args.as_slice() else {
        panic!("no role and directory");
    };
    kedactl_local::helper_main(role, std::path::Path::new(dir)).unwrap();
}

/// The pods of the stacks under test.
#[test]
#[ignore = "started by the stacks under test"]
fn pod_entry() {
    pod::serve();
}
