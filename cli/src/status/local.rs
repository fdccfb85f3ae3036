//! The document of a stack of processes.
//!
//! It must not believe a process that is not there.

use super::{Metric, Process, Queue, Redis, Scaler, Status, Workload};
use kedactl_exec::ProcId;
use kedactl_local::{MetricState, PodState, ScalerState, ServerState, StackState};

impl Status {
    /// `now` is milliseconds since the Unix epoch.
    pub(crate) fn of_local(state: &StackState, queue: Option<Queue>, now: u64) -> Self {
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
            provider: "local".to_owned(),
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
                failovers: Some(state.redis.failovers),
            },
            workloads: workloads(state),
            scalers: state.scalers.values().map(scaler).collect(),
            processes: processes(state, now),
            cluster: None,
            releases: None,
            tunnel: None,
            last_run: None,
            gaps: Vec::new(),
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

fn scaler(it: &ScalerState) -> Scaler {
    let metric = |it: &MetricState| Metric {
        name: it.name.clone(),
        value: it.value,
        target: it.target,
        target_type: it.target_type.clone(),
    };
    Scaler {
        kind: it.kind.clone(),
        name: it.name.clone(),
        target: it.target.clone(),
        min: it.min,
        max: it.max,
        current: it.current,
        desired: it.desired,
        active: it.active,
        paused: false,
        fallback: false,
        metrics: it.metrics.iter().map(metric).collect(),
        reason: it.reason.clone(),
        decided_at: it.decided_at,
        scaled_at: it.scaled_at,
        last_active_at: it.last_active_at,
        created_at: Some(it.created_at),
        error: it.error.clone(),
    }
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
        namespace: None,
        node: None,
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
    let watching = state.monitoring.iter().map(|it| server(it, &it.name, now));
    let pods = state
        .workloads
        .iter()
        .flat_map(|(name, it)| it.pods.iter().map(move |it| pod(it, name, now)));
    std::iter::once(supervisor)
        .chain(proxy)
        .chain(watching)
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
        namespace: None,
        node: None,
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
        namespace: None,
        node: None,
    }
}

fn running(process: Option<ProcId>) -> Option<u32> {
    process.filter(|it| it.alive()).map(|it| it.pid)
}

fn since(now: u64, then: u64) -> u64 {
    now.saturating_sub(then) / 1000
}
