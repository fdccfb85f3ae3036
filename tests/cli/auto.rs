//! Provider `auto`: each way that the choice can go, told before anything is done, with programs that are there or not.
//!
//! It must not bring a stack up: every run ends at the first thing that its provider lacks.
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests fail the test they help"
)]

use crate::context;
use kedactl_testkit::FakeMinikube;
use kedactl_tests::Context;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Duration;
use tokio::time::Instant;

/// A machine: its search path has these programs and no others.
struct Machine {
    context: Context,
    bin: PathBuf,
}

impl Machine {
    fn new() -> Self {
        let bare = context();
        let bin = bare.dir().join("bin");
        std::fs::create_dir(&bin).unwrap();
        for name in [
            "sh", "basename", "cat", "env", "flock", "grep", "mkdir", "rm", "sed", "sleep", "tr",
        ] {
            let real = kedactl_exec::find(name).unwrap();
            std::os::unix::fs::symlink(real, bin.join(name)).unwrap();
        }
        let path = bin.display().to_string();
        Self {
            context: bare.with_env("PATH", &path),
            bin,
        }
    }

    fn with(self, name: &str, script: &str) -> Self {
        let path = self.bin.join(name);
        let calls = self.context.dir().join("calls");
        let text = format!(
            "#!/bin/sh\necho \"{name} $*\" >>'{}'\n{script}\n",
            calls.display()
        );
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        self
    }

    /// An engine that answers and has no containers, and helm. A line of `ps` would be a node that stands still, which is started
    /// and waited for.
    fn able(self) -> Self {
        self.with("docker", "[ \"$1\" = ps ] || echo 27.1.1")
            .with("helm", "exit 1")
    }

    fn with_kind(self, clusters: &str) -> Self {
        let script = format!(
            "case \"$1 $2\" in 'get clusters') echo '{clusters}' ;; *) echo 'ERROR: not today' >&2; exit 1 ;; esac"
        );
        self.with("kind", &script)
    }

    fn with_minikube(self) -> (Self, FakeMinikube) {
        let fake = FakeMinikube::new(&self.context.dir().join("minikube"));
        fake.set("start-fails", "fail 52 DRV_NOT_TODAY 'not today' ''");
        std::os::unix::fs::symlink(fake.program(), self.bin.join("minikube")).unwrap();
        (self, fake)
    }

    /// What `up` says first.
    fn head(&self, more: &[&str]) -> String {
        let args = [
            "up",
            "--set",
            "images.build=[]",
            "--set",
            "local.programs.redisServer=/nonexistent/redis",
        ];
        let outcome = self.context.run(&[&args[..], more].concat());
        assert_ne!(outcome.code, Some(0), "{outcome:?}");
        let others = ["  kind: ", "  minikube: ", "  --provider "];
        let head = |line: &&str| {
            line.starts_with("stack ") || others.iter().any(|other| line.starts_with(other))
        };
        let lines: Vec<&str> = outcome.stderr.lines().filter(head).collect();
        lines.join("\n")
    }

    fn calls(&self) -> String {
        std::fs::read_to_string(self.context.dir().join("calls")).unwrap_or_default()
    }
}

