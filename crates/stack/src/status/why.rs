//! Why a target has the replicas that it has, in one line, from what KEDA and Kubernetes say about it.
//!
//! Must not guess: where neither says anything, neither does this.

use kedactl_cluster::{AutoscalerView, MetricView, ScalerView};
use kedactl_config::parse_milli;

/// What an autoscaler read beside its target.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Reading {
    /// `s0-redis-kq-default-live`, `cpu`.
    pub name: String,
    /// In all where the target is an average, else in the unit of the target; absent before it was read.
    pub value: Option<f64>,
    /// What it is compared with.
    pub target: f64,
    /// `AverageValue`, `Value` or `Utilization`.
    pub target_type: String,
}

impl std::fmt::Display for Reading {
    /// `186 of 10`, `73% of 50%`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let unit = if self.target_type == "Utilization" {
            "%"
        } else {
            ""
        };
        match self.value {
            Some(value) => write!(f, "{value:.0}{unit} of {:.0}{unit}", self.target),
            None => write!(f, "? of {:.0}{unit}", self.target),
        }
    }
}

/// Readings as numbers. An average is given as the sum that it was made from: that is what a queue's length is.
pub(crate) fn readings(it: &AutoscalerView) -> Vec<Reading> {
    let number = |metric: &MetricView| {
        let milli = parse_milli(metric.value.as_ref()?)?;
        let pods = if metric.kind == "AverageValue" {
            f64::from(it.current.max(1))
        } else {
            1.0
        };
        Some(milli as f64 / 1000.0 * pods)
    };
    let reading = |metric: &MetricView| Reading {
        name: metric.name.clone(),
        value: number(metric),
        target: parse_milli(&metric.target).unwrap_or(0) as f64 / 1000.0,
        target_type: metric.kind.clone(),
    };
    it.metrics.iter().map(reading).collect()
}

/// Why a `ScaledObject`'s target has its replicas. `now` and times are seconds since the Unix epoch.
pub(super) fn of_scaler(it: &ScalerView, autoscaler: Option<&AutoscalerView>, now: u64) -> String {
    if it.leaving {
        return "it is being deleted".to_owned();
    }
    if it.paused {
        return match &it.paused_at {
            Some(at) => format!("paused at {at} by its annotation"),
            None => "paused by its annotation".to_owned(),
        };
    }
    if let Some(problem) = it.problems().first() {
        return problem.clone();
    }
    if it.fallback {
        let failing = it
            .failing
            .iter()
            .map(|(name, times)| format!("{name} failed {times} times"));
        let failing: Vec<String> = failing.collect();
        return format!("fallback: {}", failing.join(", "));
    }
    let current = autoscaler.map_or(0, |it| it.current);
    if !it.active {
        return idle(it, current, now);
    }
    let words = autoscaler.map(of_autoscaler).filter(|it| !it.is_empty());
    words.unwrap_or_else(|| "there is work".to_owned())
}

/// Nothing waits: the floor, or the cooldown on the way to it.
fn idle(it: &ScalerView, current: u32, now: u64) -> String {
    let floor = it.idle.unwrap_or(it.min);
    if current <= floor {
        return "nothing to do".to_owned();
    }
    if floor > 0 {
        return format!("nothing to do, on the way to {floor}");
    }
    let since = kedactl_cluster::seconds(&it.last_active).map(|since| now.saturating_sub(since));
    let left = since.map(|since| u64::from(it.cooldown_s).saturating_sub(since));
    match left {
        Some(0) | None => "nothing to do, the last pods go".to_owned(),
        Some(left) => format!("nothing to do, the last pods go in {left} s (cooldown)"),
    }
}

