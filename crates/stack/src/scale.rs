//! Sizes of a stack's targets while it is under load, and the reason for each change.
//!
//! Must not cost the cluster anything: a handful of lists a look.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use kedactl_cluster::{AutoscalerView, ScalerView, WorkloadView};
use serde::Serialize;

use crate::status::{Reading, of_autoscaler, readings};
use crate::{Live, StackError};

/// Replicas of one target.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Size {
    /// Pods that there should be.
    pub desired: u32,
    /// Pods that are ready.
    pub ready: u32,
}

/// All targets at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Sizes {
    /// By name of the Deployment.
    pub targets: BTreeMap<String, Size>,
    /// What changed since the look before, and why, one line each.
    pub changes: Vec<String>,
}

/// Remembers what was told.
#[derive(Debug, Default)]
pub struct ScaleWatch {
    told: Mutex<Option<BTreeMap<String, u32>>>,
}

impl ScaleWatch {
    /// Looks once.
    pub async fn look(&self, live: &Live) -> Result<Sizes, StackError> {
        let (cluster, namespace) = (live.cluster(), &live.record().config.namespace);
        let (workloads, autoscalers, scalers) = tokio::try_join!(
            kedactl_cluster::workloads(cluster, namespace),
            kedactl_cluster::autoscalers(cluster, namespace),
            kedactl_cluster::scalers(cluster, namespace),
        )?;
        Ok(self.compare(&workloads, &autoscalers, &scalers))
    }

    fn compare(
        &self,
        workloads: &[WorkloadView],
        autoscalers: &[AutoscalerView],
        scalers: &[ScalerView],
    ) -> Sizes {
        let targets = workloads.iter().map(|it| {
            let size = Size {
                desired: it.desired,
                ready: it.ready,
            };
            (it.name.clone(), size)
        });
        let targets: BTreeMap<String, Size> = targets.collect();
        let now = targets
            .iter()
            .map(|(name, size)| (name.clone(), size.desired));
        let now: BTreeMap<String, u32> = now.collect();
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let before = told.replace(now);
        let changed = workloads.iter().filter_map(|it| {
            let old = *before.as_ref()?.get(&it.name)?;
            (old != it.desired).then(|| change(it, old, autoscalers, scalers))
        });
        Sizes {
            changes: changed.collect(),
            targets,
        }
    }
}

/// `Deployment worker 1 → 4 by HorizontalPodAutoscaler/keda-hpa-worker: 74 of 10; 3 more are wanted`
fn change(
    it: &WorkloadView,
    old: u32,
    autoscalers: &[AutoscalerView],
    scalers: &[ScalerView],
) -> String {
    let target = format!("{} {}", it.kind, it.name);
    let moved = format!("{} {old} → {}", it.name, it.desired);
    let scaler = scalers.iter().find(|scaler| scaler.target == target);
    // Between zero and one it is KEDA itself, beyond that the autoscaler that it made.
    if let Some(scaler) = scaler.filter(|_| old == 0 || it.desired == 0) {
        let words = scaler.condition("Active").map(|it| it.message.as_str());
        let words = words.filter(|it| !it.is_empty());
        let why = words.unwrap_or(if it.desired == 0 {
            "no trigger is active"
        } else {
            "a trigger is active"
        });
        return format!("{moved} by ScaledObject/{}: {why}", scaler.name);
    }
    match autoscalers.iter().find(|hpa| hpa.target == target) {
        Some(hpa) => {
            let read: Vec<String> = readings(hpa).iter().map(Reading::to_string).collect();
            let read = read.join(", ");
            let why = of_autoscaler(hpa);
            format!(
                "{moved} by HorizontalPodAutoscaler/{}: {read}; {why}",
                hpa.name
            )
        }
        None => format!("{moved} by hand"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kedactl_cluster::MetricView;

    fn worker(desired: u32) -> [WorkloadView; 1] {
        [WorkloadView {
            namespace: "keda".to_owned(),
            kind: "Deployment".to_owned(),
            name: "worker".to_owned(),
            desired,
            ready: 0,
            images: Vec::new(),
            release: None,
            chart: None,
        }]
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
            last_active: String::new(),
            leaving: false,
            conditions: Vec::new(),
        }
    }

    fn autoscaler() -> AutoscalerView {
        AutoscalerView {
            namespace: "keda".to_owned(),
            name: "keda-hpa-worker".to_owned(),
            target: "Deployment worker".to_owned(),
            made_for: Some("worker".to_owned()),
            min: 1,
            max: 10,
            current: 2,
            desired: 8,
            metrics: vec![MetricView {
                name: "s0-redis".to_owned(),
                kind: "AverageValue".to_owned(),
                value: Some("37".to_owned()),
                target: "10".to_owned(),
            }],
            last_scaled: String::new(),
            conditions: Vec::new(),
        }
    }

    #[test]
    fn each_change_is_told_once_with_who_and_why() {
        let watch = ScaleWatch::default();
        let look = |desired| {
            watch
                .compare(&worker(desired), &[autoscaler()], &[scaler()])
                .changes
        };
        assert!(look(0).is_empty(), "the first look knows no change");
        assert_eq!(
            look(1),
            ["worker 0 → 1 by ScaledObject/worker: a trigger is active"]
        );
        assert!(look(1).is_empty());
        assert_eq!(
            look(8),
            [
                "worker 1 → 8 by HorizontalPodAutoscaler/keda-hpa-worker: 74 of 10; 6 more are wanted"
            ]
        );
        assert_eq!(
            look(0),
            ["worker 8 → 0 by ScaledObject/worker: no trigger is active"]
        );
    }

    #[test]
    fn a_target_that_nothing_scales_was_moved_by_hand() {
        let watch = ScaleWatch::default();
        watch.compare(&worker(1), &[], &[]);
        assert_eq!(
            watch.compare(&worker(2), &[], &[]).changes,
            ["worker 1 → 2 by hand"]
        );
    }
}