#[test]
fn a_machine_with_nothing_runs_processes_and_is_told_what_else_there_is() {
    insta::assert_snapshot!(Machine::new().head(&[]), @"
    stack kedactl on provider local (auto: processes on this machine, as no cluster can be made here)
      kind: kind is not installed, docker is not installed, helm is not installed; minikube: minikube is not installed, docker is not installed, helm is not installed
    ");
}

#[test]
fn a_program_without_an_engine_is_not_enough() {
    let machine = Machine::new()
        .with(
            "docker",
            "echo 'Cannot connect to the Docker daemon at unix:///x' >&2; exit 1",
        )
        .with("helm", "")
        .with_kind("");
    insta::assert_snapshot!(machine.head(&[]), @"
    stack kedactl on provider local (auto: processes on this machine, as no cluster can be made here)
      kind: docker's engine does not answer: Cannot connect to the Docker daemon at unix:///x; minikube: minikube is not installed, docker's engine does not answer: Cannot connect to the Docker daemon at unix:///x
    ");
    assert!(!machine.calls().contains("kind "), "{}", machine.calls());
}

#[test]
fn an_engine_that_hangs_is_waited_for_three_seconds() {
    let machine = Machine::new()
        .with("docker", "sleep 60")
        .with("helm", "")
        .with_kind("");
    let start = Instant::now();
    let head = machine.head(&[]);
    assert!(
        head.contains("kind: docker does not answer within 3 s"),
        "{head}"
    );
    assert!(
        start.elapsed() < Duration::from_secs(30),
        "{:?}",
        start.elapsed()
    );
}

#[test]
fn without_helm_a_cluster_would_be_made_for_nothing() {
    let machine = Machine::new().with("docker", "echo 27.1.1").with_kind("");
    let head = machine.head(&[]);
    assert!(
        head.starts_with("stack kedactl on provider local"),
        "{head}"
    );
    assert!(
        head.contains("  kind: helm is not installed; minikube: "),
        "{head}"
    );
    // Where no release is wanted, nobody needs it.
    let none = ["redis", "keda", "metrics-server"].map(|name| format!("releases.{name}=null"));
    let none: Vec<&str> = none.iter().flat_map(|it| ["--set", it]).collect();
    let head = machine.head(&none);
    assert!(head.starts_with("stack kedactl on provider kind"), "{head}");
}

#[test]
fn kind_with_its_engine_is_taken_and_says_that_it_makes_a_cluster() {
    let machine = Machine::new().able().with_kind("");
    insta::assert_snapshot!(machine.head(&[]), @"
    stack kedactl on provider kind (auto: kind and docker 27.1.1 are here); makes the cluster kedactl
      minikube: minikube is not installed; --provider local runs without a cluster
    ");
    let there = Machine::new().able().with_kind("kedactl");
    let head = there.head(&[]);
    assert!(
        head.contains("(auto: kind and docker 27.1.1 are here)\n"),
        "{head}"
    );
}

#[test]
fn minikube_alone_is_taken() {
    let (machine, fake) = Machine::new().able().with_minikube();
    insta::assert_snapshot!(machine.head(&["--stack", "demo"]), @"
    stack demo on provider minikube (auto: minikube and docker 27.1.1 are here); makes the cluster demo
      kind: kind is not installed; --provider local runs without a cluster
    ");
    assert!(fake.calls().contains("start -p demo"), "{}", fake.calls());
    // A driver of machines needs no container engine.
    let (machine, _) = Machine::new().with("helm", "").with_minikube();
    let head = machine.head(&["--set", "minikube.driver=kvm2"]);
    assert!(
        head.contains("(auto: minikube and driver kvm2 are here)"),
        "{head}"
    );
}

#[test]
fn of_both_kind_is_taken_but_for_a_profile_that_was_made_here() {
    let (machine, fake) = Machine::new().able().with_kind("").with_minikube();
    insta::assert_snapshot!(machine.head(&["--stack", "demo"]), @"
    stack demo on provider kind (auto: kind and docker 27.1.1 are here); makes the cluster demo
      --provider minikube does too; --provider local runs without a cluster
    ");
    // Somebody else's profile of that name is no reason.
    fake.foreign("demo", "Running");
    let other = Machine::new().able().with_kind("");
    assert!(other.head(&["--stack", "demo"]).contains("provider kind"));

    let (machine, fake) = Machine::new().able().with_kind("").with_minikube();
    fake.foreign("demo", "Running");
    let state = machine.context.dir().join("state/minikube");
    std::fs::create_dir_all(&state).unwrap();
    std::fs::write(state.join("demo.minikube.json"), r#"{"phase":"created"}"#).unwrap();
    let head = machine.head(&["--stack", "demo"]);
    assert!(
        head.starts_with("stack demo on provider minikube"),
        "{head}"
    );
}

#[test]
fn what_is_said_wins_and_what_is_recorded_is_asked_no_more() {
    let machine = Machine::new().able().with_kind("");
    machine.context.write("kedactl.yaml", "provider: local\n");
    assert_eq!(machine.head(&[]), "stack kedactl on provider local");
    assert_eq!(machine.calls(), "", "nobody was asked");

    let machine = Machine::new().able().with_kind("");
    assert_eq!(
        machine.head(&["--provider", "local"]),
        "stack kedactl on provider local"
    );
    // The first run was refused after it was recorded that there may be a cluster.
    machine.head(&["--stack", "demo"]);
    std::fs::remove_file(machine.context.dir().join("calls")).unwrap();
    let head = machine.head(&["--stack", "demo"]);
    assert_eq!(
        head,
        "stack demo on provider kind (auto: the stack is there already)"
    );
    assert!(
        !machine.calls().contains("docker version"),
        "{}",
        machine.calls()
    );
    // Processes of an earlier run, or their data.
    std::fs::create_dir_all(machine.context.dir().join("state/local/mine/data/redis-0")).unwrap();
    let head = machine.head(&["--stack", "mine"]);
    assert_eq!(
        head,
        "stack mine on provider local (auto: the stack is there already)"
    );
}

#[test]
fn doctor_lists_the_providers_with_what_each_lacks() {
    let machine = Machine::new().able().with_kind("");
    let outcome = machine.context.run(&["doctor", "-o", "json"]);
    let checks = outcome.json()["checks"].take();
    let checks = checks.as_array().unwrap().iter();
    let lines: Vec<String> = checks
        .filter(|it| it["code"].as_str().unwrap().starts_with("provider-"))
        .map(|it| format!("{} {}: {}", it["status"], it["title"], it["detail"]))
        .collect();
    insta::assert_snapshot!(lines.join("\n"), @r#"
    "ok" "provider kind": "kind and docker 27.1.1 are here"
    "skip" "provider minikube": "minikube is not installed"
    "#);
    assert!(!machine.calls().contains("create"), "{}", machine.calls());
}
