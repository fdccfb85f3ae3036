//! The autoscalers at work: reads what they read, at their periods, and writes what they decide.
//! Must not decide: `kedactl-autoscale` does, and every input and decision goes to the journal.

pub(crate) mod hpa;
pub(crate) mod keda;
pub(crate) mod meter;
pub(crate) mod trigger;

use std::collections::BTreeMap;

use kedactl_autoscale::Timestamp;
use kedactl_autoscale::hpa as core;
use kedactl_config::Config;
use serde_json::json;

use crate::board::{Board, now_ms};
use crate::context::Context;
use crate::{PodPhase, PodState, WorkloadState};

/// Now, in the autoscalers' time.
pub(crate) fn now() -> Timestamp {
    at(now_ms())
}

/// Milliseconds since the epoch in the autoscalers' time.
pub(crate) fn at(ms: u64) -> Timestamp {
    Timestamp::from_micros(ms as i64 * 1000)
}

/// A time of the autoscalers in milliseconds since the epoch.
pub(crate) fn ms(at: Timestamp) -> u64 {
    u64::try_from(at.as_micros() / 1000).unwrap_or(0)
}

/// The HPA controller's flags as the values set them.
pub(crate) fn options(config: &Config) -> core::HpaOptions {
    core::HpaOptions {
        sync_period: i64::from(config.local.hpa_sync_seconds),
        cpu_initialization_period: i64::from(config.local.hpa_cpu_initialization_seconds),
        initial_readiness_delay: i64::from(config.local.hpa_initial_readiness_seconds),
        ..core::HpaOptions::default()
    }
}

/// A workload as an autoscaler sees it.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) spec_replicas: i32,
    pub(crate) status_replicas: i32,
    pub(crate) ready: i32,
    pub(crate) pods: Vec<core::Pod>,
}

impl Target {
    /// Looks at a workload. `cpu_request_milli` is what one pod requests.
    pub(crate) fn look(board: &Board, workload: &str, cpu_request_milli: Option<i64>) -> Self {
        let nothing = WorkloadState::default();
        board.read(|state| {
            let workload = state.workloads.get(workload).unwrap_or(&nothing);
            Self {
                spec_replicas: workload.desired as i32,
                status_replicas: workload.current as i32,
                ready: workload.ready as i32,
                pods: workload
                    .pods
                    .iter()
                    .map(|pod| view(pod, cpu_request_milli))
                    .collect(),
            }
        })
    }
}

fn view(pod: &PodState, cpu_request_milli: Option<i64>) -> core::Pod {
    core::Pod {
        name: pod.name.clone(),
        phase: match pod.phase {
            PodPhase::Pending => core::PodPhase::Pending,
            // A container that waits to be restarted leaves its pod running, and not ready.
            PodPhase::Running | PodPhase::BackOff | PodPhase::Terminating => {
                core::PodPhase::Running
            }
        },
        deleting: pod.phase == PodPhase::Terminating,
        ready: pod.started_at.map(|started| core::Readiness {
            ready: pod.ready,
            since: at(pod.ready_changed_at.unwrap_or(started)),
        }),
        start_time: Some(at(pod.created_at)),
        requests: cpu_request_milli
            .map(|milli| BTreeMap::from([("cpu".to_owned(), milli)]))
            .unwrap_or_default(),
    }
}

/// Writes a workload's scale.
pub(crate) fn write_scale(context: &Context, workload: &str, to: i32, by: &str, why: &str) {
    let to = u32::try_from(to).unwrap_or(0);
    let mut from = to;
    context.board.update_now(|state| {
        if let Some(workload) = state.workloads.get_mut(workload) {
            from = workload.desired;
            workload.desired = to;
            workload.reason = format!("{by}: {why}");
            workload.scaled_at = Some(now_ms());
        }
    });
    context.board.record(
        "scaled",
        json!({"workload": workload, "from": from, "to": to, "by": by, "why": why}),
    );
}
