//! What `status` says, as one document (`kedactl.status/v1`) that both the text and the JSON are made from.
//!
//! It must not fetch anything: the state and the queue's numbers are handed in.

use kedactl_exec::ProcId;
use kedactl_local::{PodState, ScalerState, ServerState, StackState};
use serde::Serialize;

/// One screen of a stack.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Status {
    pub schema: &'static str,
    pub stack: String,
    pub provider: &'static str,
    /// `starting`, `running`, `stopping`, or `unsupervised` where the supervisor is dead.
    pub phase: String,
    /// Where users reach the API, host:port.
    pub address: String,
    pub metrics_address: String,
    pub up_seconds: u64,
    pub problem: Option<String>,
    pub queue: Option<Queue>,
    pub redis: Redis,
    pub workloads: Vec<Workload>,
    pub scalers: Vec<ScalerState>,
    pub processes: Vec<Process>,
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

#[derive(Debug, Clone, Serialize)]
pub(crate) struct Redis {
    pub master: Option<String>,
    pub replicas_online: u32,
    pub quorum: bool,
    pub failovers: u64,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct Workload {
    pub name: String,
    pub desired: u32,
    pub ready: u32,
    pub scaled_by: Option<String>,
    pub reason: String,
}

/// One process of the stack.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Process {
    pub name: String,
    /// `api`, `worker`, `redis-master`, `redis-replica`, `sentinel`, `proxy`, `supervisor`.
    pub role: String,
    /// Absent while it does not run.
    pub pid: Option<u32>,
    pub ready: bool,
    pub port: Option<u16>,
    pub restarts: u32,
    pub age_seconds: u64,
    pub note: String,
}

impl Status {
    /// `now` is milliseconds since the Unix epoch.
    pub(crate) fn new(state: &StackState, queue: Option<Queue>, now: u64) -> Self {
        let supervised = state.supervisor.alive();
        let phase = if supervised {
            format!("{:?}", state.phase).to_lowercase()
        } else {
            "unsupervised".to_owned()
        };
        let died = (!supervised).then(|| {
            "the supervisor is dead: nothing is scaled or restarted until `kedactl up`".to_owned()
        });
        Self {
            schema: "kedactl.status/v1",
            stack: state.stack.clone(),
            provider: "local",
            phase,
            address: state.endpoints.api.clone(),
            metrics_address: state.endpoints.api_metrics.clone(),
            up_seconds: since(now, state.started_at),
            problem: died.or_else(|| state.problem.clone()),
            queue,
            redis: Redis {
                master: state.redis.master.clone(),
                replicas_online: state.redis.replicas_online,
                quorum: state.redis.quorum,
                failovers: state.redis.failovers,
            },
            workloads: workloads(state),
            scalers: state.scalers.values().cloned().collect(),
            processes: processes(state, now),
        }
    }
}

fn workloads(state: &StackState) -> Vec<Workload> {
    let workload = |(name, it): (&String, &kedactl_local::WorkloadState)| Workload {
        name: name.clone(),
        desired: it.desired,
        ready: it.ready,
        scaled_by: it.scaled_by.clone(),
        reason: it.reason.clone(),
    };
    state.workloads.iter().map(workload).collect()
}

fn processes(state: &StackState, now: u64) -> Vec<Process> {
    let supervisor = Process {
        name: "supervisor".to_owned(),
        role: "supervisor".to_owned(),
        pid: running(Some(state.supervisor)),
        ready: state.supervisor.alive(),
        port: None,
        restarts: 0,
        age_seconds: since(now, state.started_at),
        note: String::new(),
    };
    let redis = state
        .redis
        .servers
        .iter()
        .map(|it| server(it, &format!("redis-{}", it.role), now));
    let rest = state
        .redis
        .sentinels
        .iter()
        .map(|it| server(it, "sentinel", now));
    let proxy = state.proxy.iter().map(|it| server(it, "proxy", now));
    let pods = state
        .workloads
        .iter()
        .flat_map(|(name, it)| it.pods.iter().map(move |it| pod(it, name, now)));
    std::iter::once(supervisor)
        .chain(proxy)
        .chain(redis)
        .chain(rest)
        .chain(pods)
        .collect()
}

fn server(it: &ServerState, role: &str, now: u64) -> Process {
    Process {
        name: it.name.clone(),
        role: role.trim_end_matches('-').to_owned(),
        pid: running(it.process),
        ready: it.ready && running(it.process).is_some(),
        port: Some(it.port),
        restarts: it.restarts,
        age_seconds: since(now, it.started_at),
        note: it
            .last_exit
            .clone()
            .map(|exit| format!("last ended: {exit}"))
            .unwrap_or_default(),
    }
}

fn pod(it: &PodState, workload: &str, now: u64) -> Process {
    Process {
        name: it.name.clone(),
        role: workload.to_owned(),
        pid: running(it.process),
        ready: it.ready && running(it.process).is_some(),
        port: it
            .ports
            .get("http")
            .or_else(|| it.ports.get("metrics"))
            .copied(),
        restarts: it.restarts,
        age_seconds: since(now, it.started_at.unwrap_or(it.created_at)),
        note: it.note.clone(),
    }
}

fn running(process: Option<ProcId>) -> Option<u32> {
    process.filter(|it| it.alive()).map(|it| it.pid)
}

fn since(now: u64, then: u64) -> u64 {
    now.saturating_sub(then) / 1000
}
