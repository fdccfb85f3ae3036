//! The repository as it stands: its generated documents are those of the code, and no size got worse.
//!
//! It must not mend anything: what differs is named, and the task that mends it is a developer's to run.

/// Runs a task that only looks, with what it said in the failure.
#[expect(
    clippy::disallowed_methods,
    reason = "the program under test is a developer's, and starts as one starts it"
)]
fn holds(task: &[&str]) {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_xtask"));
    let ended = command.args(task).output().expect("xtask starts");
    assert!(
        ended.status.success(),
        "cargo xtask {}\n{}{}",
        task.join(" "),
        String::from_utf8_lossy(&ended.stdout),
        String::from_utf8_lossy(&ended.stderr)
    );
}

#[test]
fn generated_documents_are_those_of_the_code() {
    holds(&["gen", "--check"]);
}

#[test]
fn no_size_got_worse() {
    holds(&["ratchet"]);
}
