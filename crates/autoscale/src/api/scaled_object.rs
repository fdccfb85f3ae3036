//! `ScaledObject`: which target is scaled, between which bounds, on which triggers.
//!
//! Must not hold behaviour beyond reading a field with its documented default.

use std::collections::BTreeMap;

use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscalerBehavior;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::{Deserialize, Serialize};

use super::{DEFAULT_COOLDOWN_PERIOD, DEFAULT_MAX_REPLICAS, DEFAULT_POLLING_INTERVAL, Pause};

/// The only version of the group that exists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ApiVersion {
    /// `keda.sh/v1alpha1`
    #[default]
    #[serde(rename = "keda.sh/v1alpha1")]
    V1Alpha1,
}

/// The literal `ScaledObject`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ScaledObjectKind {
    /// The only value.
    #[default]
    ScaledObject,
}

/// A target that KEDA scales between 0 and N (source: `scaledobject_types.go`, v2.20).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ScaledObject {
    /// Always `keda.sh/v1alpha1`.
    pub api_version: ApiVersion,
    /// Always `ScaledObject`.
    pub kind: ScaledObjectKind,
    /// Name, namespace, labels and the annotations of [`super::Pause`].
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// What the user asked for.
    pub spec: ScaledObjectSpec,
    /// What the operator wrote; carried along untouched so that `kubectl get -o yaml` can be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<serde_json::Value>,
}

impl ScaledObject {
    /// Returns the object's name, or the empty string where the manifest has none.
    pub fn name(&self) -> &str {
        self.metadata.name.as_deref().unwrap_or_default()
    }

    /// Returns what the pausing annotations ask for.
    pub fn pause(&self) -> Pause {
        Pause::from_annotations(self.metadata.annotations.as_ref())
    }
}

/// `spec` of a `ScaledObject`. Times are whole seconds, counts are pods.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ScaledObjectSpec {
    /// What is scaled.
    pub scale_target_ref: ScaleTarget,
    /// Seconds between two polls of the triggers; default 30.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub polling_interval: Option<i32>,
    /// Seconds from the object's creation before the first scale to zero; default 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initial_cooldown_period: Option<i32>,
    /// Seconds without activity before a scale to zero or idle; default 300.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cooldown_period: Option<i32>,
    /// Count while inactive; only 0 is usable, since the HPA raises anything between.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_replica_count: Option<i32>,
    /// Lower bound; default 0 (the HPA gets 1 then).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_replica_count: Option<i32>,
    /// Upper bound; default 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_replica_count: Option<i32>,
    /// HPA behaviour, formula and the like.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advanced: Option<AdvancedConfig>,
    /// Sources of metrics, at least one.
    pub triggers: Vec<Trigger>,
    /// What to do while a trigger fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback: Option<Fallback>,
}

impl ScaledObjectSpec {
    /// Returns the seconds between two polls.
    pub fn polling_interval(&self) -> i32 {
        self.polling_interval.unwrap_or(DEFAULT_POLLING_INTERVAL)
    }

    /// Returns the seconds of inactivity before a scale to zero or idle.
    pub fn cooldown_period(&self) -> i32 {
        self.cooldown_period.unwrap_or(DEFAULT_COOLDOWN_PERIOD)
    }

    /// Returns the seconds from creation before the first scale to zero.
    pub fn initial_cooldown_period(&self) -> i32 {
        self.initial_cooldown_period.unwrap_or(0)
    }

    /// Returns the lower bound as the operator sees it.
    pub fn min_replicas(&self) -> i32 {
        self.min_replica_count.unwrap_or(0)
    }

    /// Returns the lower bound that the HPA gets: never below 1.
    pub fn hpa_min_replicas(&self) -> i32 {
        self.min_replicas().max(1)
    }

    /// Returns the upper bound.
    pub fn max_replicas(&self) -> i32 {
        self.max_replica_count.unwrap_or(DEFAULT_MAX_REPLICAS)
    }

    /// Returns the formula section, if one is set.
    pub fn modifiers(&self) -> Option<&ScalingModifiers> {
        let modifiers = self.advanced.as_ref()?.scaling_modifiers.as_ref()?;
        (*modifiers != ScalingModifiers::default()).then_some(modifiers)
    }
}

