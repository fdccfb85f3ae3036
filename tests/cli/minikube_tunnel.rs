//! `kedactl tunnel --mode minikube`: minikube's tunnel under supervision, with a scripted minikube and a Service whose address
//! that one writes.
//!
//! It must not need root: sudo is scripted too.
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests fail the test they help"
)]

use crate::api_server::{ApiServer, hello_at};
use crate::context;
use kedactl_exec::{CancellationToken, Job, ProcId, Signal};
use kedactl_testkit::{FakeMinikube, free_port, until};
use kedactl_tests::{Context, Outcome};
use serde_json::json;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

const WITHIN: Duration = Duration::from_mins(1);

struct Rig {
    context: Context,
    fake: FakeMinikube,
    port: u16,
}

impl Rig {
    /// A stack on a running profile whose API's Service has a port where `hello` answers, once that is started.
    fn new() -> Self {
        let bare = context();
        let bin = bare.dir().join("bin");
        std::fs::create_dir(&bin).unwrap();
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = format!("{}:{}", bin.display(), path.display());
        let context = bare.with_env("PATH", &path);
        let fake = FakeMinikube::new(&context.dir().join("minikube"));
        fake.foreign("demo", "Running");
        fake.set("address", "127.0.0.1\n");
        fake.set("external", "");
        let port = free_port();
        let server = ApiServer::published_by(port, context.dir().join("minikube/external"));
        let path = context.write("kubeconfig", &server.kubeconfig(&["demo"]));
        let program = format!("minikube.program={}", fake.program().display());
        let shown = context.run(&[
            "config", "show", "--env", "minikube", "-o", "json", "--set", &program,
        ]);
        let record = json!({
            "format": 1, "provider": "minikube", "kubeconfig": path, "context": "demo",
            "cluster": "0b5c7f3a-1111-4222-8333-444455556666", "minikube": "demo",
            "config": shown.expect(0).json()["config"].take(),
        });
        let folder = context.dir().join("state/clusters/demo");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("stack.json"), record.to_string()).unwrap();
        let rig = Self {
            context,
            fake,
            port,
        };
        rig.sudo("exit 0");
        rig
    }

    fn sudo(&self, script: &str) {
        let path = self.context.dir().join("bin/sudo");
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn tunnel(&self, more: &[&str]) -> Outcome {
        self.context
            .run(&[&["tunnel"], more, &["--stack", "demo"]].concat())
    }

    fn detach(&self, more: &[&str]) -> Outcome {
        let args = ["--mode", "minikube", "--service", "keda/api", "--detach"];
        self.tunnel(&[&args[..], more].concat())
    }

    fn service(&self) -> serde_json::Value {
        let status = self.tunnel(&["status", "-o", "json"]).expect(0).json();
        status["services"][0].clone()
    }

    fn process(&self) -> ProcId {
        let status = self.tunnel(&["status", "-o", "json"]).expect(0).json();
        serde_json::from_value(status["process"].clone()).unwrap()
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.tunnel(&["stop"]);
    }
}

#[test]
fn an_address_is_believed_after_a_probe_and_minikube_ends_with_the_tunnel() {
    let rig = Rig::new();
    // Nothing answers behind the address yet.
    let outcome = rig.detach(&["--timeout", "3s"]).expect(3);
    assert!(outcome.stderr.contains("leads nowhere"), "{outcome:?}");
    assert!(rig.fake.has("route"));
    assert_eq!(rig.service()["external_ip"], json!(null));
    hello_at(rig.port);
    until("the probe passes", WITHIN, || {
        rig.service()["healthy"] == true
    });
    let service = rig.service();
    assert_eq!(service["external_ip"], "127.0.0.1");
    assert_eq!(service["route"], "minikube");
    assert_eq!(service["local"], format!("127.0.0.1:{}", rig.port));
    let table = rig.tunnel(&["status"]).expect(0).stdout;
    assert!(table.contains("minikube tunnel"), "{table}");
    assert!(rig.detach(&[]).expect(6).stderr.contains("runs already"));

    rig.tunnel(&["stop"]).check(0);
    assert!(
        !rig.fake.has("route"),
        "it got the SIGINT that takes the route back"
    );
    assert_eq!(rig.fake.calls().matches("tunnel -p demo").count(), 1);
}

