//! What the algorithm needs of an `autoscaling/v2` HPA, with every default filled.
//!
//! Must not keep anything that a sync would have to parse again.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::hpa_render::RenderError;
use crate::quantity::QuantityError;

/// Why an HPA cannot be obeyed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HpaSpecError {
    /// No `spec`.
    #[error("the HPA has no spec")]
    NoSpec,
    /// Bounds that Kubernetes refuses.
    #[error("minReplicas {min} and maxReplicas {max}: {problem}")]
    Bounds {
        /// As written or by default.
        min: i32,
        /// As written.
        max: i32,
        /// What is wrong.
        problem: &'static str,
    },
    /// A behaviour that Kubernetes refuses.
    #[error(transparent)]
    Behavior(#[from] RenderError),
    /// A quantity that is none.
    #[error("metric {index}")]
    Quantity {
        /// Position in `spec.metrics`.
        index: usize,
        /// Which text.
        source: QuantityError,
    },
    /// A metric without the source or target that its type needs.
    #[error("metric {index} of type {kind}: {problem}")]
    Metric {
        /// Position in `spec.metrics`.
        index: usize,
        /// As written.
        kind: String,
        /// What is wrong.
        problem: &'static str,
    },
}

/// What the algorithm needs of an HPA.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HpaSpec {
    /// Name of the HPA.
    pub name: String,
    /// Its namespace, for the texts of errors.
    pub namespace: String,
    /// Lower bound.
    pub min: i32,
    /// Upper bound.
    pub max: i32,
    /// What is measured.
    pub metrics: Vec<HpaMetric>,
    /// `None` selects the legacy path.
    pub behavior: Option<Behavior>,
}

/// One metric.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HpaMetric {
    /// Where it comes from.
    pub kind: HpaMetricKind,
    /// What it is compared with.
    pub target: HpaTarget,
}

/// Where a metric comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum HpaMetricKind {
    /// The external metrics API.
    External {
        /// Metric name.
        name: String,
        /// Label selector.
        #[serde(default)]
        labels: BTreeMap<String, String>,
    },
    /// One object's custom metric.
    Object {
        /// Metric name.
        name: String,
        /// Kind of the object.
        kind: String,
    },
    /// A custom metric of every pod.
    Pods {
        /// Metric name.
        name: String,
    },
    /// `cpu` or `memory` of every pod, or of one container of it.
    Resource {
        /// `cpu` or `memory`.
        name: String,
        /// One container, or all.
        #[serde(default)]
        container: Option<String>,
    },
}

/// What a metric is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum HpaTarget {
    /// Thousandths a pod.
    AverageValue(i64),
    /// Thousandths in all.
    Value(i64),
    /// Percent of the requests.
    Utilization(i32),
}

/// Both directions, with every default filled.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Behavior {
    /// Upwards.
    pub scale_up: Rules,
    /// Downwards.
    pub scale_down: Rules,
}

/// Rules of one direction.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rules {
    /// Seconds.
    pub window: i64,
    /// Which policy wins.
    pub select: SelectPolicy,
    /// At least one.
    pub policies: Vec<Policy>,
    /// Own tolerance, where the gate is on.
    #[serde(default)]
    pub tolerance: Option<f64>,
}

/// Which of several policies wins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum SelectPolicy {
    /// The largest change.
    #[default]
    Max,
    /// The smallest change.
    Min,
    /// No change in this direction.
    Disabled,
}

/// Most change in a period.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Policy {
    /// Unit of `value`.
    pub kind: PolicyType,
    /// Above 0.
    pub value: i32,
    /// Seconds.
    pub period: i64,
}

/// Unit of a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PolicyType {
    /// Pods.
    Pods,
    /// Percent of the size at the start of the period.
    Percent,
}

impl Rules {
    /// Returns what `scaleUp` means where a behaviour leaves it out.
    pub fn default_up() -> Self {
        let pods = Policy {
            kind: PolicyType::Pods,
            value: 4,
            period: 15,
        };
        let percent = Policy {
            kind: PolicyType::Percent,
            value: 100,
            period: 15,
        };
        Self {
            window: 0,
            select: SelectPolicy::Max,
            policies: vec![pods, percent],
            tolerance: None,
        }
    }

    /// Returns what `scaleDown` means where a behaviour leaves it out; `window` is the controller's flag.
    pub fn default_down(window: i64) -> Self {
        let percent = Policy {
            kind: PolicyType::Percent,
            value: 100,
            period: 15,
        };
        Self {
            window,
            select: SelectPolicy::Max,
            policies: vec![percent],
            tolerance: None,
        }
    }

    /// Returns the longest period of any policy, in seconds.
    pub(super) fn longest_period(&self) -> i64 {
        self.policies
            .iter()
            .map(|policy| policy.period)
            .max()
            .unwrap_or(0)
    }
}
