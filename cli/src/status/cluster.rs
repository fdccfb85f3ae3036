//! The document of a stack in a cluster.
//!
//! It must not judge: the library did.

use super::{Metric, Process, Queue, Redis, Scaler, Status, Tunnel, TunnelPort, Workload};
use kedactl_cluster::PodView;
use kedactl_queue::{HostPort, Survey};
use kedactl_stack::{Home, Record, ScalerStatus, WorkloadStatus};
use std::time::{SystemTime, UNIX_EPOCH};

/// Roles of pods that serve the API come by this Service.
const API: &str = "api";

impl Status {
    /// A stack whose cluster answered.
    pub(crate) fn of_cluster(home: &Home, record: &Record, seen: &kedactl_stack::Status) -> Self {
        let now = now();
        let unready = seen.unready();
        let redis = seen.redis.as_ref();
        let tunnel = match seen.mapped {
            Some(mapped) => of_mapping(mapped, record),
            None => tunnel(&seen.tunnel),
        };
        let address = tunnel.services.iter().find(|it| {
            it.healthy
                && it
                    .service
                    .starts_with(&format!("{}/{API}:", record.config.namespace))
        });
        let oldest = seen
            .pods
            .iter()
            .filter(|it| it.namespace == record.config.namespace);
        let oldest = oldest.map(|it| age(it, now)).max();
        let mut gaps = seen.gaps.clone();
        let unread = [("queue", seen.queue.as_ref().err()), ("redis", redis.err())];
        gaps.extend(
            unread
                .into_iter()
                .filter_map(|(part, why)| Some(format!("{part}: {}", why?))),
        );
        gaps.dedup_by(|a, b| {
            a.split_once(": ").map(|it| it.1) == b.split_once(": ").map(|it| it.1)
        });
        Self {
            phase: phase(seen, now).to_owned(),
            address: address.map(|it| it.local.clone()).unwrap_or_default(),
            up_seconds: oldest.unwrap_or(0),
            problem: unready,
            queue: seen
                .queue
                .as_ref()
                .ok()
                .map(|it| Queue::of(it.name.clone(), &it.stats, it.keda)),
            redis: redis.map(of_redis).unwrap_or_default(),
            workloads: seen.workloads.iter().map(workload).collect(),
            scalers: seen.scalers.iter().map(scaler).collect(),
            processes: seen
                .pods
                .iter()
                .map(|it| pod(it, now, redis.ok()))
                .collect(),
            cluster: Some(seen.cluster.clone()),
            releases: Some(seen.releases.clone()),
            tunnel: Some(tunnel),
            gaps,
            ..Self::bare(home, record)
        }
    }

    /// What is known of a stack whose cluster does not answer.
    pub(crate) fn of_record(home: &Home, record: &Record, why: &str) -> Self {
        Self {
            phase: "unreachable".to_owned(),
            problem: Some(why.to_owned()),
            ..Self::bare(home, record)
        }
    }

    fn bare(home: &Home, record: &Record) -> Self {
        Self {
            schema: "kedactl.status/v1",
            stack: home.stack().to_owned(),
            provider: record.provider.environment().to_owned(),
            phase: String::new(),
            address: String::new(),
            metrics_address: String::new(),
            up_seconds: 0,
            problem: None,
            queue: None,
            redis: Redis::default(),
            workloads: Vec::new(),
            scalers: Vec::new(),
            processes: Vec::new(),
            cluster: record
                .cluster
                .as_ref()
                .map(|uid| kedactl_stack::ClusterStatus {
                    context: record.context.clone(),
                    server: String::new(),
                    uid: uid.clone(),
                    version: String::new(),
                }),
            releases: None,
            tunnel: None,
            last_run: record.last_run.clone(),
            gaps: Vec::new(),
        }
    }
}

/// In the first minutes after `up` said that it is ready, metrics are still missing; later, what is not well was well before.
fn phase(seen: &kedactl_stack::Status, now: u64) -> &'static str {
    const SETTLES_S: u64 = 120;
    let settled =
        |it: &kedactl_stack::LastRun| it.outcome == "ready" && it.ended_at / 1000 + SETTLES_S < now;
    match (seen.unready(), &seen.last_run) {
        (None, _) => "running",
        (Some(_), Some(last)) if settled(last) => "degraded",
        _ => "starting",
    }
}

