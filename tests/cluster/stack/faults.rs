//! What can happen to a stack on a cluster, done to the real thing.
//!
//! It must not wait for the stack to recover: the test does.

use crate::cluster::variable;
use crate::rig::Rig;
use kedactl_exec::Run;
use kedactl_testkit::until;
use serde_json::Value;
use std::time::Duration;

pub(crate) struct Fault {
    pub(crate) name: &'static str,
    pub(crate) happens: fn(&Rig),
}

pub(crate) const ALL: &[Fault] = &[
    Fault {
        name: "worker pod deleted",
        happens: delete_a_worker,
    },
    Fault {
        name: "worker killed",
        happens: |_| kill("kedactl-worker"),
    },
    Fault {
        name: "Redis master pod deleted",
        happens: |rig| {
            let master = master(rig);
            rig.kubectl(&["delete", "pod", &master, "--wait=false"]);
        },
    },
    Fault {
        name: "Redis master pod killed",
        happens: |rig| {
            let master = master(rig);
            let now = ["--grace-period=0", "--force", "--wait=false"];
            rig.kubectl(&[&["delete", "pod", &master][..], &now].concat());
        },
    },
    Fault {
        name: "API server killed",
        happens: |rig| {
            kill("kube-apiserver");
            until_it_answers(rig);
        },
    },
    Fault {
        name: "containerd restarted",
        happens: |_| drop(on_node(&["systemctl", "restart", "containerd"])),
    },
];

/// Waits until a worker works, so that there is something to lose.
pub(crate) fn until_working(rig: &Rig) {
    until("a ready worker", Duration::from_mins(1), || {
        let found = rig
            .cluster
            .json(&["-n", rig.namespace(), "get", "deployment", "worker"]);
        found["status"]["readyReplicas"].as_u64().unwrap_or(0) > 0
    });
}

/// The pod of Redis' master, as `status` names it.
fn master(rig: &Rig) -> String {
    let mut found = None;
    until("a master of Redis", Duration::from_mins(1), || {
        let status = rig.run(&["status", "-o", "json"]);
        found = (status.code == Some(0))
            .then(|| status.json()["redis"]["master"].as_str().map(str::to_owned))
            .flatten();
        found.is_some()
    });
    found.expect("a master")
}

fn until_it_answers(rig: &Rig) {
    until("the API server", Duration::from_mins(2), || {
        rig.cluster.try_kubectl(&["get", "--raw=/readyz"]).is_ok()
    });
}

/// Deletes a worker's pod that nobody stops yet; one that is scaled in meanwhile is not it.
fn delete_a_worker(rig: &Rig) {
    let workers = "app.kubernetes.io/component=worker";
    until("a worker's pod to delete", Duration::from_mins(1), || {
        let asked = ["-n", rig.namespace(), "get", "pods", "-l", workers];
        let pods = rig.cluster.json(&asked);
        let pods = pods["items"].as_array().unwrap().iter();
        let stays = |pod: &&Value| {
            pod["status"]["phase"] == "Running" && pod["metadata"]["deletionTimestamp"].is_null()
        };
        let name = pods
            .filter(stays)
            .find_map(|pod| pod["metadata"]["name"].as_str());
        name.is_some_and(|name| {
            let delete = ["-n", rig.namespace(), "delete", "pod", name, "--wait=false"];
            rig.cluster.try_kubectl(&delete).is_ok()
        })
    });
}

/// Runs a command on the cluster's only node.
fn on_node(command: &[&str]) -> String {
    let node = format!("{}-control-plane", variable("KEDACTL_TEST_CLUSTER"));
    let run = Run::new("docker")
        .args(["exec", &node])
        .args(command.iter().copied())
        .within(Duration::from_mins(1));
    run.run().unwrap_or_else(|error| panic!("{error}")).stdout
}

/// Kills one process of the node by its name, without a word to it, as soon as there is one.
fn kill(program: &str) {
    let script = format!(
        "for dir in /proc/[0-9]*; do \
         if [ \"$(cat $dir/comm 2>/dev/null)\" = \"{program}\" ] && kill -9 ${{dir#/proc/}}; then echo killed; exit 0; fi; done"
    );
    until(
        &format!("{program} to kill"),
        Duration::from_mins(1),
        || on_node(&["sh", "-c", &script]).trim() == "killed",
    );
}