#[test]
fn what_the_router_says_is_shown() {
    let rig = Rig::new();
    hello_at(rig.port);
    rig.fake
        .set("tunnel-router", "conflicting route: 10.0.0.0/8 via 1.2.3.4");
    let outcome = rig.detach(&["--timeout", "4s"]).expect(3);
    let told = "minikube tunnel, router: conflicting route: 10.0.0.0/8 via 1.2.3.4";
    assert!(outcome.stderr.contains(told), "{outcome:?}");
    // minikube looks again by itself.
    rig.fake.unset("tunnel-router");
    until("it carries", WITHIN, || rig.service()["healthy"] == true);
}

#[test]
fn one_that_ends_by_itself_is_started_again() {
    let rig = Rig::new();
    hello_at(rig.port);
    rig.fake.set("tunnel-ends", "");
    rig.detach(&[]).check(0);
    until("it is started again", WITHIN, || {
        rig.fake.calls().matches("tunnel -p demo").count() == 2
    });
}

#[test]
fn a_killed_tunnel_leaves_a_minikube_that_the_next_stop_ends() {
    let rig = Rig::new();
    hello_at(rig.port);
    rig.detach(&[]).check(0);
    let process = rig.process();
    process.signal(Signal::KILL).unwrap();
    until("it is dead", WITHIN, || !process.alive());
    assert!(rig.fake.has("route"), "a kill takes nothing back");
    let outcome = rig.tunnel(&["stop"]).expect(0);
    assert!(outcome.stdout.contains("repaired"), "{outcome:?}");
    assert!(!rig.fake.has("route"));
}

#[test]
fn somebody_elses_tunnel_of_the_profile_is_left_alone() {
    let rig = Rig::new();
    let cancel = CancellationToken::new();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let theirs = Job::new(rig.fake.program()).args(["tunnel", "-p", "demo"]);
    let stop = cancel.clone();
    let theirs = runtime.spawn(async move { theirs.run(&stop).await });
    until("theirs runs", WITHIN, || rig.fake.has("route"));
    let outcome = rig.detach(&[]).expect(1);
    assert!(
        outcome
            .stderr
            .contains("another tunnel of minikube profile demo runs"),
        "{outcome:?}"
    );
    assert!(rig.fake.has("route") && !theirs.is_finished());
    cancel.cancel();
    drop(runtime.block_on(theirs));
}

#[test]
fn a_question_for_a_password_and_a_stack_elsewhere_are_told_before() {
    let rig = Rig::new();
    rig.sudo("echo 'sudo: a password is required' >&2; exit 1");
    let outcome = rig.tunnel(&["--mode", "minikube", "--service", "keda/api"]);
    insta::assert_snapshot!(outcome.block(rig.context.dir()), @"
    exit: 1
    --- stdout ---
    --- stderr ---
    error[KD1102]: `minikube tunnel` needs root (it adds a route), and sudo does not give it without a question: sudo: a password is required
    hint: run `sudo -v` right before, or leave out tunnel.mode and --mode: the tunnel of kedactl needs no root
    ");
    assert!(!rig.fake.calls().contains("tunnel"), "{}", rig.fake.calls());
    let outcome = rig
        .context
        .run(&["tunnel", "--stack", "other", "--mode", "minikube"]);
    insta::assert_snapshot!(outcome.block(rig.context.dir()), @"
    exit: 64
    --- stdout ---
    --- stderr ---
    error[KD0101]: no minikube profile is known that `minikube tunnel` could serve
    hint: it serves a stack of the provider minikube: bring one up, or leave out --mode
    ");
}

#[test]
fn one_that_does_not_hear_is_killed_and_the_route_is_named() {
    let rig = Rig::new();
    hello_at(rig.port);
    rig.fake.set("tunnel-deaf", "");
    rig.detach(&[]).check(0);
    rig.tunnel(&["stop"]).check(0);
    let log = std::fs::read_to_string(rig.context.dir().join("state/tunnel/demo/tunnel.log"));
    let log = log.unwrap();
    assert!(log.contains("was killed: its route may be left"), "{log}");
}
