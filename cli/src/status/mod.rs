//! What `status` says, as one document (`kedactl.status/v1`) that both the text and the JSON are made from, wherever the
//! stack runs. What only a cluster has is absent elsewhere.
//!
//! It must not fetch anything: what was seen is handed in.

mod cluster;
mod local;

use crate::error::Error;
use kedactl_queue::{Inspector, QueueName};
use kedactl_stack::{ClusterStatus, LastRun, ReleaseStatus};
use serde::Serialize;

/// One look: what was seen, and what kept the rest from being seen.
#[derive(Debug)]
pub(crate) struct Look {
    pub status: Status,
    pub error: Option<Error>,
}

/// One screen of a stack.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Status {
    pub schema: &'static str,
    pub stack: String,
    pub provider: String,
    /// `starting`, `running`, `stopping`; `unsupervised` where the supervisor is dead; `unreachable` where the cluster does
    /// not answer.
    pub phase: String,
    /// Where users reach the API, host:port; empty where they do not.
    pub address: String,
    pub metrics_address: String,
    pub up_seconds: u64,
    pub problem: Option<String>,
    pub queue: Option<Queue>,
    pub redis: Redis,
    pub workloads: Vec<Workload>,
    pub scalers: Vec<Scaler>,
    pub processes: Vec<Process>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<ClusterStatus>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub releases: Option<Vec<ReleaseStatus>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tunnel: Option<Tunnel>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_run: Option<LastRun>,
    /// What could not be read, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gaps: Vec<String>,
}

/// One queue's numbers.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Queue {
    pub name: String,
    pub waiting: u64,
    pub running: u64,
    pub delayed: u64,
    pub dead: u64,
    pub paused: bool,
    /// What KEDA's own script reads: waiting and running.
    pub keda: u64,
}

impl Queue {
    /// One queue's numbers, with the one that KEDA's own script reads.
    pub(crate) async fn read(inspector: &Inspector, name: &QueueName) -> Result<Self, Error> {
        let stats = inspector.stats(name).await?;
        let keda = inspector
            .keda_value(&kedactl_queue::keys::live(name))
            .await?;
        Ok(Self::of(name.to_string(), &stats, keda))
    }

    fn of(name: String, stats: &kedactl_queue::QueueStats, keda: u64) -> Self {
        Self {
            name,
            waiting: stats.waiting,
            running: stats.running,
            delayed: stats.delayed,
            dead: stats.dead,
            paused: stats.paused,
            keda,
        }
    }
}

#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Redis {
    pub master: Option<String>,
    pub replicas_online: u32,
    pub quorum: bool,
    /// Counted by the supervisor of a stack on this machine; nobody counts them in a cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failovers: Option<u64>,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct Workload {
    pub name: String,
    pub desired: u32,
    pub ready: u32,
    pub scaled_by: Option<String>,
    pub reason: String,
}

/// One autoscaler. Times are milliseconds since the Unix epoch.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Scaler {
    /// `ScaledObject` or `HorizontalPodAutoscaler`.
    pub kind: String,
    pub name: String,
    pub target: String,
    pub min: u32,
    pub max: u32,
    pub current: u32,
    pub desired: u32,
    /// `ScaledObject`: whether a trigger is active.
    pub active: Option<bool>,
    /// Somebody paused it: nothing is scaled.
    pub paused: bool,
    /// A trigger cannot be read, and the fallback counts.
    pub fallback: bool,
    pub metrics: Vec<Metric>,
    /// The decision in words.
    pub reason: String,
    pub decided_at: Option<u64>,
    pub scaled_at: Option<u64>,
    pub last_active_at: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<u64>,
    /// Why it does not do its work, where it does not.
    pub error: Option<String>,
}

/// One reading beside its target.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Metric {
    pub name: String,
    pub value: Option<f64>,
    pub target: f64,
    pub target_type: String,
}

/// One process of the stack, or one pod.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Process {
    pub name: String,
    /// `api`, `worker`, `webhook`, `redis-master`, `redis-replica`, `sentinel`, `proxy`, `prometheus`, `alertmanager`, `supervisor`;
    /// of a pod, its component.
    pub role: String,
    /// Absent while it does not run, and for pods.
    pub pid: Option<u32>,
    pub ready: bool,
    pub port: Option<u16>,
    pub restarts: u32,
    pub age_seconds: u64,
    pub note: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
}

/// The tunnel of a stack in a cluster.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Tunnel {
    /// Absent where none runs.
    pub pid: Option<u32>,
    /// Why it does not serve, where it does not.
    pub problem: Option<String>,
    /// Services and where they are here.
    pub services: Vec<TunnelPort>,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct TunnelPort {
    /// `namespace/name:port`.
    pub service: String,
    pub local: String,
    pub healthy: bool,
}
