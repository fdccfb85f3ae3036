//! `kedactl ci`: from nothing to nothing, with a report, whatever happens in between.
//!
//! It must not test what `up`, `load` and `down` do by themselves.

use crate::{context, kill, running, status, until};
use kedactl_tests::{Context, Outcome};
use rustix::process::Signal;
use serde_json::Value;
use std::path::PathBuf;

/// A few tasks, and the way back to zero.
const LOAD: [&str; 6] = ["--rps", "20", "--duration", "2s", "--slo", "lost=0,p99<60s"];

fn artifact(context: &Context, name: &str) -> PathBuf {
    context.dir().join("project/kedactl-artifacts").join(name)
}

fn read(context: &Context, name: &str) -> String {
    let path = artifact(context, name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn run_json(context: &Context) -> Value {
    serde_json::from_str(&read(context, "run.json")).unwrap()
}

/// Phases and how each ended: `up passed`.
fn phases(run: &Value) -> Vec<String> {
    let text = |it: &Value, key: &str| it[key].as_str().unwrap().to_owned();
    let all = run["phases"].as_array().unwrap().iter();
    all.map(|it| format!("{} {}", text(it, "phase"), text(it, "end")))
        .collect()
}

/// No stack is left, nor a process of one.
fn nothing_is_left(context: &Context) {
    let stacks = std::fs::read_dir(context.dir().join("state/local")).map_or(0, Iterator::count);
    assert_eq!(stacks, 0, "a stack is left");
    let refused = context.run(&["status"]).expect(1);
    assert!(refused.stderr.contains("no stack runs"), "{refused:?}");
}

#[test]
fn a_run_goes_from_nothing_to_nothing_and_reports_every_part() {
    let summary = tempfile::NamedTempFile::new().unwrap();
    let context = context()
        .with_env("GITHUB_ACTIONS", "true")
        .with_env("GITHUB_STEP_SUMMARY", &summary.path().display().to_string());
    let command = r#"test "$KEDACTL_STACK" = kedactl && touch "$KEDACTL_ARTIFACTS/mine" && curl -fsS "$KEDACTL_API_URL/readyz" && echo out && echo err >&2"#;
    let args = [&LOAD[..], &["--", "sh", "-c", command]].concat();
    let done = context.ci(&args).expect(0);
    assert!(
        done.stdout.contains("40 acknowledged, 40 done, 0 lost"),
        "{done:?}"
    );
    let run = run_json(&context);
    assert_eq!(
        phases(&run),
        ["up passed", "load passed", "command passed", "down passed"]
    );
    assert_eq!(run["passed"], true);
    nothing_is_left(&context);

    assert!(artifact(&context, "mine").exists());
    let log = read(&context, "command.log");
    assert!(log.contains("out\n") && log.contains("err\n"), "{log}");
    let junit = read(&context, "junit.xml");
    for part in [
        "<testsuite name=\"up\"",
        "name=\"lost=0\"",
        "classname=\"kedactl.down\"",
        "failures=\"0\"",
    ] {
        assert!(junit.contains(part), "{part} in {junit}");
    }
    let load: Value = serde_json::from_str(&read(&context, "load.json")).unwrap();
    assert_eq!(load["audit"]["lost"], 0);
    let events = read(&context, "events.jsonl");
    let steps = events
        .lines()
        .map(|it| serde_json::from_str::<Value>(it).unwrap());
    assert!(
        steps.filter(|it| it["event"] == "done").count() >= 4,
        "{events}"
    );
    let timeline = read(&context, "timeline.txt");
    assert!(timeline.contains(" scaling  worker 0 → "), "{timeline}");
    let page = std::fs::read_to_string(summary.path()).unwrap();
    assert!(page.contains("| up | passed |"), "{page}");
}

#[test]
fn a_command_that_fails_leaves_what_its_failure_needs_and_no_stack() {
    let context = context().with_env("GITLAB_CI", "true");
    let failed = context
        .ci(&[
            "--junit",
            "report.xml",
            "-o",
            "json",
            "--",
            "sh",
            "-c",
            "exit 3",
        ])
        .expect(1);
    assert!(failed.stderr.contains("KD1404"), "{failed:?}");
    assert!(failed.stderr.contains("section_start:"), "{failed:?}");
    let run = failed.json();
    assert_eq!(
        phases(&run),
        [
            "up passed",
            "command failed",
            "artifacts passed",
            "down passed"
        ]
    );
    nothing_is_left(&context);
    for name in [
        "status.json",
        "state.json",
        "journal.jsonl",
        "timeline.txt",
        "summary.md",
    ] {
        assert!(!read(&context, name).is_empty(), "{name}");
    }
    let logs = std::fs::read_dir(artifact(&context, "logs")).unwrap();
    let api = logs.filter(|it| {
        it.as_ref()
            .unwrap()
            .file_name()
            .to_string_lossy()
            .starts_with("api-")
    });
    assert!(api.count() > 0, "the API's log is kept");
    let junit = std::fs::read_to_string(context.dir().join("project/report.xml")).unwrap();
    assert!(
        junit.contains("<failure message=\"sh -c exit 3 failed: exit code 3\""),
        "{junit}"
    );
}

#[test]
fn an_objective_that_is_missed_skips_the_command_and_fails_its_own_case() {
    let context = context();
    let load = ["--rps", "20", "--duration", "1s", "--slo", "lost>5"];
    let failed = context
        .ci(&[&load[..], &["--", "touch", "never"]].concat())
        .expect(4);
    assert!(failed.stderr.contains("lost>5"), "{failed:?}");
    let run = run_json(&context);
    let wanted = [
        "up passed",
        "load failed",
        "command skipped",
        "artifacts passed",
        "down passed",
    ];
    assert_eq!(phases(&run), wanted);
    assert!(!context.dir().join("project/never").exists());
    let junit = read(&context, "junit.xml");
    assert!(junit.contains("lost&gt;5 missed"), "{junit}");
    assert!(
        junit.contains("<skipped message=\"load failed\""),
        "{junit}"
    );
    nothing_is_left(&context);
}

#[test]
fn a_signal_at_any_moment_takes_the_stack_down() {
    for (moment, signal, code) in [
        ("up begins", Signal::TERM, 143),
        ("the command runs", Signal::INT, 130),
        ("the command runs", Signal::TERM, 143),
    ] {
        let context = context();
        let here = artifact(&context, "here");
        let run = context.spawn_ci(&[
            "--",
            "sh",
            "-c",
            "touch \"$KEDACTL_ARTIFACTS/here\"; exec sleep 600",
        ]);
        let pid = i64::from(run.id());
        until(moment, || match moment {
            "up begins" => context.dir().join("state/local/kedactl").exists(),
            _ => here.exists(),
        });
        kill(pid, signal);
        let ended = Outcome::of(run);
        ended.check(code);
        assert!(ended.stdout.contains("down"), "{ended:?}");
        nothing_is_left(&context);
        assert!(read(&context, "junit.xml").contains("<failure"), "{moment}");
    }
}

#[test]
fn the_time_of_the_run_ends_what_runs_and_the_stack_goes() {
    let context = context();
    let late = context
        .ci(&["--timeout", "12s", "--", "sleep", "600"])
        .expect(3);
    assert!(late.stderr.contains("KD1403"), "{late:?}");
    assert!(late.stderr.contains("was over in `command`"), "{late:?}");
    let wanted = [
        "up passed",
        "command failed",
        "artifacts passed",
        "down passed",
    ];
    assert_eq!(phases(&run_json(&context)), wanted);
    nothing_is_left(&context);
}

#[test]
fn a_stack_that_is_there_is_refused_and_untouched() {
    let context = running();
    let before = status(&context)["processes"].clone();
    let refused = context.ci(&["--", "true"]).expect(1);
    assert!(refused.stderr.contains("KD1402"), "{refused:?}");
    let pids = |all: &Value| -> Vec<Value> {
        all.as_array()
            .unwrap()
            .iter()
            .map(|it| it["pid"].clone())
            .collect()
    };
    assert_eq!(pids(&status(&context)["processes"]), pids(&before));
    assert!(
        !artifact(&context, "run.json").exists(),
        "nothing was written"
    );
}

#[test]
fn a_stack_is_left_up_where_that_was_asked_for() {
    let context = context();
    let kept = context.ci(&["--keep", "--", "true"]).expect(0);
    assert!(
        kept.stdout.contains("--keep leaves the stack up"),
        "{kept:?}"
    );
    assert_eq!(status(&context)["stack"], "kedactl");
}

#[test]
fn what_cannot_be_meant_is_refused_before_anything_runs() {
    let context = context();
    context.write("kedactl-artifacts/thesis.txt", "mine");
    for (args, words) in [
        (&["--rps", "0"][..], "asks for no request"),
        (&["--rps", "5", "--payload", "{"], "--payload is not JSON"),
        (&["--rps", "5", "--slo", "p99<"], "not a time with its unit"),
        (&[], "has files that no run of CI left there"),
    ] {
        let refused = context.ci(args).expect(64);
        assert!(refused.stderr.contains(words), "{refused:?}");
    }
    assert!(
        context
            .dir()
            .join("project/kedactl-artifacts/thesis.txt")
            .exists()
    );
    nothing_is_left(&context);
}
