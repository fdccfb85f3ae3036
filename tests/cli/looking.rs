//! Looking at stacks by their records: which one is meant, and what is shown of one whose cluster answers, does not, or is
//! another.
//!
//! It must not be mistaken for a cluster: what Kubernetes and Redis do is tested on real ones.
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests fail the test they help"
)]

use crate::api_server::{Answer, kubeconfig, not_found, serve};
use crate::context;
use kedactl_tests::Context;
use serde_json::{Value, json};
use std::net::TcpListener;

const TASK: &str = "01ARZ3NDEKTSV4RRFFQ69G5FAV";

pub(crate) const UID: &str = "0b5c7f3a-1111-4222-8333-444455556666";

/// Records a stack `demo` on the cluster behind a port, as `up` does.
fn record(context: &Context, port: u16) {
    let shown = context.run(&["config", "show", "--env", "kind", "-o", "json"]);
    let config = shown.expect(0).json()["config"].take();
    let path = context.write("kubeconfig", &kubeconfig(port, &["kind-demo"]));
    let record = json!({
        "format": 1, "provider": "kind", "kubeconfig": path, "context": "kind-demo", "cluster": UID, "kind": "demo",
        "config": config,
        "last_run": {"command": "up", "ended_at": 0, "took_ms": 41_000, "outcome": "ready"},
    });
    let folder = context.dir().join("state/clusters/demo");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("stack.json"), record.to_string()).unwrap();
}

fn closed_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// A cluster with one stack whose worker is growing. There is no Redis behind it.
fn cluster() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    serve(listener, |method, target, _| answer(method, target));
    port
}

pub(crate) fn answer(method: &str, target: &str) -> Answer {
    let path = target.split('?').next().unwrap_or_default();
    let list = |items: Value| ("200 OK", json!({"metadata": {}, "items": items}));
    match (method, path) {
        ("GET", "/api/v1/namespaces/kube-system") => ("200 OK", json!({"metadata": {"uid": UID}})),
        ("GET", "/version") => ("200 OK", json!({"gitVersion": "v1.34.1"})),
        ("GET", "/apis/apps/v1/namespaces/keda/deployments") => {
            list(json!([workload("api", 1, 1), workload("worker", 4, 2)]))
        }
        ("GET", "/apis/apps/v1/namespaces/keda-system/deployments") => {
            let mut it = workload("keda-operator", 1, 1);
            it["metadata"]["labels"] = json!({"helm.sh/chart": "keda-2.20.2"});
            it["metadata"]["annotations"] = json!({"meta.helm.sh/release-name": "keda"});
            it["metadata"]["namespace"] = "keda-system".into();
            list(json!([it]))
        }
        ("GET", "/api/v1/namespaces/keda-system/secrets") => {
            list(json!([{"metadata": {"namespace": "keda-system",
            "labels": {"name": "keda", "owner": "helm", "version": "3", "status": "deployed"}}}]))
        }
        ("GET", "/api/v1/namespaces/keda/pods") => list(json!([
            pod("api-1", "api", true),
            pod("worker-1", "worker", false)
        ])),
        ("GET", "/api/v1/namespaces/keda/pods/api-1/log") => ("200 OK", log(target).into()),
        ("GET", "/apis/autoscaling/v2/namespaces/keda/horizontalpodautoscalers") => {
            list(json!([autoscaler()]))
        }
        ("GET", "/apis/keda.sh/v1alpha1/namespaces/keda/scaledobjects") => list(json!([scaler()])),
        ("GET", _) if path.ends_with('s') && path.contains("/namespaces/") => list(json!([])),
        ("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews") => {
            ("201 Created", json!({"status": {"allowed": true}}))
        }
        _ => not_found(path),
    }
}

fn workload(name: &str, desired: u32, ready: u32) -> Value {
    json!({"metadata": {"name": name, "namespace": "keda"}, "spec": {"replicas": desired}, "status": {"readyReplicas": ready}})
}

fn pod(name: &str, component: &str, ready: bool) -> Value {
    let state = if ready {
        json!({"running": {}})
    } else {
        json!({"waiting": {"reason": "CrashLoopBackOff"}})
    };
    json!({"metadata": {"name": name, "namespace": "keda",
            "labels": {"app.kubernetes.io/component": component}},
        "spec": {"nodeName": "node-1"},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": if ready { "True" } else { "False" }}],
            "containerStatuses": [{"name": component, "image": "kedactl:1", "ready": ready, "restartCount": 3, "state": state}]}})
}

/// The log of the API's pod: of its container now, and of the one before it restarted.
fn log(target: &str) -> String {
    let line = |at: &str, message: &str, id: &str| {
        let line = json!({"timestamp": at, "level": "DEBUG", "target": "task", "task_id": id, "queue": "default",
            "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736", "message": message});
        format!("{at} {line}\n")
    };
    assert!(
        target.contains("sinceSeconds=") && !target.contains("tailLines"),
        "{target}"
    );
    if target.contains("previous=true") {
        return line("2026-11-27T23:00:00.000001Z", "accepted", TASK);
    }
    line(
        "2026-11-27T23:00:03Z",
        "its worker died: it is taken again",
        TASK,
    ) + &line(
        "2026-11-27T23:00:04Z",
        "accepted",
        "01ARZ3NDEKTSV4RRFFQ69G5FAW",
    )
}

