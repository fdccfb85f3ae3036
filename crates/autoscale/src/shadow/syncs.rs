//! When an HPA was synced, as its status tells, and when it must have been without its status telling.
//!
//! Must not predict.

use std::sync::Arc;

use k8s_openapi::api::autoscaling::v2::{
    HorizontalPodAutoscaler, HorizontalPodAutoscalerCondition, HorizontalPodAutoscalerStatus,
    MetricStatus, MetricValueStatus,
};

use super::timeline::Timeline;
use crate::hpa::{Condition, ConditionStatus};
use crate::quantity;
use crate::time::Timestamp;

/// From a controller's look at the world to its outcome at the recorder, at most: 2.5 s, on a busy machine.
pub(super) const LAG: i64 = 2_500_000;
/// The same where nothing is late: 0.6 s.
pub(super) const NEAR: i64 = 600_000;
/// Two watches of one recorder may tell two changes the wrong way round, by at most 1 s.
pub(super) const SKEW: i64 = 1_000_000;

/// What happens to an HPA.
#[derive(Debug)]
pub(super) enum Happening {
    /// It is new: everything that it remembers is in the recording.
    Fresh(Arc<HorizontalPodAutoscaler>),
    /// It was there before.
    Joined(Arc<HorizontalPodAutoscaler>),
    /// Its spec changed.
    Changed(Arc<HorizontalPodAutoscaler>),
    /// A sync.
    Sync(Sync),
    /// It was deleted, and with it what the controller remembers.
    Gone,
}

/// One sync.
#[derive(Clone, Debug)]
pub(super) struct Sync {
    pub(super) at: Timestamp,
    /// When it ended at the latest: a watch that is late tells several syncs at once, and there is a period between two.
    pub(super) ended: Timestamp,
    /// Whether the status changed.
    pub(super) seen: bool,
    /// It looked at the world somewhere between these two.
    pub(super) looked: (Timestamp, Timestamp),
    /// Most likely between these.
    pub(super) near: (Timestamp, Timestamp),
    /// The status after it.
    pub(super) status: HorizontalPodAutoscalerStatus,
}

/// Returns what happened to an HPA until `end`; `period` is the controller's, in seconds.
pub(super) fn happenings(
    line: &Timeline<Option<Arc<HorizontalPodAutoscaler>>>,
    period: i64,
    end: Timestamp,
) -> Vec<Happening> {
    let spacing = spacing(line, period);
    let ended = ended(line, period);
    let mut all = Vec::new();
    let mut last: Option<(Timestamp, Arc<HorizontalPodAutoscaler>)> = None;
    // When the latest sync that was seen looked at the earliest, and its end; none before the first.
    let mut synced: Option<(Timestamp, Timestamp)> = None;
    for ((at, version), ended) in line.all().iter().zip(ended) {
        let before = last.take();
        let Some(version) = version else {
            if let (Some(from), Some((_, old))) = (synced.take(), before) {
                all.extend(unseen(from, *at, spacing, false, &old));
            }
            all.push(Happening::Gone);
            continue;
        };
        last = Some((*at, Arc::clone(version)));
        let Some((_, before)) = before else {
            let fresh = conditions(version.status.as_ref()).is_empty();
            let version = Arc::clone(version);
            all.push(if fresh {
                Happening::Fresh(version)
            } else {
                Happening::Joined(version)
            });
            continue;
        };
        if before.status != version.status
            && let Some(status) = version.status.clone()
        {
            if let Some(from) = synced {
                all.extend(unseen(from, ended, spacing, true, &before));
            }
            // One sync follows the other: it did not look before the latest one had ended.
            let since = |from: Timestamp| synced.map_or(from, |(_, end)| end.max(from));
            let looked = since(at.plus_micros(-LAG));
            all.push(Happening::Sync(Sync {
                at: *at,
                ended,
                seen: true,
                looked: (looked, at.plus_micros(SKEW)),
                near: (since(ended.plus_micros(-NEAR)), ended),
                status,
            }));
            synced = Some((looked, ended));
        }
        if before.spec != version.spec {
            all.push(Happening::Changed(Arc::clone(version)));
        }
    }
    if let (Some(from), Some((_, version))) = (synced, last) {
        all.extend(unseen(from, end, spacing, false, &version));
    }
    all
}

/// When the sync that wrote each version had ended at the latest: when it was seen, or a period before the next one had,
/// with a tenth for the work.
fn ended(line: &Timeline<Option<Arc<HorizontalPodAutoscaler>>>, period: i64) -> Vec<Timestamp> {
    let apart = period.max(1) * 900_000;
    let all = line.all();
    let mut ended: Vec<Timestamp> = all.iter().map(|(at, _)| *at).collect();
    let mut next: Option<Timestamp> = None;
    for index in (0..all.len()).rev() {
        let before = index.checked_sub(1).and_then(|it| all[it].1.as_ref());
        match (before, all[index].1.as_ref()) {
            (Some(before), Some(version)) if before.status == version.status => {}
            (_, Some(_)) => {
                let at = ended[index];
                let latest = next.map_or(at, |it| at.min(it.plus_micros(-apart)));
                ended[index] = latest.max(at.plus_micros(-LAG));
                next = Some(ended[index]);
            }
            (_, None) => next = None,
        }
    }
    ended
}

