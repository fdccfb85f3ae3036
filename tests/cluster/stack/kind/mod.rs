//! `--provider kind`: a cluster that is made for the stack, with KEDA and metrics-server as releases of it, and that goes
//! with it; and one that somebody else made, which stays.
//!
//! It must not touch the cluster of the other tests, but for adopting it.

mod ci;
mod moments;
mod two_nodes;

use crate::cluster::variable;
use crate::rig::Rig;
use crate::turn;
use kedactl_exec::{Run, find};
use kedactl_testkit::until;
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

/// A chart of what the test clusters install by `kubectl`: the published charts cannot be had everywhere.
pub(crate) fn chart(folder: &Path, name: &str, manifests: &str) -> String {
    let manifests = Path::new(&variable("KEDACTL_TEST_MANIFESTS")).join(manifests);
    let chart = kedactl_tests::chart_of(folder, name, &manifests);
    chart.display().to_string()
}

fn kind(args: &[&str]) -> String {
    let run = Run::new("kind").args(args.iter().copied());
    let run = run.within(Duration::from_mins(1));
    run.run().unwrap_or_else(|error| panic!("{error}")).stdout
}

fn clusters() -> Vec<String> {
    kind(&["get", "clusters"])
        .lines()
        .map(str::to_owned)
        .collect()
}

/// A stack with a kind cluster of its own, which is not made yet; kind's port mapping leads to its API.
fn of_its_own(purpose: &str) -> Rig {
    let mut rig = Rig::new(purpose);
    let charts = rig.context.dir().join("charts");
    let keda = chart(&charts, "keda", "keda.yaml");
    let metrics = chart(&charts, "metrics-server", "metrics-server-10s.yaml");
    let image = variable("KEDACTL_TEST_NODE_IMAGE");
    rig.on_a_kind_cluster(&format!(
        "images: {{kindCluster: null}}
tunnel: {{mode: port-mapping}}
kind: {{image: '{image}'}}
releases:
  keda: {{chart: '{keda}', repo: null, version: null, values: null}}
  metrics-server: {{chart: '{metrics}', repo: null, version: null, values: null}}
"
    ));
    rig
}

/// More values for a stack that is not up yet, below the others.
fn with(rig: &Rig, more: &str) {
    rig.context.write("kedactl.yaml", more);
}

/// Containers of a cluster, running or not.
fn containers(name: &str) -> Vec<String> {
    let label = format!("label=io.x-k8s.kind.cluster={name}");
    let said = docker(&["ps", "--all", "--filter", &label, "--format", "{{.Names}}"]);
    said.lines().map(str::to_owned).collect()
}

fn docker(args: &[&str]) -> String {
    let run = Run::new("docker").args(args.iter().copied());
    let run = run.within(Duration::from_mins(2));
    run.run().unwrap_or_else(|error| panic!("{error}")).stdout
}

#[test]
fn a_cluster_is_made_with_everything_in_it_and_goes_with_the_stack() {
    let _turn = turn::beside_others();
    let rig = of_its_own("kind");
    let name = rig.name.clone();
    rig.command("plan", &["--exit-code"]).check(2);
    assert!(!clusters().contains(&name), "a plan makes nothing");
    killed_while_it_is_made(&rig);
    let up = rig.up(&["-o", "json"]).expect(0);
    assert!(up.stderr.contains("was left half made"), "{up:?}");
    let up = up.json();
    assert_eq!(up["changed"], true);
    assert_eq!(up["left_alone"], serde_json::json!([]));
    assert!(clusters().contains(&name));
    let again = rig.up(&["-o", "json"]).expect(0).json();
    assert_eq!(again["changed"], false, "{again}");
    println!("up {} ms, again {} ms", up["took_ms"], again["took_ms"]);

    charts_are_held_against_the_cluster(&rig);

    // No process of ours leads to the API: kind's port mapping does.
    let url = format!("http://127.0.0.1:{}", rig.port);
    assert_eq!(up["api_url"], url.as_str());
    let status = rig.run(&["status", "-o", "json"]).expect(0).json();
    assert_eq!(status["tunnel"]["pid"], Value::Null, "{status}");
    assert_eq!(status["tunnel"]["services"][0]["healthy"], true);

    // Real KEDA from its release scales real workers.
    let load = [
        "load",
        "--rps",
        "500",
        "--duration",
        "10s",
        "--wait-zero",
        "120s",
    ];
    let slo = ["--slo", "lost=0,duplicated=0,p99<60s", "-o", "json"];
    let done = rig.run(&[&load[..], &slo].concat()).expect(0).json();
    assert_eq!(done["audit"]["done"], 5000);
    assert!(done["scaling"]["to_zero_s"].is_number(), "{done}");

    nodes_that_stood_still_are_started(&rig);
    images_that_a_node_refuses_come_by_kind_itself(&rig);

    // Without --purge the cluster stays, and so does what a next `up` goes on with.
    let down = rig.run(&["down", "-o", "json"]).expect(0).json();
    let releases = serde_json::json!(["metrics-server", "redis", "keda"]);
    assert_eq!(down["releases"], releases);
    assert!(clusters().contains(&name));
    rig.run(&["down", "--purge"]).check(0);
    assert_eq!(containers(&name), Vec::<String>::new());
    // The other clusters are still in it.
    assert!(docker(&["network", "ls", "--format", "{{.Name}}"]).contains("kind"));
    rig.run(&["down", "--purge"]).check(0);
    let state = rig.context.dir().join("state");
    let left = ["kind", "clusters", "tunnel"].map(|it| state.join(it));
    let left = left
        .iter()
        .flat_map(|it| fs::read_dir(it).into_iter().flatten());
    let left: Vec<_> = left.map(|it| it.unwrap().path()).collect();
    assert!(left.is_empty(), "{left:?}");
    // The user's own kubeconfig was never written.
    assert!(!rig.context.dir().join("home/.kube").exists());
}

