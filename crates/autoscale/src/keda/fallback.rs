//! The value KEDA reports in place of a trigger that keeps failing.
//!
//! Must not count failures; the machine does.

use crate::api::{Fallback, FallbackBehavior, MetricType};

/// Returns the count that the fallback wants, given the present one.
pub(crate) fn replicas(fallback: &Fallback, current: i32) -> i32 {
    match fallback.behavior.unwrap_or_default() {
        FallbackBehavior::Static => fallback.replicas,
        FallbackBehavior::CurrentReplicas => current,
        FallbackBehavior::CurrentReplicasIfHigher => current.max(fallback.replicas),
        FallbackBehavior::CurrentReplicasIfLower => current.min(fallback.replicas),
    }
}

/// Returns the thousandths that make the HPA ask for the fallback's count.
///
/// `None` where it cannot be expressed: a `Value` target with no ready pod.
pub(crate) fn milli(
    fallback: &Fallback,
    target_milli: i64,
    metric_type: MetricType,
    current: i32,
    ready: i32,
) -> Option<i64> {
    let wanted = f64::from(replicas(fallback, current));
    // The operand order is upstream's; it decides the last bit.
    let target = target_milli as f64 / 1000.0;
    let per_pod = match metric_type {
        MetricType::Value if ready <= 0 => return None,
        MetricType::Value => target / f64::from(ready),
        MetricType::AverageValue | MetricType::Utilization => target,
    };
    Some((per_pod * 1000.0 * wanted) as i64)
}