/// The time between two syncs in microseconds: the period and the work, measured where two in a row were seen.
fn spacing(line: &Timeline<Option<Arc<HorizontalPodAutoscaler>>>, period: i64) -> i64 {
    let period = period.max(1) * 1_000_000;
    let mut times = Vec::new();
    let mut before: Option<&Arc<HorizontalPodAutoscaler>> = None;
    for (at, version) in line.all() {
        let version = version.as_ref();
        if let (Some(before), Some(version)) = (before, version)
            && before.status != version.status
        {
            times.push(at.as_micros());
        }
        before = version;
    }
    let mut gaps: Vec<i64> = times
        .windows(2)
        .map(|pair| pair[1] - pair[0])
        .filter(|gap| (period * 9 / 10..period * 3 / 2).contains(gap))
        .collect();
    gaps.sort_unstable();
    gaps.get(gaps.len() / 2)
        .copied()
        .unwrap_or(period + 20_000)
        .max(period)
}

/// The syncs that changed nothing after one that was seen, with its look and its end, and before another time. Where one
/// that was seen ends them, they are spread evenly.
fn unseen(
    (looked, from): (Timestamp, Timestamp),
    to: Timestamp,
    spacing: i64,
    seen_at_end: bool,
    version: &HorizontalPodAutoscaler,
) -> Vec<Happening> {
    let gap = to.as_micros() - from.as_micros();
    let rounds = if seen_at_end {
        (gap + spacing / 2) / spacing
    } else {
        gap / spacing + 1
    };
    let step = if seen_at_end {
        gap / rounds.max(1)
    } else {
        spacing
    };
    let Some(status) = &version.status else {
        return Vec::new();
    };
    // After a change of size the next sync finds another one, and says so.
    let rescaled =
        |it: &&HorizontalPodAutoscalerCondition| it.reason.as_deref() == Some("SucceededRescale");
    if conditions(Some(status)).iter().any(|it| rescaled(&it)) {
        return Vec::new();
    }
    let sync = |round: i64| {
        let at = from.plus_micros(round * step);
        let half = spacing / 2;
        Happening::Sync(Sync {
            at,
            ended: at,
            seen: false,
            looked: (
                at.plus_micros(-half - LAG).max(looked),
                at.plus_micros(half).min(to),
            ),
            near: (
                at.plus_micros(-NEAR).max(from),
                at.plus_micros(NEAR / 2).min(to),
            ),
            status: status.clone(),
        })
    };
    (1..rounds).map(sync).collect()
}

fn conditions(
    status: Option<&HorizontalPodAutoscalerStatus>,
) -> &[HorizontalPodAutoscalerCondition] {
    status
        .and_then(|status| status.conditions.as_deref())
        .unwrap_or_default()
}

/// What a status says of the sync that wrote it.
#[derive(Debug)]
pub(super) struct Observed {
    /// `spec.replicas` as the sync found it.
    pub(super) current: i32,
    /// The size afterwards.
    pub(super) desired: i32,
    /// In the order of the spec.
    pub(super) metrics: Vec<Measured>,
    pub(super) conditions: Vec<Condition>,
    pub(super) outcome: Outcome,
}

/// How far the sync came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It decided.
    Decided,
    /// Metrics were missing, and it held the size.
    Held,
    /// It decided, and could not write.
    NotWritten,
    /// It did not get as far as to look at metrics.
    Stopped,
}

/// One metric of a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Measured {
    /// Thousandths a pod, rounded up (external) or down (resources).
    Average(i64),
    /// Thousandths in all.
    Value(i64),
    /// Percent, and thousandths a pod.
    Utilization(i64, i64),
    /// No value.
    Missing,
}

impl Observed {
    pub(super) fn of(status: &HorizontalPodAutoscalerStatus) -> Self {
        let conditions: Vec<Condition> = conditions(Some(status))
            .iter()
            .map(|it| Condition {
                kind: it.type_.clone(),
                status: if it.status == "True" {
                    ConditionStatus::True
                } else {
                    ConditionStatus::False
                },
                reason: it.reason.clone().unwrap_or_default(),
                message: it.message.clone().unwrap_or_default(),
            })
            .collect();
        let fails = |kind: &str| {
            conditions
                .iter()
                .find(|it| it.kind == kind && it.status == ConditionStatus::False)
                .map(|it| it.reason.as_str())
        };
        let outcome = match (fails("AbleToScale"), fails("ScalingActive")) {
            (Some("FailedUpdateScale"), _) => Outcome::NotWritten,
            (Some(_), _) => Outcome::Stopped,
            (None, None | Some("ScalingDisabled")) => Outcome::Decided,
            (None, Some(_)) => Outcome::Held,
        };
        let current = status.current_replicas.unwrap_or(0);
        Self {
            current,
            desired: match outcome {
                Outcome::Decided => status.desired_replicas,
                _ => current,
            },
            metrics: status
                .current_metrics
                .iter()
                .flatten()
                .map(measured)
                .collect(),
            conditions,
            outcome,
        }
    }

    /// Returns a condition's reason; empty where it is not there.
    pub(super) fn reason(&self, kind: &str) -> &str {
        let found = self.conditions.iter().find(|it| it.kind == kind);
        found.map_or("", |it| it.reason.as_str())
    }
}

fn measured(metric: &MetricStatus) -> Measured {
    let current: Option<&MetricValueStatus> = metric
        .external
        .as_ref()
        .map(|it| &it.current)
        .or(metric.resource.as_ref().map(|it| &it.current))
        .or(metric.container_resource.as_ref().map(|it| &it.current))
        .or(metric.object.as_ref().map(|it| &it.current))
        .or(metric.pods.as_ref().map(|it| &it.current));
    let Some(current) = current else {
        return Measured::Missing;
    };
    let milli = |q: &Option<_>| q.as_ref().and_then(|q| quantity::to_milli(q).ok());
    match (
        current.average_utilization,
        milli(&current.average_value),
        milli(&current.value),
    ) {
        (Some(percent), Some(average), _) => Measured::Utilization(i64::from(percent), average),
        (_, Some(average), _) => Measured::Average(average),
        (_, _, Some(value)) => Measured::Value(value),
        _ => Measured::Missing,
    }
}
