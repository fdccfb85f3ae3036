//! Huey's workers on a real cluster: the image made by the example's recipe, scaled by the real KEDA on Huey's own keys.
//!
//! It must not count tasks by itself: the application counts them in Redis, and its own producer reads the count.

use crate::cluster::variable;
use crate::rig::Rig;
use crate::turn;
use kedactl_testkit::until;
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

const WITHIN: Duration = Duration::from_mins(4);
/// Pods of the example have a minute.
const STOPS_WITHIN: Duration = Duration::from_secs(45);
const WORKERS: &str = "app.kubernetes.io/name=worker";

/// The example's values with paths that hold anywhere, this cluster's images, and intervals for tasks of half a second.
fn values(kind: &str) -> String {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/huey");
    let example = example.canonicalize().unwrap();
    let text = std::fs::read_to_string(example.join("kedactl.yaml")).unwrap();
    let place = |name: &str| example.join(name).display().to_string();
    let list = if kind == "kept" {
        "huey.kept.shop"
    } else {
        "huey.redis.shop"
    };
    text.replace("name: huey\n", "")
        .replace(
            "requirements: requirements.txt",
            &format!("requirements: {}", place("requirements.txt")),
        )
        .replace("/app: app", &format!("/app: {}", place("app")))
        .replace("build: [api, worker]", "build: [api, worker, redis]")
        .replace("HUEY_QUEUE: list", &format!("HUEY_QUEUE: {kind}"))
        .replace("listName: huey.redis.shop", &format!("listName: {list}"))
        .replace(": 120\n", ": 15\n")
        .replace("  autoscaling:\n", "  autoscaling:\n    maxReplicas: 3\n")
}

/// A stack of it whose packages come from a folder: the network of a test cluster reaches no index.
fn rig(purpose: &str, kind: &str) -> Rig {
    let mut rig = Rig::with(purpose, &values(kind));
    let wheels = variable("KEDACTL_TEST_WHEELS");
    rig.context.set_env("PIP_FIND_LINKS", &wheels);
    rig.context.set_env("PIP_NO_INDEX", "1");
    rig
}

impl Rig {
    /// The producer as a Job with everything that a worker's pod has; answers what it printed.
    fn produce(&self, name: &str, args: &[&str]) -> String {
        let command = [&["python3", "/app/produce.py"], args].concat();
        let mut template = self.like_a_worker(&command);
        template["spec"]["restartPolicy"] = json!("Never");
        self.apply(&json!({
            "apiVersion": "batch/v1", "kind": "Job",
            "metadata": {"name": name, "namespace": self.namespace()},
            "spec": {"backoffLimit": 0, "template": template},
        }));
        let job = format!("job/{name}");
        self.kubectl(&["wait", "--for=condition=complete", "--timeout=90s", &job]);
        let said = self.kubectl(&["logs", &job]);
        self.kubectl(&["delete", &job, "--wait"]);
        said.trim().to_owned()
    }

    /// A pod that has no handler for any signal, as every worker in the first seconds of its start, ends when it is told to.
    fn ends_before_it_has_handlers(&self) {
        let mut pod = self.like_a_worker(&["python3", "-c", "import time; time.sleep(600)"]);
        pod["apiVersion"] = json!("v1");
        pod["kind"] = json!("Pod");
        // Without the labels that make it one of the workers.
        pod["metadata"] = json!({"name": "starting", "namespace": self.namespace()});
        self.apply(&pod);
        let ready = [
            "wait",
            "--for=condition=Ready",
            "--timeout=90s",
            "pod/starting",
        ];
        self.kubectl(&ready);
        let within = format!("--timeout={}s", STOPS_WITHIN.as_secs());
        self.kubectl(&["delete", "pod", "starting", "--wait", &within]);
    }

    /// The template of the worker's pods with another command.
    fn like_a_worker(&self, command: &[&str]) -> Value {
        let deployment = self.kubectl(&["get", "deployment", "worker", "-o", "json"]);
        let deployment: Value = serde_json::from_str(&deployment).unwrap();
        let mut template = deployment["spec"]["template"].clone();
        template["spec"]["containers"][0]["command"] = json!(command);
        template
    }

    fn apply(&self, object: &Value) {
        let file = self.context.write("object.json", &object.to_string());
        self.kubectl(&["apply", "-f", &file.display().to_string()]);
    }

    fn huey_workers(&self) -> u64 {
        let replicas = self.kubectl(&[
            "get",
            "deployment",
            "worker",
            "-o",
            "jsonpath={.spec.replicas}",
        ]);
        replicas.trim().parse().unwrap_or(0)
    }
}

impl Rig {
    /// From zero to several workers, to which something happens as soon as one of them works; then to zero. Each task ran once.
    fn goes_up_and_down(&self, seconds: &str, meanwhile: impl FnOnce(&Self)) {
        self.up(&[]).check(0);
        self.no_worker();
        assert_eq!(self.produce("produce", &["120", seconds]), "120");
        meanwhile(self);
        until("several workers", WITHIN, || self.huey_workers() >= 2);
        self.no_worker();
        let counted = self.produce("count", &["--count"]);
        assert_eq!(counted, "done 120 more-than-once 0 queued 0");
        println!("{}: {counted}", self.name);
    }

    /// Waits until nothing is wanted, and from then on less than the pods' grace period until none is there: however early in
    /// its start a worker was stopped, it heard of it.
    fn no_worker(&self) {
        until("no worker is wanted", WITHIN, || self.huey_workers() == 0);
        until("no worker is left", STOPS_WITHIN, || {
            self.kubectl(&["get", "pods", "-l", WORKERS, "-o", "name"])
                .is_empty()
        });
    }

    /// Stops every worker with tasks in it, as each scale-in does.
    fn stop_workers_at_work(&self) {
        until("a worker runs tasks", WITHIN, || {
            let pods = self.kubectl(&["get", "pods", "-l", WORKERS, "-o", "name"]);
            let runs = |pod: &str| {
                let logs = ["-n", self.namespace(), "logs", pod];
                let logs = self.cluster.try_kubectl(&logs);
                logs.is_ok_and(|it| it.contains("Executing"))
            };
            pods.lines().any(runs)
        });
        self.kubectl(&["delete", "pods", "-l", WORKERS, "--wait=false"]);
    }
}

#[test]
fn huey_goes_from_zero_to_many_and_back_and_finishes_what_runs_where_it_is_stopped() {
    let _turn = turn::beside_others();
    let rig = rig("huey-list", "list");
    rig.goes_up_and_down("3", Rig::stop_workers_at_work);
    rig.ends_before_it_has_handlers();
}

#[test]
#[ignore = "a minute and more for each kind: `./test --cluster` runs it"]
fn huey_with_priorities_or_kept_tasks_does_so_too() {
    let _turn = turn::beside_others();
    for kind in ["sorted-set", "kept"] {
        rig(&format!("huey-{kind}"), kind).goes_up_and_down("2", |_| {});
    }
}
