//! `ScaledJob`: one Kubernetes Job for a share of the queue, no HPA.
//!
//! Must not compute how many Jobs to create; `crate::scaled_job` does.

use k8s_openapi::api::batch::v1::JobSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::{Deserialize, Serialize};

use super::{ApiVersion, DEFAULT_POLLING_INTERVAL, Trigger};

/// The literal `ScaledJob`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ScaledJobKind {
    /// The only value.
    #[default]
    ScaledJob,
}

/// Jobs created by the length of a queue (source: `scaledjob_types.go`, v2.20).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ScaledJob {
    /// Always `keda.sh/v1alpha1`.
    pub api_version: ApiVersion,
    /// Always `ScaledJob`.
    pub kind: ScaledJobKind,
    /// Name, namespace, labels, annotations.
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// What the user asked for.
    pub spec: ScaledJobSpec,
    /// What the operator wrote, untouched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<serde_json::Value>,
}

/// `spec` of a `ScaledJob`. Times are whole seconds, counts are Jobs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ScaledJobSpec {
    /// The Job that is created.
    pub job_target_ref: JobSpec,
    /// Seconds between two polls; default 30.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub polling_interval: Option<i32>,
    /// Finished Jobs that are kept; default 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub successful_jobs_history_limit: Option<i32>,
    /// Failed Jobs that are kept; default 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed_jobs_history_limit: Option<i32>,
    /// Deprecated by `rollout.strategy`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout_strategy: Option<String>,
    /// What happens to running Jobs when the object changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<Rollout>,
    /// Container whose environment the triggers read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env_source_container_name: Option<String>,
    /// Jobs that always run; default 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_replica_count: Option<i32>,
    /// Jobs that run at most; default 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_replica_count: Option<i32>,
    /// How running and pending Jobs are counted against the queue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scaling_strategy: Option<ScalingStrategy>,
    /// Sources of the queue's length, at least one.
    pub triggers: Vec<Trigger>,
}

impl ScaledJobSpec {
    /// Returns the seconds between two polls.
    pub fn polling_interval(&self) -> i32 {
        self.polling_interval.unwrap_or(DEFAULT_POLLING_INTERVAL)
    }
}

/// `spec.rollout`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rollout {
    /// `default` deletes running Jobs, `gradual` leaves them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strategy: Option<String>,
    /// `background` or `foreground`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub propagation_policy: Option<String>,
}

/// `spec.scalingStrategy`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ScalingStrategy {
    /// Default `default`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strategy: Option<JobStrategy>,
    /// `custom`: taken off the queue's length.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custom_scaling_queue_length_deduction: Option<i32>,
    /// `custom`: share of the running Jobs that is taken off, a decimal number as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custom_scaling_running_job_percentage: Option<String>,
    /// Pod conditions that a pod must have before its Job stops counting as pending.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending_pod_conditions: Option<Vec<String>>,
    /// How several triggers are combined; default `max`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub multiple_scalers_calculation: Option<JobCalculation>,
}

/// How many Jobs a queue deserves, given those that run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum JobStrategy {
    /// Queue less running: right where the length includes what is being worked on.
    #[default]
    Default,
    /// With the two `custom…` fields.
    Custom,
    /// Queue less pending: right where the length excludes what is being worked on.
    Accurate,
    /// Fill every free slot.
    Eager,
}

/// How several triggers become one queue length.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum JobCalculation {
    /// The longest queue.
    #[default]
    Max,
    /// The shortest queue.
    Min,
    /// The mean.
    Avg,
    /// The total.
    Sum,
}