/// The version of Kubernetes is the cluster's, and what this stack installed is no finding about itself.
fn charts_are_held_against_the_cluster(rig: &Rig) {
    let values = rig.values();
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    let check = [&["charts", "check", "-o", "json"], values.as_slice()].concat();
    let checked = rig.run(&check).expect(0).json();
    let version = checked["kube_version"].as_str().unwrap();
    let server: Value = serde_json::from_str(&docker(&[
        "exec",
        &format!("{}-control-plane", rig.name),
        "kubectl",
        "--kubeconfig=/etc/kubernetes/admin.conf",
        "get",
        "--raw=/version",
    ]))
    .unwrap();
    let server = server["gitVersion"].as_str().unwrap();
    assert!(
        server
            .trim_start_matches('v')
            .starts_with(version.trim_start_matches('v')),
        "{checked}"
    );
    assert_eq!(
        (&checked["releases"], &checked["left_alone"]),
        (&3.into(), &serde_json::json!([]))
    );
}

/// As after a reboot: containers are there and do not run.
fn nodes_that_stood_still_are_started(rig: &Rig) {
    let node = format!("{}-control-plane", rig.name);
    docker(&["stop", &node]);
    let away = rig.run(&["status"]).expect(8);
    assert!(away.stderr.contains("hint:"), "{away:?}");
    let up = rig.up(&[]).expect(0);
    assert!(up.stderr.contains(&format!("{node} stood still")), "{up:?}");
    let load = [
        "load",
        "--rps",
        "20",
        "--duration",
        "2s",
        "--slo",
        "lost=0,p99<60s",
    ];
    rig.run(&load).check(0);
}

/// An engine through which no import succeeds: whole archives go by `kind load`, which has a way of its own.
fn images_that_a_node_refuses_come_by_kind_itself(rig: &Rig) {
    let node = format!("{}-control-plane", rig.name);
    let ctr = ["exec", &node, "ctr", "-n", "k8s.io", "images"];
    let of_api = || {
        let all = docker(&[&ctr[..], &["ls", "-q"]].concat());
        let of_api = all.lines().find(|it| it.contains("kedactl-api:"));
        of_api.map(str::to_owned)
    };
    let image = of_api().unwrap();
    docker(&[&ctr[..], &["rm", "--sync", &image]].concat());
    let real = find("docker").unwrap();
    let script = format!(
        "#!/bin/sh\ncase \"$*\" in *' images import '*) cat >/dev/null; echo no room for it >&2; exit 1 ;; esac\nexec {} \"$@\"\n",
        real.display()
    );
    let engine = rig.context.write("bin/docker", &script);
    fs::set_permissions(&engine, fs::Permissions::from_mode(0o755)).unwrap();
    let engine = format!("images.engine={}", engine.display());
    let up = rig.up(&["--set", &engine]).expect(0);
    assert!(up.stderr.contains("no room for it"), "{up:?}");
    assert!(up.stderr.contains("kind load image-archive"), "{up:?}");
    assert_eq!(of_api(), Some(image));
}

/// Kills `up` alone while kind makes the nodes; kind works on, and the next run has to end it.
fn killed_while_it_is_made(rig: &Rig) {
    let place = rig.place();
    let args: Vec<&str> = place.iter().map(String::as_str).collect();
    let mut up = rig.spawn(&[&["up"], args.as_slice()].concat());
    until("the first node", Duration::from_mins(1), || {
        clusters().contains(&rig.name)
    });
    up.kill().unwrap();
    up.wait().unwrap();
}

#[test]
fn a_cluster_that_somebody_else_made_is_adopted_by_its_identity_and_stays() {
    let _turn = turn::beside_others();
    let mut rig = Rig::new("adopted");
    let cluster = variable("KEDACTL_TEST_CLUSTER");
    rig.on_a_kind_cluster(&format!(
        "images: {{kindCluster: null}}\nkind: {{cluster: {cluster}}}\n"
    ));
    let refused = rig.up(&[]).expect(5);
    assert!(refused.stderr.contains("--allow-cluster"), "{refused:?}");
    let uid = rig.cluster_uid();
    rig.up(&["--allow-cluster", &uid[..8]]).check(0);
    // Known from now on.
    rig.up(&[]).check(0);
    rig.run(&["down", "--purge"]).check(0);
    assert!(clusters().contains(&cluster));
    assert_eq!(rig.leftovers(), Vec::<String>::new());
}