/// The object that is scaled, in the `ScaledObject`'s namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ScaleTarget {
    /// Name of the object.
    pub name: String,
    /// Default `apps/v1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_version: Option<String>,
    /// Default `Deployment`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Container whose environment `authenticationRef` and `*FromEnv` read; default the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env_source_container_name: Option<String>,
}

/// One source of a metric.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Trigger {
    /// Name of the scaler: `redis`, `redis-sentinel`, `prometheus`, `cpu`, …
    #[serde(rename = "type")]
    pub kind: String,
    /// Name by which a formula refers to it; unique within the object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Serve the HPA the value of the last poll instead of asking again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub use_cached_metrics: bool,
    /// The scaler's own settings; every value is a string.
    pub metadata: BTreeMap<String, String>,
    /// Where the scaler's credentials come from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authentication_ref: Option<AuthenticationRef>,
    /// How the HPA divides the value; default `AverageValue`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric_type: Option<MetricType>,
}

impl Trigger {
    /// Says whether this is a `cpu` or `memory` trigger, which the HPA serves itself.
    pub fn is_resource(&self) -> bool {
        matches!(self.kind.as_str(), "cpu" | "memory")
    }
}

/// Target type of an HPA metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MetricType {
    /// Total divided by the number of pods.
    AverageValue,
    /// The value as it is.
    Value,
    /// Percent of the pods' requests; only for `cpu` and `memory`.
    Utilization,
}

impl MetricType {
    /// Returns the word that the HPA uses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AverageValue => "AverageValue",
            Self::Value => "Value",
            Self::Utilization => "Utilization",
        }
    }
}

/// Reference to a `TriggerAuthentication`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AuthenticationRef {
    /// Name of the object.
    pub name: String,
    /// Default `TriggerAuthentication`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<AuthKind>,
}

/// Kinds of objects that hold credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AuthKind {
    /// In the same namespace.
    TriggerAuthentication,
    /// In the whole cluster.
    ClusterTriggerAuthentication,
}

/// What to report to the HPA while a trigger fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Fallback {
    /// Failures in a row that are tolerated; the next one activates the fallback.
    pub failure_threshold: i32,
    /// Pods to run meanwhile.
    pub replicas: i32,
    /// How `replicas` and the present count are combined; default `static`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behavior: Option<FallbackBehavior>,
}

impl Fallback {
    /// Says whether the operator would use this fallback at all.
    pub fn is_valid(&self) -> bool {
        self.failure_threshold >= 0 && self.replicas >= 0
    }
}

/// How a fallback chooses its count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum FallbackBehavior {
    /// `replicas`
    #[default]
    Static,
    /// The present count.
    CurrentReplicas,
    /// The larger of the two.
    CurrentReplicasIfHigher,
    /// The smaller of the two.
    CurrentReplicasIfLower,
}

/// `spec.advanced`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AdvancedConfig {
    /// Settings of the HPA that KEDA creates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub horizontal_pod_autoscaler_config: Option<HorizontalPodAutoscalerConfig>,
    /// On deletion, put back the count from before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub restore_to_original_replica_count: bool,
    /// A formula over the triggers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scaling_modifiers: Option<ScalingModifiers>,
}

/// Settings that are copied into the HPA.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HorizontalPodAutoscalerConfig {
    /// Copied verbatim. Absent means the HPA's *legacy* path, not its defaults.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behavior: Option<HorizontalPodAutoscalerBehavior>,
    /// Name of the HPA; default `keda-hpa-<name>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// One composite metric in place of all external ones.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ScalingModifiers {
    /// Expression over trigger names.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub formula: String,
    /// Target of the composite metric, a decimal number.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub target: String,
    /// The composite must exceed this to count as active; default 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activation_target: Option<String>,
    /// Default `AverageValue`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric_type: Option<ModifierMetricType>,
}

/// Target types that a composite metric may have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ModifierMetricType {
    /// Divided by the number of pods.
    #[default]
    AverageValue,
    /// As it is.
    Value,
}

impl From<ModifierMetricType> for MetricType {
    fn from(kind: ModifierMetricType) -> Self {
        match kind {
            ModifierMetricType::AverageValue => Self::AverageValue,
            ModifierMetricType::Value => Self::Value,
        }
    }
}
