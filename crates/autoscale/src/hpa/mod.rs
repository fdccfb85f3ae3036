//! One sync of the HPA controller: metrics to a proposal, windows and rates to a size.
//!
//! Must not read metrics or write a scale: readings come in, a decision with its reasons goes out.

pub mod behavior;
mod decision;
pub mod legacy;
mod machine;
mod proposal;
mod read;
mod spec;

pub use behavior::{rate_limit_down, rate_limit_up};
pub use decision::{
    Condition, ConditionStatus, Event, EventType, Hold, HpaDecision, Limit, ProposalTrace, Trace,
};
pub use machine::Hpa;
pub use spec::{
    Behavior, HpaMetric, HpaMetricKind, HpaSpec, HpaSpecError, HpaTarget, Policy, PolicyType,
    Rules, SelectPolicy,
};

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// Flags and feature gates of the controller. Times are whole seconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct HpaOptions {
    /// Seconds between two syncs; the caller keeps it, the machine only carries it.
    pub sync_period: i64,
    /// Share by which a ratio may differ from 1 without a change.
    pub tolerance: f64,
    /// Window of the legacy path, and of `scaleDown` where it names none.
    pub downscale_stabilization: i64,
    /// Age up to which a pod's CPU is judged by its readiness.
    pub cpu_initialization_period: i64,
    /// Readiness lost within this time after the start counts as never gained.
    pub initial_readiness_delay: i64,
    /// Gate `HPAScaleToZero`: `minReplicas: 0` is allowed (off in 1.34, on in 1.37).
    pub scale_to_zero: bool,
    /// Gate `HPAConfigurableTolerance`: `behavior.*.tolerance` counts (off in 1.33 and 1.34).
    pub configurable_tolerance: bool,
}

impl Default for HpaOptions {
    /// The controller's defaults in Kubernetes 1.34.
    fn default() -> Self {
        Self {
            sync_period: 15,
            tolerance: 0.1,
            downscale_stabilization: 300,
            cpu_initialization_period: 300,
            initial_readiness_delay: 30,
            scale_to_zero: false,
            configurable_tolerance: false,
        }
    }
}

/// What one metric of the HPA reads, in the order of `Hpa::metrics`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum MetricReading {
    /// External and Object metrics: every value that matched, in thousandths.
    Values {
        /// Thousandths; several are added up.
        milli: Vec<i64>,
    },
    /// Resource, `ContainerResource` and Pods metrics: samples by pod name.
    Pods {
        /// Pods without a sample are absent.
        samples: BTreeMap<String, PodSample>,
    },
    /// The metrics API gave an error.
    Failed {
        /// One line.
        error: String,
    },
}

impl MetricReading {
    /// Wraps one value in thousandths.
    pub fn single(milli: i64) -> Self {
        Self::Values { milli: vec![milli] }
    }
}

/// One pod's sample of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PodSample {
    /// Thousandths: milli-cores for `cpu`, thousandths of a byte for `memory`.
    pub milli: i64,
    /// When the sample was taken.
    pub at: Timestamp,
    /// Microseconds that the sample averages over. Not whole seconds: metrics-server says `15.024s`, and a young
    /// pod's sample counts only where all of its window lies behind the readiness.
    pub window_micros: i64,
}

/// Phase of a pod.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum PodPhase {
    /// Not all containers run yet.
    Pending,
    /// Running.
    #[default]
    Running,
    /// Ended well.
    Succeeded,
    /// Ended badly.
    Failed,
    /// The node does not answer.
    Unknown,
}

/// A pod that the target's selector matches.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Pod {
    /// Name, unique within the target.
    pub name: String,
    /// Phase.
    pub phase: PodPhase,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// The Ready condition: its status and when that changed; `None` where there is none yet.
    pub ready: Option<Readiness>,
    /// When the kubelet (or supervisor) started it.
    pub start_time: Option<Timestamp>,
    /// Requests in thousandths, by resource (`cpu`), or `container/resource` for container metrics.
    pub requests: BTreeMap<String, i64>,
}

/// The Ready condition of a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Readiness {
    /// Status.
    pub ready: bool,
    /// When the status changed last.
    pub since: Timestamp,
}

/// Everything a sync looks at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HpaInput {
    /// `spec.replicas` of the target's scale.
    pub spec_replicas: i32,
    /// `status.replicas`: pods that exist and are not being deleted, pending and unready ones included.
    pub status_replicas: i32,
    /// One reading for each of `Hpa::metrics`; a missing one counts as failed.
    pub metrics: Vec<MetricReading>,
    /// Pods of the target; only Value, Resource and Pods metrics look at them.
    pub pods: Vec<Pod>,
}

/// A proposal that is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Recommendation {
    /// Pods, before windows and rates.
    pub replicas: i32,
    /// When.
    pub at: Timestamp,
}

/// A change that was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ScaleEvent {
    /// Pods added or removed, never negative.
    pub change: i32,
    /// When.
    pub at: Timestamp,
}

/// What the controller remembers, in process memory only: a restart of the real one loses it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct HpaState {
    /// `None` before the first sync, which then records the present size as a recommendation.
    pub recommendations: Option<Vec<Recommendation>>,
    /// Changes upwards.
    pub up_events: Vec<ScaleEvent>,
    /// Changes downwards.
    pub down_events: Vec<ScaleEvent>,
}
