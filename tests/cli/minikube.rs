//! `up` and `down` on a scripted minikube whose cluster is a small API server: what is made, bound, kept out of the user's files
//! and deleted again.
//!
//! It must not be mistaken for a cluster: a run ends at the first thing that only a real one can do.
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests fail the test they help"
)]

use crate::api_server::{Answer, kubeconfig, serve};
use crate::{context, looking};
use kedactl_testkit::FakeMinikube;
use kedactl_tests::{Context, Outcome};
use serde_json::{Value, json};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A young cluster that has all that pods need.
fn cluster() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    serve(listener, |method, target, _| answer(method, target));
    port
}

fn answer(method: &str, target: &str) -> Answer {
    let path = target.split('?').next().unwrap_or_default();
    let list = |items: Value| ("200 OK", json!({"metadata": {}, "items": items}));
    match (method, path) {
        ("GET", "/api/v1") => kinds(
            "v1",
            &[("nodes", "Node"), ("serviceaccounts", "ServiceAccount")],
        ),
        ("GET", "/apis/apps/v1") => kinds("apps/v1", &[("deployments", "Deployment")]),
        ("GET", "/apis/storage.k8s.io/v1") => {
            kinds("storage.k8s.io/v1", &[("storageclasses", "StorageClass")])
        }
        ("GET", "/api/v1/nodes") => {
            let ready = json!([{"type": "Ready", "status": "True"}]);
            list(json!([{"metadata": {"name": "demo"}, "status": {"conditions": ready}}]))
        }
        ("GET", "/api/v1/namespaces/default/serviceaccounts/default") => (
            "200 OK",
            json!({"metadata": {"name": "default", "namespace": "default"}}),
        ),
        ("GET", "/apis/storage.k8s.io/v1/storageclasses") => {
            list(json!([{"metadata": {"name": "standard"}}]))
        }
        ("GET", "/apis/apps/v1/namespaces/kube-system/deployments") => list(json!([dns()])),
        ("GET", "/apis/apps/v1/namespaces/kube-system/deployments/coredns") => ("200 OK", dns()),
        _ => looking::answer(method, target),
    }
}

fn kinds(version: &str, all: &[(&str, &str)]) -> Answer {
    let resources = all.iter().map(|(name, kind)| {
        let inside = !matches!(*kind, "Node" | "StorageClass");
        json!({"name": name, "singularName": "", "namespaced": inside, "kind": kind, "verbs": ["get", "list"]})
    });
    let resources: Vec<Value> = resources.collect();
    (
        "200 OK",
        json!({"kind": "APIResourceList", "groupVersion": version, "resources": resources}),
    )
}

fn dns() -> Value {
    let available = json!([{"type": "Available", "status": "True"},
        {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"}]);
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "coredns", "namespace": "kube-system", "generation": 1, "uid": "d"},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"k8s-app": "kube-dns"}}},
        "status": {"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "readyReplicas": 1,
            "availableReplicas": 1, "conditions": available},
    })
}

/// The same, where a `StorageClass` and the name server come once they were asked for.
fn young_cluster() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (classes, names): (Arc<AtomicUsize>, Arc<AtomicUsize>) = Default::default();
    serve(listener, move |method, target, _| {
        let path = target.split('?').next().unwrap_or_default();
        let first = |count: &AtomicUsize| count.fetch_add(1, Ordering::SeqCst) == 0;
        if path == "/apis/storage.k8s.io/v1/storageclasses" && first(&classes) {
            return ("200 OK", json!({"metadata": {}, "items": []}));
        }
        let of_names = "/apis/apps/v1/namespaces/kube-system/deployments";
        if path.starts_with(of_names) && first(&names) {
            let mut it = dns();
            it["status"]["availableReplicas"] = json!(0);
            it["status"]["conditions"][0]["status"] = "False".into();
            let list = json!({"metadata": {}, "items": [it]});
            return ("200 OK", if path == of_names { list } else { it });
        }
        answer(method, target)
    });
    port
}

struct Rig {
    context: Context,
    fake: FakeMinikube,
}

impl Rig {
    fn new() -> Self {
        Self::on(cluster())
    }

    fn on(cluster: u16) -> Self {
        let context = context();
        let fake = FakeMinikube::new(&context.dir().join("minikube"));
        fake.set("kubeconfig", &kubeconfig(cluster, &["@PROFILE@"]));
        // What the user has, and what nobody may touch.
        std::fs::create_dir(context.dir().join("home/.kube")).unwrap();
        std::fs::write(context.dir().join("home/.kube/config"), "mine").unwrap();
        Self { context, fake }
    }

