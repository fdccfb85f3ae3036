//! Flags, environment and what is said about them.

use std::process::{Command, Output};

use crate::support::{API, WEBHOOK, WORKER};

#[expect(
    clippy::disallowed_methods,
    reason = "the test looks at a program's exit code and text"
)]
fn run(program: &str, args: &[&str], env: &[(&str, &str)]) -> Output {
    Command::new(program)
        .args(args)
        .envs(env.iter().copied())
        .output()
        .expect("starts")
}

#[test]
fn every_problem_is_told_at_once() {
    let args = [
        "--listen=nonsense",
        "--durability=two",
        "--redis-key-file=/nowhere",
        "--max-depth=1",
    ];
    let out = run(
        API,
        &args,
        &[
            ("KEDACTL_REDIS_ADDR", "a:1"),
            ("KEDACTL_REDIS_SENTINELS", "b:1,c"),
        ],
    );
    let text = String::from_utf8(out.stderr).unwrap();
    assert_eq!(out.status.code(), Some(65), "{text}");
    for part in [
        "--listen",
        "KEDACTL_LISTEN",
        "--durability",
        "--redis-addr",
        "--redis-sentinels",
        "--redis-key-file",
        "--max-depth",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(out.stdout.is_empty());
}

#[test]
fn every_problem_of_the_webhook_is_told_at_once() {
    let args = [
        "--routes-file=/nowhere/routes",
        "--bot-token-file=/nowhere/bot",
        "--tokens-file=/nowhere/tokens",
        "--bot-api=ftp://api.telegram.org",
        "--bot-api-ca-file=/nowhere/ca",
        "--alertmanager=alertmanager:9093",
        "--alertmanager-timeout-ms=0",
        "--senders=0",
        "--known-seconds=1",
    ];
    let out = run(WEBHOOK, &args, &[]);
    let text = String::from_utf8(out.stderr).unwrap();
    assert_eq!(out.status.code(), Some(65), "{text}");
    for arg in args {
        let flag = arg.split('=').next().unwrap();
        assert!(text.contains(&format!("`{flag}`")), "{flag} in {text}");
    }
    assert!(text.contains("such as http://alertmanager:9093"), "{text}");
}

#[test]
fn unknown_flags_are_usage_errors_and_help_lists_all() {
    for program in [API, WORKER, WEBHOOK] {
        assert_eq!(run(program, &["--nonsense"], &[]).status.code(), Some(64));
        let help = run(program, &["--help"], &[]);
        assert_eq!(help.status.code(), Some(0));
        let text = String::from_utf8(help.stdout).unwrap();
        for part in [
            "KEDACTL_REDIS_SENTINELS",
            "KEDACTL_GRACE_SECONDS",
            "KEDACTL_METRICS_LISTEN",
            "KEDACTL_LOG",
        ] {
            assert!(text.contains(part), "{program}: {part}");
        }
    }
}
