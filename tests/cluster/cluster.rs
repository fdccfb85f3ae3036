//! The cluster that `lab up` started, as a test uses it: kubectl, namespaces that end with the test, addresses.
//!
//! It must not start or stop a cluster.

use kedactl_exec::{ExecError, Run};
use kedactl_testkit::until;
use serde_json::Value;
use std::path::PathBuf;
use std::time::Duration;

const HOW: &str = "no test cluster: start one with `tests/cluster/lab up`, then run this as \
                   `tests/cluster/lab exec -- TEST-PROGRAM`; `./test --cluster` does both";

/// busybox, redis-server and redis-cli; on every node of a test cluster.
pub(crate) const SAMPLE: &str = "localhost/kedactl/sample:1";

/// A variable that `lab exec` sets.
///
/// # Panics
/// Where it is not set.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place where these tests read their environment"
)]
pub(crate) fn variable(name: &str) -> String {
    std::env::var(name).expect(HOW)
}

pub(crate) struct Cluster {
    kubeconfig: PathBuf,
}

impl Cluster {
    /// The cluster of this run.
    ///
    /// # Panics
    /// Where there is none, or it does not answer.
    pub(crate) fn of_this_run() -> Self {
        let kubeconfig = variable("KEDACTL_TEST_KUBECONFIG");
        let cluster = Self {
            kubeconfig: kubeconfig.into(),
        };
        if let Err(error) = cluster.try_kubectl(&["get", "--raw", "/readyz"]) {
            panic!("{HOW}: {error}");
        }
        cluster
    }

    fn run(&self, args: &[&str]) -> Run {
        Run::new("kubectl")
            .arg("--kubeconfig")
            .arg(&self.kubeconfig)
            .args(args)
            .within(Duration::from_mins(2))
    }

    /// Its stdout.
    pub(crate) fn try_kubectl(&self, args: &[&str]) -> Result<String, ExecError> {
        Ok(self.run(args).run()?.stdout)
    }

    /// As [`Self::try_kubectl`], where an error ends the test.
    pub(crate) fn kubectl(&self, args: &[&str]) -> String {
        self.try_kubectl(args)
            .unwrap_or_else(|error| panic!("{error}"))
    }

    pub(crate) fn json(&self, args: &[&str]) -> Value {
        let text = self.kubectl(&[args, &["-o", "json"]].concat());
        serde_json::from_str(&text).unwrap()
    }

    /// Addresses of the nodes, reachable from inside the cluster's network.
    pub(crate) fn node_addresses(&self) -> Vec<String> {
        let text = self.kubectl(&[
            "get",
            "nodes",
            "-o",
            "jsonpath={.items[*].status.addresses[?(@.type=='InternalIP')].address}",
        ]);
        text.split_whitespace().map(str::to_owned).collect()
    }

    /// A namespace of the test's own, which is deleted on drop.
    pub(crate) fn namespace(&self, purpose: &str) -> Namespace<'_> {
        let nanos = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap()
            .as_nanos();
        let name = format!("{purpose}-{}-{:x}", std::process::id(), nanos & 0xff_ffff);
        self.kubectl(&["create", "namespace", &name]);
        Namespace {
            cluster: self,
            name,
        }
    }
}

pub(crate) struct Namespace<'a> {
    cluster: &'a Cluster,
    pub(crate) name: String,
}

impl Namespace<'_> {
    pub(crate) fn try_kubectl(&self, args: &[&str]) -> Result<String, ExecError> {
        self.cluster
            .try_kubectl(&[&["-n", &self.name], args].concat())
    }

    pub(crate) fn kubectl(&self, args: &[&str]) -> String {
        self.cluster.kubectl(&[&["-n", &self.name], args].concat())
    }

    pub(crate) fn apply(&self, yaml: &str) {
        let applied = self
            .cluster
            .run(&["-n", &self.name, "apply", "-f", "-"])
            .stdin(yaml)
            .run();
        applied.unwrap_or_else(|error| panic!("{error}"));
    }

    /// Runs a command in the pod of a workload, as `deploy/web`.
    pub(crate) fn inside(&self, workload: &str, command: &[&str]) -> Result<String, ExecError> {
        self.try_kubectl(&[&["exec", workload, "--"], command].concat())
    }

    pub(crate) fn until_available(&self, deployment: &str) {
        self.kubectl(&[
            "wait",
            "--for=condition=Available",
            "--timeout=90s",
            &format!("deployment/{deployment}"),
        ]);
    }

    /// Waits until a Deployment has this many ready pods; none are no field at all.
    pub(crate) fn until_ready(&self, deployment: &str, pods: u64, within: Duration) {
        until(
            &format!("{pods} ready pods of {deployment}"),
            within,
            || {
                let found = self
                    .cluster
                    .json(&["-n", &self.name, "get", "deployment", deployment]);
                let status = &found["status"];
                let count = |name: &str| status[name].as_u64().unwrap_or(0);
                count("readyReplicas") == pods && count("replicas") == pods
            },
        );
    }
}

impl Drop for Namespace<'_> {
    /// What KEDA guards with a finalizer goes first, while KEDA is there to let it go.
    fn drop(&mut self) {
        drop(self.try_kubectl(&["delete", "scaledobjects", "--all", "--timeout=60s"]));
        drop(
            self.cluster
                .try_kubectl(&["delete", "namespace", &self.name, "--wait=false"]),
        );
    }
}