fn of_redis(survey: &Survey) -> Redis {
    let master = survey.master.as_ref().ok();
    Redis {
        master: master.map(|it| first_label(&it.addr)),
        replicas_online: master.map_or(0, |it| it.online() as u32),
        quorum: survey.quorum(),
        failovers: None,
    }
}

/// `redis-node-0` of `redis-node-0.redis-headless.keda.svc:6379`: the pod.
fn first_label(addr: &HostPort) -> String {
    if addr.host.parse::<std::net::IpAddr>().is_ok() {
        return addr.to_string();
    }
    addr.host.split('.').next().unwrap_or_default().to_owned()
}

fn workload(it: &WorkloadStatus) -> Workload {
    Workload {
        name: it.name.clone(),
        desired: it.desired,
        ready: it.ready,
        scaled_by: it.scaled_by.clone(),
        reason: it.why.clone(),
    }
}

fn scaler(it: &ScalerStatus) -> Scaler {
    let metric = |it: &kedactl_stack::Reading| Metric {
        name: it.name.clone(),
        value: it.value,
        target: it.target,
        target_type: it.target_type.clone(),
    };
    Scaler {
        kind: it.kind.clone(),
        name: it.name.clone(),
        target: it.target.split_once(' ').map_or("", |it| it.1).to_owned(),
        min: it.min,
        max: it.max,
        current: it.current,
        desired: it.desired,
        active: it.active,
        paused: it.paused,
        fallback: it.fallback,
        metrics: it.readings.iter().map(metric).collect(),
        reason: it.why.clone(),
        decided_at: None,
        scaled_at: it.scaled_at.map(|it| it * 1000),
        last_active_at: it.last_active_at.map(|it| it * 1000),
        created_at: None,
        error: it.problem.clone(),
    }
}

fn pod(it: &PodView, now: u64, redis: Option<&Survey>) -> Process {
    let note = if it.phase == "Terminating" {
        "is leaving".to_owned()
    } else {
        it.why_not_ready()
    };
    let role = redis.and_then(|survey| role_in_redis(&it.name, survey));
    Process {
        name: it.name.clone(),
        role: role.map_or_else(|| it.component.clone(), str::to_owned),
        pid: None,
        ready: it.ready,
        port: None,
        restarts: it.restarts(),
        age_seconds: age(it, now),
        note,
        namespace: Some(it.namespace.clone()),
        node: Some(it.node.clone()).filter(|it| !it.is_empty()),
    }
}

/// What a pod is for Redis, by the names that Redis gives.
fn role_in_redis(pod: &str, survey: &Survey) -> Option<&'static str> {
    let master = survey.master.as_ref().ok()?;
    if first_label(&master.addr) == pod {
        return Some("redis-master");
    }
    let replica = |addr: &HostPort| first_label(addr) == pod;
    let replicas = master.replicas.iter().any(|it| replica(&it.addr));
    replicas.then_some("redis-replica")
}

fn age(it: &PodView, now: u64) -> u64 {
    kedactl_cluster::seconds(&it.created).map_or(0, |then| now.saturating_sub(then))
}

/// kind's port mapping, in the place of a tunnel.
fn of_mapping((address, healthy): (std::net::SocketAddr, bool), record: &Record) -> Tunnel {
    let config = &record.config;
    Tunnel {
        pid: None,
        problem: (!healthy)
            .then(|| format!("nothing answers on {address}, which kind leads to the API")),
        services: vec![TunnelPort {
            service: format!("{}/{API}:{}", config.namespace, config.api.port),
            local: address.to_string(),
            healthy,
        }],
    }
}

fn tunnel(seen: &Result<kedactl_tunnel::Status, String>) -> Tunnel {
    match seen {
        Ok(it) => Tunnel {
            pid: Some(it.process.pid),
            problem: it.unready().and_then(|it| it.problem.clone()),
            services: it
                .services
                .iter()
                .map(|it| TunnelPort {
                    service: format!("{}:{}", it.service, it.port),
                    local: it.local.to_string(),
                    healthy: it.healthy,
                })
                .collect(),
        },
        Err(why) => Tunnel {
            pid: None,
            problem: Some(why.clone()),
            services: Vec::new(),
        },
    }
}

/// Seconds since the Unix epoch.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}
