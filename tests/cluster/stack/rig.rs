//! A stack of a test's own on the run's cluster, as a user would bring it up, and a look past `kedactl` at what is there.
//!
//! It must not know what a test wants to find.

use crate::cluster::{Cluster, variable};
use kedactl_cluster::Target;
use kedactl_shadow::{Options, Recorder, Report};
use kedactl_tests::{Context, Outcome};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};

static COUNT: AtomicU32 = AtomicU32::new(0);

pub(crate) struct Rig {
    pub(crate) context: Context,
    pub(crate) cluster: Cluster,
    pub(crate) name: String,
    pub(crate) port: u16,
    values: std::path::PathBuf,
    /// Options that say which cluster; the run's own unless a test says otherwise.
    place: Option<Vec<String>>,
    /// The embedded layer with short intervals.
    fast: bool,
}

impl Rig {
    /// A stack that is not up yet.
    pub(crate) fn new(purpose: &str) -> Self {
        Self::with(purpose, "{}")
    }

    /// One with more values, which win.
    pub(crate) fn with(purpose: &str, more: &str) -> Self {
        let cluster = Cluster::of_this_run();
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{purpose}-{}-{count}", std::process::id());
        let mut context = Context::new(env!("CARGO_BIN_EXE_kedactl-under-test"));
        context = context.with_env("DOCKER_HOST", &variable("DOCKER_HOST"));
        let port = kedactl_testkit::free_port();
        let values = context.write("values.yaml", &values(&name, port));
        context.write("more.yaml", more);
        Self {
            context,
            cluster,
            name,
            port,
            values,
            place: None,
            fast: true,
        }
    }

    /// From now on with the intervals that users have.
    pub(crate) fn unhurried(mut self) -> Self {
        self.fast = false;
        self
    }

    /// From now on with a kind cluster of the stack's own, and these values on top.
    pub(crate) fn on_a_kind_cluster(&mut self, more: &str) {
        self.place = Some(["--provider", "kind"].map(str::to_owned).into());
        self.context.write("more.yaml", more);
    }

    pub(crate) fn namespace(&self) -> &str {
        &self.name
    }

    /// A command of `kedactl` for this stack.
    pub(crate) fn run(&self, args: &[&str]) -> Outcome {
        self.context.run(&[args, &["--stack", &self.name]].concat())
    }

    /// The same in the background, its output piped.
    pub(crate) fn spawn(&self, args: &[&str]) -> std::process::Child {
        self.context
            .spawn(&[args, &["--stack", &self.name]].concat())
    }

    /// kubectl in the stack's namespace.
    pub(crate) fn kubectl(&self, args: &[&str]) -> String {
        self.cluster
            .kubectl(&[&["-n", self.namespace()], args].concat())
    }

    /// Options that say which cluster, and the values.
    pub(crate) fn place(&self) -> Vec<String> {
        let mut all = self.place.clone().unwrap_or_else(|| self.of_this_run());
        all.extend(self.values());
        all
    }

    fn of_this_run(&self) -> Vec<String> {
        let uid = self.cluster_uid();
        let context = self.cluster.kubectl(&["config", "current-context"]);
        [
            "--provider",
            "context",
            "--kubeconfig",
            &variable("KEDACTL_TEST_KUBECONFIG"),
            "--context",
            context.trim(),
            "--allow-cluster",
            &uid[..8],
        ]
        .map(str::to_owned)
        .into()
    }

    pub(crate) fn values(&self) -> Vec<String> {
        let values = self.values.display().to_string();
        let fast: &[&str] = if self.fast { &["-f", "fast"] } else { &[] };
        let own = ["-f", &values, "-f", "more.yaml"];
        fast.iter().chain(&own).map(|it| (*it).to_owned()).collect()
    }

    pub(crate) fn cluster_uid(&self) -> String {
        let system = self.cluster.json(&["get", "namespace", "kube-system"]);
        system["metadata"]["uid"].as_str().unwrap().to_owned()
    }

    /// `kedactl COMMAND` with the place, the values and more.
    pub(crate) fn command(&self, command: &str, more: &[&str]) -> Outcome {
        let place = self.place();
        let mut args = vec![command];
        args.extend(place.iter().map(String::as_str));
        args.extend(more);
        self.run(&args)
    }

    pub(crate) fn up(&self, more: &[&str]) -> Outcome {
        self.command("up", more)
    }

