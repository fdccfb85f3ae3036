//! When and how fast the two services scale.
//! The rules themselves are applied elsewhere (KEDA and the HPA, or the local provider with the same algorithms).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The `HorizontalPodAutoscaler` of the API: CPU.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ApiAutoscaling {
    /// Fewest pods
    #[schemars(range(min = 1, max = 10000))]
    pub min_replicas: u32,
    /// Most pods
    #[schemars(range(min = 1, max = 10000))]
    pub max_replicas: u32,
    /// Target, in per cent of `api.resources.requests.cpu`
    #[schemars(range(min = 1, max = 10000))]
    pub cpu_utilization: u32,
    /// How fast it may move
    pub behavior: Behavior,
}

/// The `ScaledObject` of the worker: tasks in Redis.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WorkerAutoscaling {
    /// Fewest pods while the queue is active; 0 lets an empty queue take all pods away
    #[schemars(range(max = 10000))]
    pub min_replicas: u32,
    /// Most pods
    #[schemars(range(min = 1, max = 10000))]
    pub max_replicas: u32,
    /// Pods while nothing is queued, where `minReplicas` is above it; only 0 works in Kubernetes
    #[serde(default)]
    #[schemars(range(max = 0))]
    pub idle_replicas: Option<u32>,
    /// Seconds between KEDA's looks at the queue
    #[schemars(range(min = 1, max = 86400))]
    pub polling_interval: u32,
    /// Seconds without tasks before the last pods go
    #[schemars(range(max = 86400))]
    pub cooldown_period: u32,
    /// The same, counted from the creation of the `ScaledObject`
    #[schemars(range(max = 86400))]
    pub initial_cooldown_period: u32,
    /// Tasks, waiting and running, that one pod should have; `worker.concurrency` where absent
    #[serde(default)]
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub list_length: Option<u32>,
    /// The first pod starts when there are more tasks than this
    #[schemars(range(max = 1_000_000_000))]
    pub activation_list_length: u32,
    /// How fast it may move between 1 and `maxReplicas`
    pub behavior: Behavior,
    /// What to do while Redis cannot be read; absent: hold
    #[serde(default)]
    pub fallback: Option<Fallback>,
}

/// Pods to run while the trigger fails.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Fallback {
    /// Failures in a row after which it takes effect
    #[schemars(range(max = 1000))]
    pub failure_threshold: u32,
    /// Pods
    #[schemars(range(max = 10000))]
    pub replicas: u32,
    /// How `replicas` is read; `static` where absent
    #[serde(default)]
    pub behavior: Option<FallbackBehavior>,
}

/// How the number of a fallback is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum FallbackBehavior {
    /// Exactly `replicas`.
    Static,
    /// What runs now.
    CurrentReplicas,
    /// What runs now, or `replicas` where that is more.
    CurrentReplicasIfHigher,
    /// What runs now, or `replicas` where that is less.
    CurrentReplicasIfLower,
}

/// Both directions of an HPA. Always explicit: without it, Kubernetes takes an older path that overshoots.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Behavior {
    /// Adding pods
    pub scale_up: ScalingRules,
    /// Taking pods away
    pub scale_down: ScalingRules,
}

/// One direction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ScalingRules {
    /// Seconds of recommendations of which the mildest is taken
    #[schemars(range(max = 3600))]
    pub stabilization_window_seconds: u32,
    /// Which policy wins
    pub select_policy: SelectPolicy,
    /// Limits of speed; a list in a later layer replaces this one
    #[schemars(length(min = 1, max = 20))]
    pub policies: Vec<ScalingPolicy>,
}

/// Which of several policies wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SelectPolicy {
    /// The one that allows the largest change.
    Max,
    /// The one that allows the smallest change.
    Min,
    /// No change in this direction.
    Disabled,
}

/// One limit of speed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ScalingPolicy {
    /// What `value` counts
    #[serde(rename = "type")]
    pub kind: PolicyType,
    /// Pods, or per cent of the pods
    #[schemars(range(min = 1, max = 1_000_000))]
    pub value: u32,
    /// Seconds within which the change may happen once
    #[schemars(range(min = 1, max = 1800))]
    pub period_seconds: u32,
}

/// What a policy counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PolicyType {
    /// Pods.
    Pods,
    /// Per cent of the pods.
    Percent,
}
