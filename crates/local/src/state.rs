//! `state.json`: all that one stack is doing, as its supervisor last saw it.
//! Must not hold a secret, and nothing that cannot be checked against the running processes.

use std::collections::BTreeMap;
use std::path::PathBuf;

use kedactl_exec::ProcId;
use serde::{Deserialize, Serialize};

/// Version of the files of a state directory; another version is refused, never guessed at.
pub const STATE_VERSION: u32 = 1;

/// The whole stack. Times are milliseconds since the Unix epoch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StackState {
    /// [`STATE_VERSION`].
    pub version: u32,
    /// Name of the stack.
    pub stack: String,
    /// Made once for a state directory; every process of the stack carries it in its environment.
    pub stack_id: String,
    /// Where in its life it is.
    pub phase: Phase,
    /// Hash of the desired state that the processes below were made from.
    pub desired_hash: String,
    /// The supervisor that wrote this; check [`ProcId::alive`] before believing the rest.
    pub supervisor: ProcId,
    /// When that supervisor started.
    pub started_at: u64,
    /// When this was written.
    pub updated_at: u64,
    /// Where everything is reached.
    pub endpoints: Endpoints,
    /// Redis and its Sentinels.
    pub redis: RedisState,
    /// The process behind the service ports.
    pub proxy: Option<ServerState>,
    /// Prometheus and Alertmanager, where the stack is monitored.
    #[serde(default)]
    pub monitoring: Vec<ServerState>,
    /// The Deployments by name.
    pub workloads: BTreeMap<String, WorkloadState>,
    /// The autoscalers by `kind/name`: `ScaledObject/worker`, `HorizontalPodAutoscaler/keda-hpa-worker`, `HorizontalPodAutoscaler/api`.
    pub scalers: BTreeMap<String, ScalerState>,
    /// Why the stack cannot be what it should be, where there is such a reason.
    pub problem: Option<String>,
}

/// Where a stack is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Processes are being started; nothing was ready yet.
    Starting,
    /// Redis has a quorum and every workload was ready once.
    Running,
    /// On the way down.
    Stopping,
}

/// Addresses as `host:port`, and files with passwords.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoints {
    /// The Service `api`: HTTP.
    pub api: String,
    /// The Service `api-metrics`.
    pub api_metrics: String,
    /// The Redis servers in their order.
    pub redis: Vec<String>,
    /// The Sentinels in their order.
    pub sentinels: Vec<String>,
    /// Name by which the Sentinels know the master.
    pub master_name: String,
    /// File with the password of the servers.
    pub redis_password_file: PathBuf,
    /// File with the password of the Sentinels.
    pub sentinel_password_file: PathBuf,
    /// Prometheus, where it belongs to the stack.
    #[serde(default)]
    pub prometheus: Option<String>,
    /// Alertmanager, where it belongs to the stack.
    #[serde(default)]
    pub alertmanager: Option<String>,
    /// The Service `webhook`, where it belongs to the stack.
    #[serde(default)]
    pub webhook: Option<String>,
}

/// Redis as the Sentinels see it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RedisState {
    /// Servers in their order: `redis-0`, ….
    pub servers: Vec<ServerState>,
    /// Sentinels in their order: `sentinel-0`, ….
    pub sentinels: Vec<ServerState>,
    /// Name of the present master, where one is known.
    pub master: Option<String>,
    /// Replicas that are online at the master.
    pub replicas_online: u32,
    /// Whether enough Sentinels agree to fail over (`SENTINEL ckquorum`).
    pub quorum: bool,
    /// Masters that changed since the stack was first started.
    pub failovers: u64,
    /// When the master last changed.
    pub last_failover_at: Option<u64>,
}

/// One process that is not a pod.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerState {
    /// `redis-0`, `sentinel-2`, `proxy`, `prometheus`; also the name of its log file.
    pub name: String,
    /// The process, while it runs.
    pub process: Option<ProcId>,
    /// Its port.
    pub port: u16,
    /// `master`, `replica`, `sentinel`, `proxy`, `monitoring`, or empty while unknown.
    pub role: String,
    /// Whether it answers and does its job.
    pub ready: bool,
    /// Times it was started again.
    pub restarts: u32,
    /// When it was started.
    pub started_at: u64,
    /// How it last ended: "signal 9".
    pub last_exit: Option<String>,
}