    fn up(&self, more: &[&str]) -> Outcome {
        let program = format!("minikube.program={}", self.fake.program().display());
        let mut args = vec![
            "up",
            "--provider",
            "minikube",
            "--stack",
            "demo",
            "--set",
            &program,
        ];
        args.extend(["--set", "images.build=[]", "--set", "releases.redis=null"]);
        args.extend([
            "--set",
            "releases.keda=null",
            "--set",
            "releases.metrics-server=null",
        ]);
        args.extend(more);
        self.context.run(&args)
    }

    fn record(&self) -> Value {
        let path = self.context.dir().join("state/clusters/demo/stack.json");
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
    }

    fn untouched(&self) {
        let config = self.context.dir().join("home/.kube/config");
        assert_eq!(std::fs::read_to_string(config).unwrap(), "mine");
    }
}

#[test]
fn a_profile_is_made_bound_and_deleted_with_its_stack() {
    let rig = Rig::new();
    let outcome = rig.up(&[]);
    assert!(
        outcome.stderr.contains("minikube creates demo"),
        "{outcome:?}"
    );
    let progress = "connect: Creating docker container (CPUs=2, Memory=3072MB) ...\n";
    assert!(outcome.stderr.contains(progress), "{outcome:?}");
    let record = rig.record();
    assert_eq!(record["minikube"], "demo");
    assert_eq!(record["context"], "demo");
    assert_eq!(record["cluster"], looking::UID, "{outcome:?}");
    rig.untouched();
    // The next run finds it, and makes nothing.
    rig.up(&[]);
    assert_eq!(rig.fake.calls().matches("start -p demo").count(), 1);

    let down = rig
        .context
        .run(&["down", "--stack", "demo", "--purge"])
        .expect(0);
    assert!(down.stdout.contains("demo"), "{down:?}");
    assert!(!rig.fake.has("profiles/demo"));
    let left = std::fs::read_dir(rig.context.dir().join("state/minikube")).unwrap();
    assert_eq!(left.count(), 0);
    rig.untouched();
}

#[test]
fn a_young_cluster_is_waited_for_until_it_can_run_pods() {
    let rig = Rig::on(young_cluster());
    let outcome = rig.up(&["--events", "jsonl"]);
    for missing in ["a StorageClass", "coredns"] {
        let waited = outcome.stderr.lines().any(|line| {
            line.contains(r#""cluster/connect""#)
                && line.contains("waiting")
                && line.contains(missing)
        });
        assert!(waited, "{missing}: {outcome:?}");
    }
    assert_eq!(rig.record()["cluster"], looking::UID, "{outcome:?}");
}

#[test]
fn a_profile_of_somebody_else_is_let_in_by_its_uid_and_stays() {
    let rig = Rig::new();
    rig.fake.foreign("demo", "Running");
    let refused = rig.up(&[]).expect(5);
    assert!(refused.stderr.contains("--allow-cluster"), "{refused:?}");
    rig.up(&["--allow-cluster", &looking::UID[..8]]);
    assert_eq!(rig.record()["cluster"], looking::UID);
    rig.context
        .run(&["down", "--stack", "demo", "--purge"])
        .check(0);
    assert!(rig.fake.has("profiles/demo"), "{}", rig.fake.calls());
    assert!(!rig.fake.calls().contains("delete"), "{}", rig.fake.calls());
}

#[test]
fn a_stopped_profile_is_told_where_nothing_may_be_started() {
    let rig = Rig::new();
    rig.up(&[]);
    rig.fake.set("profiles/demo/state", "Stopped");
    let program = format!("minikube.program={}", rig.fake.program().display());
    let args = [
        "plan",
        "--provider",
        "minikube",
        "--stack",
        "demo",
        "--set",
        &program,
    ];
    let outcome = rig
        .context
        .run(&[&args[..], &["--set", "images.build=[]"]].concat());
    assert!(
        outcome.stderr.contains("minikube profile demo is stopped"),
        "{outcome:?}"
    );
    assert!(
        outcome.stderr.contains("`kedactl up` starts it"),
        "{outcome:?}"
    );
    assert!(
        rig.up(&[])
            .stderr
            .contains("profile demo is stopped: starting it")
    );
}
