//! Two nodes: images on both, pods spread over both; one of them frozen under load, then stopped and started.
//!
//! It must not take the node away that the API server is on.

use super::{docker, of_its_own, with};
use crate::cluster::Cluster;
use crate::rig::Rig;
use crate::turn;
use kedactl_testkit::until;
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::Duration;

/// Kubernetes believes in a silent node for 40 seconds.
const NOTICED: Duration = Duration::from_mins(2);

/// kind keeps a control plane to itself where there are workers; here pods may run on both.
const NODES: &str = "
api: {autoscaling: {minReplicas: 2}}
kind:
  config:
    nodes:
      - role: control-plane
        kubeadmConfigPatches: ['{kind: InitConfiguration, nodeRegistration: {taints: []}}']
      - role: worker
";

/// A node that stands still, as one whose machine or network is gone; it goes on with the end of the test.
struct Frozen(String);

impl Frozen {
    fn new(node: &str) -> Self {
        docker(&["pause", node]);
        Self(node.to_owned())
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        docker(&["unpause", &self.0]);
    }
}

impl Rig {
    /// The nodes of a workload's pods, one for each pod.
    fn nodes_of(&self, workload: &str) -> Vec<String> {
        let found = self.cluster.json(&["-n", self.namespace(), "get", "pods"]);
        let text = |it: &Value, path: &str| {
            it.pointer(path)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let all = found["items"].as_array().unwrap().iter();
        let all = all.filter(|it| text(it, "/metadata/name").starts_with(&format!("{workload}-")));
        all.map(|it| text(it, "/spec/nodeName")).collect()
    }

    /// Load of half a minute, and what happens meanwhile once a worker works: nothing that was acknowledged is lost.
    fn loses_nothing_while(&self, seed: &str, meanwhile: impl FnOnce()) {
        let load = [
            "load",
            "--rps",
            "100",
            "--duration",
            "30s",
            "--arrivals",
            "uniform",
            "--seed",
            seed,
        ];
        let end = [
            "--drain-timeout",
            "240s",
            "--slo",
            "lost=0,p99<120s",
            "-o",
            "json",
        ];
        let load = self.spawn(&[&load[..], &end].concat());
        until("a ready worker", NOTICED, || {
            let worker =
                self.cluster
                    .json(&["-n", self.namespace(), "get", "deployment", "worker"]);
            worker["status"]["readyReplicas"].as_u64() > Some(0)
        });
        meanwhile();
        let ended = load.wait_with_output().unwrap();
        let result: Value = serde_json::from_slice(&ended.stdout)
            .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&ended.stderr)));
        let audit = &result["audit"];
        println!("{audit}");
        assert_eq!(audit["lost"], 0, "{audit}");
        // How many more there are is for the node to say that has two of the three Sentinels: without them none is accepted.
        assert!(audit["acknowledged"].as_u64() > Some(100), "{audit}");
    }

    /// `status` names the node that is away, and why that matters.
    fn says_which_node_is_away(&self, node: &str) {
        let mut said = String::new();
        until("status names the lost node", NOTICED, || {
            said = self.run(&["status"]).stdout;
            said.contains(&format!("node {node} with "))
        });
        println!("{}", said.lines().nth(1).unwrap_or_default());
    }

    fn runs_as_before(&self) {
        until("the stack runs as before", NOTICED, || {
            let status = self.run(&["status", "-o", "json"]);
            status.code == Some(0) && status.json()["phase"] == "running"
        });
    }
}

fn images_on(node: &str) -> String {
    docker(&["exec", node, "ctr", "-n", "k8s.io", "images", "ls", "-q"])
}

#[test]
#[ignore = "minutes, as Kubernetes takes them to miss a node: `./test --cluster` runs it"]
fn images_are_on_both_nodes_pods_on_both_and_a_lost_node_loses_no_task() {
    let _turn = turn::alone();
    let mut rig = of_its_own("two");
    with(&rig, NODES);
    let (first, second) = (
        format!("{}-control-plane", rig.name),
        format!("{}-worker", rig.name),
    );
    rig.up(&[]).check(0);
    let kubeconfig = format!("state/kind/{}.kubeconfig", rig.name);
    rig.cluster = Cluster::at(rig.context.dir().join(kubeconfig));

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

    let both = BTreeSet::from([first, second.clone()]);
    for (workload, pods) in [("api", 2), ("redis-node", 3)] {
        let nodes = rig.nodes_of(workload);
        assert_eq!(nodes.len(), pods, "{workload}: {nodes:?}");
        assert_eq!(
            nodes.into_iter().collect::<BTreeSet<_>>(),
            both,
            "{workload}"
        );
    }

    rig.loses_nothing_while("3", || {
        let frozen = Frozen::new(&second);
        rig.says_which_node_is_away(&second);
        drop(frozen);
    });
    rig.up(&["--revert-edits"]).check(0);
    rig.runs_as_before();

    rig.loses_nothing_while("4", || {
        docker(&["stop", &second]);
        rig.says_which_node_is_away(&second);
        let up = rig.up(&["--revert-edits"]).expect(0);
        assert!(
            up.stderr.contains(&format!("{second} stood still")),
            "{up:?}"
        );
    });
    rig.runs_as_before();
}