    /// Records what the autoscalers of the stack see and do meanwhile, and compares it with what is computed from the same readings.
    pub(crate) fn recorded<T>(&self, meanwhile: impl FnOnce() -> T) -> (T, Report) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let context = self.cluster.kubectl(&["config", "current-context"]);
        let target = Target::new(variable("KEDACTL_TEST_KUBECONFIG"), context.trim());
        let recorder = runtime.block_on(async {
            let cluster = kedactl_cluster::Cluster::connect(&target).await.unwrap();
            Recorder::start(&cluster, self.namespace(), Options::default())
                .await
                .unwrap()
        });
        let result = meanwhile();
        let recording = runtime.block_on(recorder.stop());
        (result, recording.compare())
    }

    /// Resource versions of everything in the stack's namespaces that `up` writes, by kind and name.
    pub(crate) fn versions(&self) -> BTreeMap<String, String> {
        let kinds = "deployments,statefulsets,services,configmaps,secrets,serviceaccounts,networkpolicies,\
                     poddisruptionbudgets,scaledobjects,triggerauthentications";
        let namespace = self.namespace();
        let found = self.cluster.json(&["-n", namespace, "get", kinds]);
        let text = |it: &Value, path: &str| it.pointer(path).unwrap().as_str().unwrap().to_owned();
        found["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| {
                let name = format!("{} {}", text(it, "/kind"), text(it, "/metadata/name"));
                // Status moves by itself; a write of ours moves the generation, or the version where there is none.
                let version = it["metadata"]["generation"].as_u64().map_or_else(
                    || text(it, "/metadata/resourceVersion"),
                    |generation| format!("generation {generation}"),
                );
                (name, version)
            })
            .collect()
    }

    /// Everything that carries the stack's label anywhere, or lives in its namespaces.
    pub(crate) fn leftovers(&self) -> Vec<String> {
        let selector = format!("kedactl.io/stack={}", self.name);
        let kinds = "namespaces,deployments,statefulsets,services,configmaps,secrets,serviceaccounts,networkpolicies,\
                     poddisruptionbudgets,scaledobjects,triggerauthentications,horizontalpodautoscalers,\
                     persistentvolumeclaims,leases,pods";
        let found = self.cluster.kubectl(&[
            "get",
            kinds,
            "--all-namespaces",
            "-l",
            &selector,
            "--no-headers",
            "--ignore-not-found",
            "-o",
            "name",
        ]);
        let namespaces = self.cluster.kubectl(&["get", "namespaces", "-o", "name"]);
        let ours = format!("namespace/{}", self.name);
        let namespaces = namespaces.lines().filter(|it| it.starts_with(&ours));
        found.lines().chain(namespaces).map(str::to_owned).collect()
    }

    /// What a reader of a failed test wants to know of the stack, before it is taken away.
    fn show(&self) {
        for asked in [
            &["get", "pods,jobs,scaledobjects,horizontalpodautoscalers"][..],
            &["get", "events", "--sort-by=.lastTimestamp"],
            &[
                "logs",
                "-l",
                "app.kubernetes.io/name=worker",
                "--tail=20",
                "--prefix",
            ],
        ] {
            let args = [&["-n", self.namespace()], asked].concat();
            let said = self.cluster.try_kubectl(&args);
            println!(
                "# {}: kubectl {}\n{}",
                self.name,
                asked.join(" "),
                said.unwrap_or_else(|error| error.to_string())
            );
        }
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.show();
        }
        let ended = self.run(&["down", "--purge", "--release-finalizers"]);
        // A second panic would hide the first.
        assert!(
            ended.code == Some(0) || std::thread::panicking(),
            "down: {ended:?}"
        );
    }
}

fn values(name: &str, port: u16) -> String {
    let cluster = variable("KEDACTL_TEST_CLUSTER");
    let (api, worker) = (
        env!("CARGO_BIN_EXE_api-under-test"),
        env!("CARGO_BIN_EXE_worker-under-test"),
    );
    format!(
        "name: {name}
namespace: {name}
monitoring: {{namespace: {name}-monitoring}}
tunnel: {{port: {port}}}
images:
  build: [api, worker, redis]
  kindCluster: {cluster}
  programs: {{api: {api}, worker: {worker}}}
redis:
  storage: {{size: 64Mi}}
  resources: {{requests: {{cpu: 25m, memory: 32Mi}}, limits: {{cpu: '1', memory: 256Mi}}}}
api:
  resources: {{requests: {{cpu: 100m, memory: 32Mi, ephemeral-storage: 16Mi}}}}
worker:
  resources: {{requests: {{cpu: 25m, memory: 32Mi, ephemeral-storage: 16Mi}}}}
  terminationGracePeriodSeconds: 20
"
    )
}
