//! The event stream of `up` as its readers show it, on a run that is refused before anything starts.
//!
//! It must not start a stack.

use crate::context;
use kedactl_tests::Context;

/// `up` that fails at once: a program is missing.
fn refused(context: &Context, more: &[&str]) -> kedactl_tests::Outcome {
    let set = [
        "up",
        "--provider",
        "local",
        "--set",
        "local.programs.redisServer=/nonexistent/redis-server",
    ];
    context.run(&[&set[..], more].concat())
}

/// The stream with its times filtered.
fn stream(text: &str) -> String {
    let line = |line: &str| match serde_json::from_str::<serde_json::Value>(line) {
        Ok(mut event) => {
            assert!(event["at"].take().is_u64(), "{line}");
            format!("{event}\n")
        }
        Err(_) => format!("{line}\n"),
    };
    text.lines().map(line).collect()
}

#[test]
fn plain_lines() {
    let context = context();
    insta::assert_snapshot!(refused(&context, &[]).block(context.dir()), @"
    exit: 1
    --- stdout ---
    --- stderr ---
    stack kedactl on provider local
      !! programs, manifests and ports: redis needs the program /nonexistent/redis-server, which was not found
    error[KD0202]: redis needs the program /nonexistent/redis-server, which was not found
    hint: install it: `apt-get install redis-server` (or valkey), or set local.programs.redisServer
    ");
}

#[test]
fn events_on_stderr_take_the_place_of_progress() {
    let context = context();
    let outcome = refused(&context, &["--events", "jsonl"]);
    assert!(outcome.stdout.is_empty(), "{outcome:?}");
    insta::assert_snapshot!(stream(&outcome.stderr), @r#"
        {"at":null,"event":"started","step":"preflight","title":"programs, manifests and ports"}
        {"at":null,"error":"redis needs the program /nonexistent/redis-server, which was not found","event":"failed","hint":"install it: `apt-get install redis-server` (or valkey), or set local.programs.redisServer","step":"preflight"}
        error[KD0202]: redis needs the program /nonexistent/redis-server, which was not found
        hint: install it: `apt-get install redis-server` (or valkey), or set local.programs.redisServer
    "#);
}

#[test]
fn events_in_a_file_stand_beside_progress() {
    let context = context();
    let plain = refused(&context, &[]);
    let outcome = refused(&context, &["--events", "jsonl=events.jsonl"]);
    assert_eq!(outcome.stderr, plain.stderr);
    let file = std::fs::read_to_string(context.dir().join("project/events.jsonl")).unwrap();
    insta::assert_snapshot!(stream(&file), @r#"
        {"at":null,"event":"started","step":"preflight","title":"programs, manifests and ports"}
        {"at":null,"error":"redis needs the program /nonexistent/redis-server, which was not found","event":"failed","hint":"install it: `apt-get install redis-server` (or valkey), or set local.programs.redisServer","step":"preflight"}
    "#);
}

#[test]
fn a_file_that_cannot_be_written_is_an_error_before_anything_is_done() {
    let context = context();
    let outcome = refused(&context, &["--events", "jsonl=nowhere/events.jsonl"]);
    insta::assert_snapshot!(outcome.block(context.dir()), @r#"
        exit: 1
        --- stdout ---
        --- stderr ---
        error[KD0001]: nowhere/events.jsonl could not be written
          caused by: No such file or directory (os error 2)
        hint: check that the named path exists and that you may read and write it
    "#);
    context.run(&["up", "--events", "xml"]).check(64);
}

#[test]
fn github_actions_get_groups_and_annotations() {
    let context = context().with_env("GITHUB_ACTIONS", "true");
    insta::assert_snapshot!(refused(&context, &[]).block(context.dir()), @"
    exit: 1
    --- stdout ---
    --- stderr ---
    stack kedactl on provider local
    ::error title=programs%2C manifests and ports::redis needs the program /nonexistent/redis-server, which was not found%0Ahint: install it: `apt-get install redis-server` (or valkey), or set local.programs.redisServer
    error[KD0202]: redis needs the program /nonexistent/redis-server, which was not found
    hint: install it: `apt-get install redis-server` (or valkey), or set local.programs.redisServer
    ");
}
