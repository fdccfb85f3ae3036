//! A stack on two nodes: images on both, pods spread over both, and one of the nodes lost under load.
//!
//! It must have a cluster of its own (`tests/cluster/lab up NAME --nodes 2`): it takes a node away.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod cluster;
#[path = "stack/rig.rs"]
#[expect(dead_code, reason = "the other tests use the rest")]
mod rig;

use cluster::variable;
use kedactl_exec::Run;
use kedactl_testkit::until;
use rig::Rig;
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::Duration;

/// Kubernetes believes in a silent node for 40 seconds.
const NOTICED: Duration = Duration::from_mins(2);

fn docker(args: &[&str]) -> String {
    let run = Run::new("docker").args(args.iter().copied());
    let run = run.within(Duration::from_mins(2));
    run.run().unwrap_or_else(|error| panic!("{error}")).stdout
}

fn node(role: &str) -> String {
    format!("{}-{role}", variable("KEDACTL_TEST_CLUSTER"))
}

/// A node that stands still, as one whose machine or network is gone; it goes on with the end of the test.
struct Frozen(String);

impl Frozen {
    fn new(node: String) -> Self {
        docker(&["pause", &node]);
        Self(node)
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        docker(&["unpause", &self.0]);
    }
}

/// The pods of a workload, and the node of each.
fn pods(rig: &Rig, workload: &str) -> Vec<(String, String)> {
    let found = rig.cluster.json(&["-n", rig.namespace(), "get", "pods"]);
    let text =
        |it: &Value, path: &str| it.pointer(path).and_then(Value::as_str).unwrap().to_owned();
    let all = found["items"].as_array().unwrap().iter();
    let all = all.map(|it| (text(it, "/metadata/name"), text(it, "/spec/nodeName")));
    all.filter(|(name, _)| name.starts_with(&format!("{workload}-")))
        .collect()
}

fn nodes_of(pods: &[(String, String)]) -> BTreeSet<&str> {
    pods.iter().map(|(_, node)| node.as_str()).collect()
}

fn images_on(node: &str) -> String {
    docker(&["exec", node, "ctr", "-n", "k8s.io", "images", "ls", "-q"])
}

#[test]
fn images_are_on_both_nodes_pods_on_both_and_a_lost_node_loses_no_task() {
    let (first, second) = (node("control-plane"), node("worker"));
    let rig = Rig::with("two", "api: {autoscaling: {minReplicas: 2}}\n");
    // kind keeps a control plane to itself where there are workers.
    let taints = r#"{"spec": {"taints": null}}"#;
    rig.cluster
        .kubectl(&["patch", "node", &first, "--type=merge", "-p", taints]);
    rig.up(&[]).check(0);

    let deployed = rig
        .cluster
        .json(&["-n", rig.namespace(), "get", "deployment", "api"]);
    let image = deployed["spec"]["template"]["spec"]["containers"][0]["image"]
        .as_str()
        .unwrap();
    for node in [&first, &second] {
        assert!(images_on(node).contains(image), "{image} on {node}");
    }
    docker(&[
        "exec", &second, "ctr", "-n", "k8s.io", "images", "rm", "--sync", image,
    ]);
    assert!(!images_on(&second).contains(image));
    rig.up(&[]).check(0);
    assert!(images_on(&second).contains(image), "it is there again");

    let api = pods(&rig, "api");
    assert_eq!(nodes_of(&api).len(), 2, "{api:?}");
    let redis = pods(&rig, "redis-node");
    assert_eq!(redis.len(), 3, "{redis:?}");
    assert_eq!(nodes_of(&redis).len(), 2, "{redis:?}");

    let load = [
        "load",
        "--rps",
        "100",
        "--duration",
        "30s",
        "--arrivals",
        "uniform",
        "--seed",
        "3",
    ];
    let end = [
        "--drain-timeout",
        "240s",
        "--slo",
        "lost=0,p99<120s",
        "-o",
        "json",
    ];
    let load = rig.spawn(&[&load[..], &end].concat());
    until("a ready worker", NOTICED, || {
        let worker = rig
            .cluster
            .json(&["-n", rig.namespace(), "get", "deployment", "worker"]);
        worker["status"]["readyReplicas"].as_u64() > Some(0)
    });
    let frozen = Frozen::new(second.clone());
    let mut said = String::new();
    until("status names the lost node", NOTICED, || {
        said = rig.run(&["status"]).stdout;
        said.contains(&format!("node {second} with "))
    });
    println!("{}", said.lines().nth(1).unwrap_or_default());
    drop(frozen);
    let ended = load.wait_with_output().unwrap();
    let result: Value = serde_json::from_slice(&ended.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&ended.stderr)));
    let audit = &result["audit"];
    println!("{audit}");
    assert_eq!(audit["lost"], 0, "{audit}");
    assert!(audit["acknowledged"].as_u64() > Some(500), "{audit}");

    rig.up(&["--revert-edits"]).check(0);
    until("the stack runs as before", NOTICED, || {
        let status = rig.run(&["status", "-o", "json"]);
        status.code == Some(0) && status.json()["phase"] == "running"
    });
}
