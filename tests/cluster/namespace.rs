//! Namespaces of a test's own, which end with it, and what a test does in them.
//!
//! It must not know what a test wants to find.

use crate::cluster::Cluster;
use kedactl_exec::ExecError;
use kedactl_testkit::until;
use std::time::Duration;

/// busybox, redis-server and redis-cli; on every node of a test cluster.
pub(crate) const SAMPLE: &str = "localhost/kedactl/sample:1";

impl Cluster {
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
