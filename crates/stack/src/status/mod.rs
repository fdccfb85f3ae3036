//! One look at a stack on a cluster: what is there, what it reads, and why it has the size that it has.
//!
//! Must not wait for what does not answer: a part that cannot be read is absent, with the reason.

mod gather;
mod parts;
mod why;

use kedactl_cluster::PodView;
use kedactl_queue::{QueueStats, Survey};
use serde::Serialize;

pub(crate) use gather::gather;
pub use gather::in_full;
pub use parts::{ReleaseStatus, ScalerStatus, WorkloadStatus};
pub use why::Reading;
pub(crate) use why::{of_autoscaler, readings};

use crate::LastRun;

/// A stack at one moment.
#[derive(Debug, Clone)]
pub struct Status {
    /// Where it runs.
    pub cluster: ClusterStatus,
    /// The Helm releases in its namespaces.
    pub releases: Vec<ReleaseStatus>,
    /// What keeps pods in the stack's own namespace.
    pub workloads: Vec<WorkloadStatus>,
    /// `ScaledObjects` and autoscalers of that namespace.
    pub scalers: Vec<ScalerStatus>,
    /// The pods of all its namespaces, by namespace and name.
    pub pods: Vec<PodView>,
    /// Nodes that do not answer and that pods of the stack are on; none where nodes may not be read.
    pub lost_nodes: Vec<LostNode>,
    /// The numbers of its queue, or why they are not known.
    pub queue: Result<QueueStatus, String>,
    /// Redis and its Sentinels, or why nothing is known of them.
    pub redis: Result<Survey, String>,
    /// Its tunnel, or why there is none.
    pub tunnel: Result<kedactl_tunnel::Status, String>,
    /// The port of this machine that kind leads to the API, and whether it answers there, where that is the way.
    pub mapped: Option<(std::net::SocketAddr, bool)>,
    /// How the last run on it ended.
    pub last_run: Option<LastRun>,
    /// What could not be read, and why.
    pub gaps: Vec<String>,
}

/// A cluster that answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ClusterStatus {
    /// The context by which it was reached.
    pub context: String,
    /// Address of its API server.
    pub server: String,
    /// UID of its namespace kube-system.
    pub uid: String,
    /// `v1.34.1`; empty where it may not be asked.
    pub version: String,
}

/// A node that does not answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LostNode {
    /// Its name.
    pub name: String,
    /// Pods of the stack that are on it.
    pub pods: usize,
    /// What Kubernetes says of it: `NodeStatusUnknown: Kubelet stopped posting node status.`
    pub why: String,
}

impl std::fmt::Display for LostNode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { name, pods, why } = self;
        let pods = crate::job::plural(*pods, "pod");
        write!(f, "node {name} with {pods} is not ready: {why}")
    }
}

/// The numbers of one queue.
#[derive(Debug, Clone)]
pub struct QueueStatus {
    /// Its name.
    pub name: String,
    /// What it holds.
    pub stats: QueueStats,
    /// What KEDA's own script reads.
    pub keda: u64,
}

impl Status {
    /// The first thing that is not as it should be; `None` where all is.
    pub fn unready(&self) -> Option<String> {
        // Everything else follows from it.
        if let Some(node) = self.lost_nodes.first() {
            return Some(node.to_string());
        }
        let release = self.releases.iter().find_map(ReleaseStatus::unready);
        let workload = || self.workloads.iter().find_map(WorkloadStatus::unready);
        let scaler = || {
            let mut failing = self.scalers.iter().filter(|it| it.problem.is_some());
            failing
                .next()
                .map(|it| format!("{}/{}: {}", it.kind, it.name, it.why))
        };
        release.or_else(workload).or_else(scaler)
    }
}