/// Why an autoscaler wants what it wants.
pub(crate) fn of_autoscaler(it: &AutoscalerView) -> String {
    if let Some(problem) = it.problems().first() {
        return problem.clone();
    }
    let held = it.condition("ScalingLimited").filter(|it| it.holds());
    match held.map(|it| it.reason.as_str()) {
        Some("TooManyReplicas") if it.desired >= it.max => {
            return format!("at its most, {}: the readings ask for more", it.max);
        }
        Some("TooFewReplicas") if it.desired <= it.min => {
            return format!("at its fewest, {}", it.min);
        }
        Some("ScaleUpLimit") => return "growing as fast as its policy allows".to_owned(),
        Some("ScaleDownLimit") => return "shrinking as fast as its policy allows".to_owned(),
        _ => {}
    }
    let able = it.condition("AbleToScale").map(|it| it.reason.as_str());
    match able {
        Some("ScaleDownStabilized") => {
            "held: a higher number was right within its stabilization window".to_owned()
        }
        Some("ScaleUpStabilized") => {
            "held: a lower number was right within its stabilization window".to_owned()
        }
        _ if it.desired > it.current => format!("{} more are wanted", it.desired - it.current),
        _ if it.desired < it.current => format!("{} fewer are wanted", it.current - it.desired),
        Some(_) => "the readings fit".to_owned(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kedactl_cluster::ConditionView;

    fn condition(kind: &str, status: &str, reason: &str, message: &str) -> ConditionView {
        ConditionView {
            kind: kind.to_owned(),
            status: status.to_owned(),
            reason: reason.to_owned(),
            message: message.to_owned(),
        }
    }

    fn autoscaler(current: u32, desired: u32, conditions: Vec<ConditionView>) -> AutoscalerView {
        AutoscalerView {
            namespace: "keda".to_owned(),
            name: "keda-hpa-worker".to_owned(),
            target: "Deployment worker".to_owned(),
            made_for: Some("worker".to_owned()),
            min: 1,
            max: 10,
            current,
            desired,
            metrics: vec![MetricView {
                name: "s0-redis".to_owned(),
                kind: "AverageValue".to_owned(),
                value: Some("18500m".to_owned()),
                target: "10".to_owned(),
            }],
            last_scaled: String::new(),
            conditions,
        }
    }

    fn scaler() -> ScalerView {
        ScalerView {
            namespace: "keda".to_owned(),
            name: "worker".to_owned(),
            target: "Deployment worker".to_owned(),
            autoscaler: "keda-hpa-worker".to_owned(),
            min: 0,
            max: 10,
            idle: None,
            cooldown_s: 300,
            ready: true,
            active: true,
            paused: false,
            paused_at: None,
            fallback: false,
            failing: Vec::new(),
            last_active: "1970-01-01T00:01:40Z".to_owned(),
            leaving: false,
            conditions: Vec::new(),
        }
    }

    #[test]
    fn an_average_is_told_as_the_sum_it_was_made_from() {
        let it = &readings(&autoscaler(4, 8, Vec::new()))[0];
        assert_eq!((it.value, it.target), (Some(74.0), 10.0));
        let it = &readings(&autoscaler(0, 0, Vec::new()))[0];
        assert_eq!(it.value, Some(18.5));
    }

    #[test]
    fn an_idle_scaler_tells_its_cooldown() {
        let mut it = scaler();
        it.active = false;
        let of = |it: &ScalerView, current: u32, now: u64| {
            of_scaler(it, Some(&autoscaler(current, current, Vec::new())), now)
        };
        assert_eq!(of(&it, 0, 130), "nothing to do");
        assert_eq!(
            of(&it, 2, 130),
            "nothing to do, the last pods go in 270 s (cooldown)"
        );
        assert_eq!(of(&it, 2, 1000), "nothing to do, the last pods go");
        it.min = 2;
        assert_eq!(of(&it, 3, 130), "nothing to do, on the way to 2");
    }

    #[test]
    fn what_is_wrong_comes_before_what_is_wanted() {
        let mut it = scaler();
        it.fallback = true;
        it.failing = vec![("s0-redis".to_owned(), 4)];
        assert_eq!(of_scaler(&it, None, 0), "fallback: s0-redis failed 4 times");
        it.conditions = vec![condition(
            "Ready",
            "False",
            "ScaledObjectCheckFailed",
            "no redis",
        )];
        assert_eq!(
            of_scaler(&it, None, 0),
            "Ready: ScaledObjectCheckFailed: no redis"
        );
        it.paused_at = Some("3".to_owned());
        it.paused = true;
        assert_eq!(of_scaler(&it, None, 0), "paused at 3 by its annotation");
        it.leaving = true;
        assert_eq!(of_scaler(&it, None, 0), "it is being deleted");
    }

    #[test]
    fn an_autoscaler_tells_what_holds_it() {
        let of =
            |current, desired, conditions| of_autoscaler(&autoscaler(current, desired, conditions));
        let able = |reason: &str| condition("AbleToScale", "True", reason, "");
        let limited = |reason: &str| condition("ScalingLimited", "True", reason, "");
        assert_eq!(
            of(10, 10, vec![limited("TooManyReplicas")]),
            "at its most, 10: the readings ask for more"
        );
        assert_eq!(
            of(1, 1, vec![limited("TooFewReplicas")]),
            "at its fewest, 1"
        );
        assert_eq!(
            of(4, 4, vec![able("ScaleDownStabilized")]),
            "held: a higher number was right within its stabilization window"
        );
        assert_eq!(
            of(4, 8, vec![able("SucceededRescale")]),
            "4 more are wanted"
        );
        assert_eq!(of(4, 4, vec![able("ReadyForNewScale")]), "the readings fit");
        let failed = condition(
            "ScalingActive",
            "False",
            "FailedGetExternalMetric",
            "no answer",
        );
        assert_eq!(
            of(4, 4, vec![failed]),
            "ScalingActive: FailedGetExternalMetric: no answer"
        );
    }
}