/// One Deployment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkloadState {
    /// Pods that there should be (`spec.replicas`).
    pub desired: u32,
    /// Pods that there are, without those that are on their way out.
    pub current: u32,
    /// Those of them that are ready.
    pub ready: u32,
    /// Those of them that were made from the present template.
    pub updated: u32,
    /// Image of the manifest.
    pub image: String,
    /// Program that stands for the image.
    pub program: PathBuf,
    /// The autoscaler that sets `desired`, as in [`StackState::scalers`].
    pub scaled_by: Option<String>,
    /// Who last changed `desired`, and why.
    pub reason: String,
    /// When `desired` last changed.
    pub scaled_at: Option<u64>,
    /// Its pods, oldest first.
    pub pods: Vec<PodState>,
}

/// One pod: one process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodState {
    /// `api-5d8f7-x2k9p`; also the name of its log file.
    pub name: String,
    /// Hash of the template that it was made from.
    pub template: String,
    /// Where in its life it is.
    pub phase: PodPhase,
    /// Whether its readiness probe succeeds (without a probe: whether it runs).
    pub ready: bool,
    /// The process, while it runs.
    pub process: Option<ProcId>,
    /// Named ports of the manifest and where they are on 127.0.0.1.
    pub ports: BTreeMap<String, u16>,
    /// Times its process was started again.
    pub restarts: u32,
    /// When the pod was made.
    pub created_at: u64,
    /// When its present process was started.
    pub started_at: Option<u64>,
    /// When `ready` last changed.
    pub ready_changed_at: Option<u64>,
    /// How its process last ended.
    pub last_exit: Option<String>,
    /// When it will be started again, while it backs off.
    pub retry_at: Option<u64>,
    /// Why it is not ready, or why it was stopped.
    pub note: String,
}

/// Where a pod is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PodPhase {
    /// Made, its process not started yet.
    Pending,
    /// Its process runs.
    Running,
    /// Its process ended; it waits to be started again.
    BackOff,
    /// Told to stop; within its grace period.
    Terminating,
}

/// One autoscaler and its last decision.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ScalerState {
    /// `ScaledObject` or `HorizontalPodAutoscaler`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// The workload that it scales.
    pub target: String,
    /// Lower bound.
    pub min: u32,
    /// Upper bound.
    pub max: u32,
    /// Pods at the last decision.
    pub current: u32,
    /// Pods after it.
    pub desired: u32,
    /// `ScaledObject`: whether a trigger is active.
    pub active: Option<bool>,
    /// What was read.
    pub metrics: Vec<MetricState>,
    /// The decision in words.
    pub reason: String,
    /// When the last decision was made, also when nothing changed.
    pub decided_at: Option<u64>,
    /// When it last changed the number of pods.
    pub scaled_at: Option<u64>,
    /// `ScaledObject`: when a trigger was last active. Survives the supervisor, as in the object's status.
    pub last_active_at: Option<u64>,
    /// `ScaledObject`: when it was created.
    pub created_at: u64,
    /// Why its readings cannot be trusted, where they cannot.
    pub error: Option<String>,
    /// How often that was so.
    #[serde(default)]
    pub errors: u64,
    /// `ScaledObject`: whether its annotations pause it.
    #[serde(default)]
    pub paused: bool,
    /// `HorizontalPodAutoscaler`: its conditions, and whether each holds.
    #[serde(default)]
    pub conditions: BTreeMap<String, bool>,
}

/// One reading of one metric.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct MetricState {
    /// `s0-redis-kq-default-live`, `cpu`.
    pub name: String,
    /// The value; `None` when it could not be read.
    pub value: Option<f64>,
    /// The target that it is compared with, in the same unit.
    pub target: f64,
    /// `AverageValue`, `Value` or `Utilization`.
    pub target_type: String,
}

impl StackState {
    /// Every process that this state knows of, the supervisor left out.
    pub fn processes(&self) -> Vec<(String, ProcId)> {
        let servers = self
            .redis
            .servers
            .iter()
            .chain(&self.redis.sentinels)
            .chain(&self.proxy)
            .chain(&self.monitoring)
            .filter_map(|server| Some((server.name.clone(), server.process?)));
        let pods = self
            .workloads
            .values()
            .flat_map(|workload| &workload.pods)
            .filter_map(|pod| Some((pod.name.clone(), pod.process?)));
        servers.chain(pods).collect()
    }

    /// A workload's pod by name.
    pub fn pod(&self, name: &str) -> Option<&PodState> {
        self.workloads
            .values()
            .flat_map(|workload| &workload.pods)
            .find(|pod| pod.name == name)
    }

    /// Changes one pod in place, if it is still there.
    pub(crate) fn with_pod(&mut self, name: &str, change: impl FnOnce(&mut PodState)) {
        let pod = self
            .workloads
            .values_mut()
            .flat_map(|workload| &mut workload.pods)
            .find(|pod| pod.name == name);
        if let Some(pod) = pod {
            change(pod);
        }
    }
}
