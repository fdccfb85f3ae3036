//! What the metrics API hands the HPA: one value for each external metric, or the composite one.
//!
//! Must not touch activity: an HPA query counts failures but never scales to or from zero.

use serde::{Deserialize, Serialize};

use super::Reading;
use crate::hpa::MetricReading;

/// What a query of the HPA looks at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ServeInput {
    /// `spec.replicas` of the target.
    pub current_replicas: i32,
    /// Ready pods of the target.
    pub ready_replicas: i32,
    /// Fresh answers of the triggers; cached ones need none.
    pub readings: Vec<Reading>,
}

/// One metric as the HPA gets it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ServedMetric {
    /// Name under which the HPA asks for it.
    pub name: String,
    /// Value in thousandths, or the error that the HPA sees.
    pub reading: MetricReading,
    /// Whether the value is the fallback's.
    pub fallback: bool,
}