fn autoscaler() -> Value {
    json!({"metadata": {"name": "keda-hpa-worker", "namespace": "keda",
            "ownerReferences": [{"kind": "ScaledObject", "name": "worker"}]},
        "spec": {"minReplicas": 1, "maxReplicas": 10, "scaleTargetRef": {"kind": "Deployment", "name": "worker"},
            "metrics": [{"type": "External", "external": {"metric": {"name": "s0-redis"},
                "target": {"type": "AverageValue", "averageValue": "10"}}}]},
        "status": {"currentReplicas": 2, "desiredReplicas": 4, "currentMetrics": [{"type": "External",
            "external": {"metric": {"name": "s0-redis"}, "current": {"averageValue": "18500m"}}}],
            "conditions": [{"type": "AbleToScale", "status": "True", "reason": "SucceededRescale", "message": ""}]}})
}

fn scaler() -> Value {
    json!({"metadata": {"name": "worker", "namespace": "keda"},
        "spec": {"minReplicaCount": 0, "maxReplicaCount": 10, "scaleTargetRef": {"name": "worker"}},
        "status": {"hpaName": "keda-hpa-worker", "conditions": [
            {"type": "Ready", "status": "True"}, {"type": "Active", "status": "True"}]}})
}

#[test]
fn a_stack_without_a_record_is_looked_for_in_both_places() {
    let context = context();
    let outcome = context.run(&["status", "--stack", "demo"]);
    insta::assert_snapshot!(outcome.block(context.dir()), @"
    exit: 1
    --- stdout ---
    --- stderr ---
    error[KD0206]: no stack runs in [DIR]/state/local/demo or [DIR]/state/clusters/demo
    hint: `kedactl up` starts one; `--stack NAME` and `--state-dir DIR` choose another
    ");
}

#[test]
fn a_name_that_stands_for_two_stacks_is_refused_with_both_places() {
    let context = context();
    record(&context, closed_port());
    let folder = context.dir().join("state/local/demo");
    std::fs::create_dir_all(&folder).unwrap();
    let process = json!({"pid": 1, "start_time": 1});
    let state = json!({"version": 1, "stack": "demo", "stack_id": "x", "phase": "running", "desired_hash": "",
        "supervisor": process, "started_at": 0, "updated_at": 0, "proxy": null, "workloads": {}, "scalers": {}, "problem": null,
        "endpoints": {"api": "", "api_metrics": "", "redis": [], "sentinels": [], "master_name": "",
            "redis_password_file": "", "sentinel_password_file": ""},
        "redis": {"servers": [], "sentinels": [], "master": null, "replicas_online": 0, "quorum": false, "failovers": 0,
            "last_failover_at": null}});
    std::fs::write(folder.join("state.json"), state.to_string()).unwrap();
    let outcome = context.run(&["queue", "ls", "--stack", "demo"]);
    insta::assert_snapshot!(outcome.block(context.dir()), @"
    exit: 1
    --- stdout ---
    --- stderr ---
    error[KD0807]: stack demo runs on this machine ([DIR]/state/local/demo) and in the cluster of context kind-demo ([DIR]/state/clusters/demo)
    hint: `kedactl down --stack demo` ends the one in the cluster; once more, it ends the one on this machine
    ");
}

#[test]
fn a_cluster_that_does_not_answer_is_an_error_beside_what_is_recorded() {
    let context = context();
    let port = closed_port();
    record(&context, port);
    let outcome = context.run(&["status", "--stack", "demo"]).expect(8);
    let said = outcome
        .block(context.dir())
        .replace(&port.to_string(), "[PORT]");
    insta::assert_snapshot!(said, @"
    exit: 8
    --- stdout ---
    demo on kind (kind-demo, UID 0b5c7f3a): unreachable
    problem: could not ask context kind-demo who it is: nothing answers at http://127.0.0.1:[PORT]: Connection refused (os error 111)
    last run  up: ready, took 41.00 s
    --- stderr ---
    error[KD0702]: could not ask context kind-demo who it is
      caused by: nothing answers at http://127.0.0.1:[PORT]: Connection refused (os error 111)
    hint: is the cluster running, and is its address reachable from here (VPN, firewall)?
    ");
    let outcome = context
        .run(&["status", "--stack", "demo", "-o", "json"])
        .expect(8);
    let status = outcome.json();
    assert_eq!(status["phase"], "unreachable");
    assert_eq!(status["last_run"]["outcome"], "ready");
    for args in [
        &["queue", "ls"][..],
        &["logs"],
        &["redis", "failover"],
        &["load", "--rps", "1"],
    ] {
        context.run(&[args, &["--stack", "demo"]].concat()).check(8);
    }
}

#[test]
fn what_pods_logged_about_a_task_is_told_though_redis_does_not_answer() {
    let context = context();
    record(&context, cluster());
    let args = ["logs", "--task", TASK, "--stack", "demo"];
    let life = context
        .run(&[&args[..], &["-o", "json"]].concat())
        .expect(0)
        .json();
    let events = life["events"].as_array().unwrap();
    let told: Vec<&Value> = events.iter().map(|it| &it["what"]).collect();
    assert_eq!(
        told,
        ["accepted", "its worker died: it is taken again"],
        "{life}"
    );
    assert!(events.iter().all(|it| it["process"] == "api-1"), "{life}");
    assert!(
        life["unread"].is_string() && life["trace_id"].is_string(),
        "{life}"
    );
    let text = context.run(&args).expect(0).stdout;
    assert!(text.contains("its record could not be read"), "{text}");
    // Of one that nobody logged, why Redis could not be asked is the answer.
    let other = [
        "logs",
        "--task",
        "01ARZ3NDEKTSV4RRFFQ69G5FA0",
        "--stack",
        "demo",
    ];
    assert_ne!(context.run(&other).code, Some(0));
}

#[test]
fn another_cluster_behind_the_same_name_is_refused() {
    let context = context();
    record(&context, cluster());
    let path = context.dir().join("state/clusters/demo/stack.json");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace(UID, "ffffffff-1111")).unwrap();
    let outcome = context.run(&["status", "--stack", "demo"]).expect(5);
    assert!(outcome.stderr.contains("error[KD0801]"), "{outcome:?}");
    assert!(
        outcome
            .stderr
            .contains("the stack is bound to cluster ffffffff-1111"),
        "{outcome:?}"
    );
}

#[test]
fn a_damaged_record_is_named_and_not_guessed_at() {
    let context = context();
    record(&context, closed_port());
    let path = context.dir().join("state/clusters/demo/stack.json");
    std::fs::write(&path, r#"{"format": 99}"#).unwrap();
    let outcome = context.run(&["status", "--stack", "demo"]);
    insta::assert_snapshot!(outcome.block(context.dir()), @"
    exit: 1
    --- stdout ---
    --- stderr ---
    error[KD0207]: [DIR]/state/clusters/demo/stack.json is not the record of a stack: it has format 99, and this program knows 1
    hint: run `kedactl up` with the version that wrote it, or remove [DIR]/state/clusters/demo/stack.json and bring the stack up again
    ");
}

#[test]
fn a_stack_in_a_cluster_is_one_screen() {
    let context = context();
    let port = cluster();
    record(&context, port);
    let outcome = context.run(&["status", "--stack", "demo"]).expect(0);
    insta::assert_snapshot!(outcome.block(context.dir()), @"
    exit: 0
    --- stdout ---
    demo on kind (kind-demo v1.34.1, UID 0b5c7f3a): degraded
    problem: Deployment worker: 2 of 4 pods are ready

    queue     not readable
    redis     not readable
    api       1/1 ready
    worker    2/4 ready  2 more are wanted
    tunnel    no tunnel runs in [DIR]/state/tunnel/demo
    last run  up: ready, took 41.00 s
    not read: queue: redis-node-0: pod redis-node-0: the API server answered 404 Not Found: /api/v1/namespaces/keda/pods/redis-node-0/portforward not found

      release  namespace    chart        revision  status    ready
      keda     keda-system  keda 2.20.2  3         deployed  1/1

      scaler                                   bounds  now  wants  reads     why
      ScaledObject/worker                      0..10   2    4                2 more are wanted
      HorizontalPodAutoscaler/keda-hpa-worker  1..10   2    4      37 of 10  2 more are wanted

      pod       role    node    ready  age  restarts  
      api-1     api     node-1  yes    0s   3         
      worker-1  worker  node-1  no     0s   3         worker: CrashLoopBackOff
    --- stderr ---
    ");
    let status = context
        .run(&["status", "--stack", "demo", "-o", "json"])
        .expect(0)
        .json();
    assert_eq!(status["schema"], "kedactl.status/v1");
    assert_eq!(status["cluster"]["version"], "v1.34.1");
    assert_eq!(status["scalers"][1]["metrics"][0]["value"], 37.0);
    assert_eq!(status["processes"][1]["node"], "node-1");
    assert!(status["queue"].is_null());
}

#[test]
fn doctor_judges_the_recorded_cluster() {
    let context = context();
    record(&context, cluster());
    let outcome = context
        .run(&["doctor", "--stack", "demo", "-o", "json"])
        .expect(4);
    let checks = outcome.json()["checks"].clone();
    let status = |code: &str| {
        let all = checks.as_array().unwrap();
        let found = all.iter().find(|it| it["code"] == code);
        found.unwrap_or_else(|| panic!("{code}: {checks:#}"))["status"].clone()
    };
    assert_eq!(status("cluster"), "ok");
    assert_eq!(status("rights"), "ok");
    assert_eq!(status("keda-definitions"), "fail");
    assert_eq!(status("keda-operator"), "ok");
    assert_eq!(status("scaler-worker"), "ok");
    assert_eq!(status("pods"), "fail");
    assert_eq!(status("redis"), "fail");
}
