//! From one metric to a number of pods, as `replica_calculator.go` computes it.
//!
//! Must keep every division, truncation and comparison where upstream has it; exact arithmetic gives other pods.

mod pods;

pub use pods::{PodMetric, PodRules, pods_average, resource_utilization};

use serde::{Deserialize, Serialize};

/// How far a ratio may lie from 1 without a change, for each direction.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Tolerance {
    /// Below 1.
    pub down: f64,
    /// Above 1.
    pub up: f64,
}

impl Tolerance {
    /// Returns the same tolerance for both directions.
    pub fn both(share: f64) -> Self {
        Self {
            down: share,
            up: share,
        }
    }

    /// Says whether a ratio asks for no change. NaN never does.
    pub fn within(self, ratio: f64) -> bool {
        (1.0 - self.down) <= ratio && ratio <= (1.0 + self.up)
    }
}

/// A proposal and what it was based on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Proposal {
    /// Pods.
    pub replicas: i32,
    /// Thousandths, or percent for utilization.
    pub measured: i64,
    /// Thousandths a pod that counted, where `measured` is percent; the status shows both.
    pub average: Option<i64>,
}

/// Total divided by the number of pods: KEDA's normal case. Thousandths throughout.
///
/// `status_replicas` is what comes back inside the tolerance, not the wanted size: surge and lag leak in.
pub fn external_average(
    status_replicas: i32,
    target: i64,
    values: &[i64],
    tolerance: Tolerance,
) -> Proposal {
    let usage = total(values);
    let ratio = usage as f64 / (target as f64 * f64::from(status_replicas));
    let replicas = if tolerance.within(ratio) {
        status_replicas
    } else {
        (usage as f64 / target as f64).ceil() as i32
    };
    Proposal {
        replicas,
        measured: usage,
        average: None,
    }
}

/// The value as it is, times the ready pods. Thousandths throughout.
pub fn external_value(
    spec_replicas: i32,
    target: i64,
    values: &[i64],
    ready_pods: i32,
    tolerance: Tolerance,
) -> Proposal {
    let usage = total(values);
    let ratio = usage as f64 / target as f64;
    let replicas = if spec_replicas == 0 {
        ratio.ceil() as i32
    } else if tolerance.within(ratio) {
        spec_replicas
    } else {
        (ratio * f64::from(ready_pods)).ceil() as i32
    };
    Proposal {
        replicas,
        measured: usage,
        average: None,
    }
}

/// Go's sum of `int64`, which wraps.
fn total(values: &[i64]) -> i64 {
    values.iter().fold(0, |sum, value| sum.wrapping_add(*value))
}
