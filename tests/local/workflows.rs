//! The workflows of docs/ci, run as their services would run them, with the provider `local` in the place of `kind`.
//!
//! It must not install anything: steps that do are the runner's own.

use crate::context;
use kedactl_exec::Run;
use kedactl_tests::Context;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Steps that prepare a runner.
const OF_THE_RUNNER: [&str; 2] = ["cargo install", "sysctl"];

fn docs(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../docs/ci")
        .join(name)
}

fn read(name: &str) -> String {
    fs::read_to_string(docs(name)).unwrap()
}

fn yaml(name: &str) -> Value {
    let text = read(name);
    let mut all = kedactl_config::documents(&text).unwrap();
    assert_eq!(all.len(), 1);
    all.remove(0)
}

/// A project in which `kedactl up` works by itself, and `kedactl` on the search path.
fn project() -> Context {
    let context = context();
    context.write_project();
    let bin = context.dir().join("bin");
    fs::create_dir(&bin).unwrap();
    std::os::unix::fs::symlink(
        env!("CARGO_BIN_EXE_kedactl-under-test"),
        bin.join("kedactl"),
    )
    .unwrap();
    context
}

/// Runs a script as a runner does. Loads are short: what they find is no matter here.
fn runs(context: &Context, script: &str, env: &[(&str, &str)]) -> String {
    let dir = context.dir();
    let path = format!("export PATH={}:$PATH\n", dir.join("bin").display());
    let script = path + &script.replace("--duration 20s", "--duration 2s");
    let mut run = Run::new("bash")
        .args(["-eo", "pipefail", "-c", &script])
        .cwd(dir.join("project"))
        .env("HOME", dir.join("home"))
        .env("KEDACTL_STATE_DIR", dir.join("state"))
        .env("CI", "true")
        .within(Duration::from_mins(3));
    for (name, value) in env {
        run = run.env(*name, *value);
    }
    let done = run.run().unwrap_or_else(|error| panic!("{error}"));
    done.stdout
}

fn reports(context: &Context, stack: &str) {
    let artifacts = context.dir().join("project/kedactl-artifacts");
    let run = fs::read_to_string(artifacts.join("run.json")).unwrap();
    let run: Value = serde_json::from_str(&run).unwrap();
    assert_eq!(
        (&run["passed"], &run["stack"]),
        (&Value::from(true), &Value::from(stack))
    );
    let junit = fs::read_to_string(artifacts.join("junit.xml")).unwrap();
    for suite in ["up", "load", "command", "down"] {
        assert!(
            junit.contains(&format!("<testsuite name=\"{suite}\"")),
            "{junit}"
        );
    }
    let left = fs::read_dir(context.dir().join("state/local")).map_or(0, Iterator::count);
    assert_eq!(left, 0, "a stack is left");
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

#[test]
fn the_workflow_for_github_runs() {
    let workflow = yaml("github.yml");
    let context = project();
    let stack = text(&workflow["env"]["STACK"]).replace("${{ github.run_id }}", "7");
    assert_eq!(text(&workflow["env"]["PROVIDER"]), "kind");
    let env = [
        ("PROVIDER", "local"),
        ("STACK", &stack),
        ("GITHUB_ACTIONS", "true"),
    ];
    let steps = workflow["jobs"]["platform"]["steps"].as_array().unwrap();
    let mut ran = 0;
    for step in steps.iter().filter_map(|it| it["run"].as_str()) {
        if !OF_THE_RUNNER.iter().any(|words| step.contains(words)) {
            runs(&context, step, &env);
            ran += 1;
        }
    }
    assert_eq!(ran, 2);
    reports(&context, &stack);
    // What is uploaded is what the run leaves, also where it failed.
    let upload = steps
        .iter()
        .find(|it| it["with"]["path"].is_string())
        .unwrap();
    assert_eq!(text(&upload["with"]["path"]), "kedactl-artifacts");
    assert_eq!(text(&upload["if"]), "always()");
}

#[test]
fn the_job_for_gitlab_runs() {
    let job = yaml("gitlab.yml")["platform"].clone();
    let context = project();
    let stack = text(&job["variables"]["STACK"]).replace("$CI_JOB_ID", "8");
    let env = [
        ("PROVIDER", "local"),
        ("STACK", &stack),
        ("GITLAB_CI", "true"),
    ];
    let lines = ["script", "after_script"]
        .iter()
        .flat_map(|it| job[it].as_array().unwrap());
    for line in lines {
        runs(&context, text(line), &env);
    }
    reports(&context, &stack);
    let junit = text(&job["artifacts"]["reports"]["junit"]);
    assert!(context.dir().join("project").join(junit).is_file());
}

#[test]
fn the_plain_script_runs_twice() {
    let context = project();
    let script = docs("plain.sh").display().to_string();
    let env = [("PROVIDER", "local"), ("DURATION", "2s"), ("RPS", "20")];
    for _ in 0..2 {
        let said = runs(&context, &script, &env);
        assert!(said.contains("40 acknowledged, 40 done, 0 lost"), "{said}");
        reports(&context, "ci");
    }
}
