//! Which inputs a sync may have had: what its status shows, undone as far as rounding allows, and what was seen
//! of pods and samples about the time at which it looked.
//!
//! Must not choose among them.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::fact::Target;
use super::syncs::{Measured, Observed, Outcome, Sync};
use super::world::{Pods, Samples, World, chosen};
use crate::hpa::{HpaInput, HpaMetric, HpaMetricKind, HpaSpec, HpaTarget, MetricReading, Pod};
use crate::keda::{TriggerSpec, TriggerTarget};

/// Most inputs that are tried for one sync.
const MOST: usize = 400;

/// The inputs that a sync may have had.
#[derive(Debug, Default)]
pub(super) struct Candidates {
    pub(super) inputs: Vec<HpaInput>,
    /// Whether something changed about the time at which it looked.
    pub(super) moving: bool,
    /// Whether a metric is not known at all, not even by its status.
    pub(super) blind: bool,
    /// What was read, in words.
    pub(super) reading: String,
}

/// One state of the target and its pods.
struct Scene {
    status_replicas: i32,
    pods: Vec<Pod>,
    samples: Arc<Samples>,
}

/// Collects the inputs of one sync of the HPA that has `spec`, on the Deployment `target`.
pub(super) fn candidates(
    world: &World,
    spec: &HpaSpec,
    target: &str,
    sync: &Sync,
    observed: &Observed,
) -> Candidates {
    let mut found = Candidates::default();
    let targets = targets(world, target, sync);
    let scenes = scenes(world, spec, &targets, sync, observed);
    found.moving = scenes.len() > 1;
    for scene in scenes {
        let mut readings: Vec<Vec<MetricReading>> = vec![Vec::new()];
        for (index, metric) in spec.metrics.iter().enumerate() {
            let measured = observed.metrics.get(index).copied();
            let measured = measured.unwrap_or(Measured::Missing);
            let options = options(world, metric, measured, &scene, sync, &mut found, observed);
            readings = readings
                .iter()
                .flat_map(|before| {
                    options.iter().map(|option| {
                        let mut all = before.clone();
                        all.push(option.clone());
                        all
                    })
                })
                .take(MOST)
                .collect();
        }
        found
            .inputs
            .extend(readings.into_iter().map(|metrics| HpaInput {
                spec_replicas: observed.current,
                status_replicas: scene.status_replicas,
                metrics,
                pods: scene.pods.clone(),
            }));
    }
    found.inputs.truncate(MOST);
    found
}

/// The states of the Deployment that the sync may have seen.
fn targets<'a>(world: &'a World, target: &str, sync: &Sync) -> Vec<&'a Target> {
    let (from, to) = sync.looked;
    let line = world.targets.get(target);
    line.map(|line| line.between(from, to).flatten().collect())
        .unwrap_or_default()
}

fn scenes(
    world: &World,
    spec: &HpaSpec,
    targets: &[&Target],
    sync: &Sync,
    observed: &Observed,
) -> Vec<Scene> {
    let average = |metric: &HpaMetric| {
        matches!(metric.kind, HpaMetricKind::External { .. })
            && matches!(metric.target, HpaTarget::AverageValue(_))
    };
    let mut counts: BTreeSet<i32> = targets.iter().map(|it| it.status_replicas).collect();
    if counts.is_empty() || !spec.metrics.iter().any(average) {
        counts = BTreeSet::from([observed.current]);
    }
    let looks = match targets.first() {
        Some(target) if spec.metrics.iter().any(needs_pods) => looks(world, target, sync),
        _ => vec![(Vec::new(), Arc::default())],
    };
    let mut scenes = Vec::new();
    for status_replicas in counts {
        for (pods, samples) in &looks {
            scenes.push(Scene {
                status_replicas,
                pods: pods.clone(),
                samples: Arc::clone(samples),
            });
        }
    }
    scenes
}

fn needs_pods(metric: &HpaMetric) -> bool {
    matches!(metric.kind, HpaMetricKind::Resource { .. })
        || matches!(metric.target, HpaTarget::Value(_))
}

/// The pods of the target and the samples, each as the sync may have seen them, in every combination.
///
/// A sample of a pod that the selector does not choose (any more) is one that the controller may have got, too.
fn looks(world: &World, target: &Target, sync: &Sync) -> Vec<(Vec<Pod>, Arc<Samples>)> {
    let (from, to) = sync.looked;
    let mut pods: Vec<Vec<Pod>> = Vec::new();
    let mut names: BTreeSet<String> = BTreeSet::new();
    let states: Vec<&Arc<Pods>> = world.pods.between(from, to).collect();
    for state in states {
        let chosen = chosen(state, &target.selector);
        names.extend(chosen.iter().map(|pod| pod.name.clone()));
        if !pods.contains(&chosen) {
            pods.push(chosen);
        }
    }
    let mut samples: Vec<Arc<Samples>> = Vec::new();
    for state in world.samples.around(from, to) {
        let own = |(name, _): &(&String, _)| names.contains(*name);
        let own = state.iter().filter(own);
        let own: Samples = own
            .map(|(name, sample)| (name.clone(), sample.clone()))
            .collect();
        if !samples.iter().any(|seen| **seen == own) {
            samples.push(Arc::new(own));
        }
    }
    let mut looks = Vec::new();
    for pods in &pods {
        for samples in &samples {
            looks.push((pods.clone(), Arc::clone(samples)));
            let known = |name: &String| pods.iter().any(|pod| pod.name == *name);
            if samples.keys().any(|name| !known(name)) {
                let mut strict = (**samples).clone();
                strict.retain(|name, _| known(name));
                looks.push((pods.clone(), Arc::new(strict)));
            }
        }
    }
    looks
}

/// The readings of one metric that lead to what the status shows of it.
fn options(
    world: &World,
    metric: &HpaMetric,
    measured: Measured,
    scene: &Scene,
    sync: &Sync,
    found: &mut Candidates,
    observed: &Observed,
) -> Vec<MetricReading> {
    if measured == Measured::Missing && observed.outcome != Outcome::Decided {
        let message = observed.reason("ScalingActive").to_owned();
        tell(&mut found.reading, &message);
        return vec![MetricReading::Failed { error: message }];
    }
    match (&metric.kind, metric.target, measured) {
        // Outside the bounds or at zero nothing is read.
        (_, _, Measured::Missing) => vec![MetricReading::Failed {
            error: "not read".to_owned(),
        }],
        (HpaMetricKind::External { name, labels }, HpaTarget::AverageValue(target), measured) => {
            let Measured::Average(average) = measured else {
                return Vec::new();
            };
            let owner = labels.get(crate::api::OWNER).map(String::as_str);
            let pods = scene.status_replicas;
            if pods > 0 && average >= 0 {
                let whole = owner.is_some_and(|owner| counts_items(world, owner, name, sync));
                let totals = totals(average, pods, target, whole);
                if let Some(total) = totals.first() {
                    tell(&mut found.reading, &of_pods(*total, pods));
                }
                return totals.into_iter().map(MetricReading::single).collect();
            }
            if pods > 0 {
                return Vec::new();
            }
            // Nothing divided by no pod: the status shows no value that means anything.
            let mut values = owner.map_or_else(Vec::new, |owner| asked(world, owner, name, sync));
            if values.is_empty() {
                found.blind = true;
                values = vec![0, target.saturating_mul(i64::from(observed.desired))];
            }
            tell(&mut found.reading, &of_pods(values[0], pods));
            values.into_iter().map(MetricReading::single).collect()
        }
        (
            HpaMetricKind::External { .. } | HpaMetricKind::Object { .. },
            HpaTarget::Value(_),
            Measured::Value(total),
        ) => {
            tell(&mut found.reading, &thousandths(total));
            vec![MetricReading::single(total)]
        }
        (HpaMetricKind::Resource { name, container }, _, measured) => {
            let key = match container {
                Some(container) => format!("{container}/{name}"),
                None => name.clone(),
            };
            match measured {
                Measured::Utilization(percent, _) => {
                    tell(&mut found.reading, &format!("{key} {percent} %"));
                }
                Measured::Average(average) | Measured::Value(average) => {
                    tell(
                        &mut found.reading,
                        &format!("{key} {}", thousandths(average)),
                    );
                }
                Measured::Missing => {}
            }
            let samples = scene.samples.iter();
            let of = samples.filter_map(|(pod, it)| Some((pod.clone(), it.of(&key)?)));
            vec![MetricReading::Pods {
                samples: of.collect(),
            }]
        }
        _ => Vec::new(),
    }
}

/// Notes a reading once.
fn tell(reading: &mut String, text: &str) {
    if reading.split(" or ").any(|before| before == text) || reading.matches(" or ").count() > 2 {
        return;
    }
    if !reading.is_empty() {
        reading.push_str(" or ");
    }
    reading.push_str(text);
}

fn of_pods(total: i64, pods: i32) -> String {
    format!("{} on {pods}", thousandths(total))
}

/// `18` or `1.5`.
pub(super) fn thousandths(milli: i64) -> String {
    if milli % 1000 == 0 {
        (milli / 1000).to_string()
    } else {
        format!("{}", milli as f64 / 1000.0)
    }
}

/// Whether the metric is a number of items, so that every reading of it is whole.
fn counts_items(world: &World, owner: &str, metric: &str, sync: &Sync) -> bool {
    let line = world.scaled_objects.get(owner);
    let Some(Some(object)) = line.and_then(|line| line.at(sync.at)) else {
        return false;
    };
    let triggers = object.spec.triggers.iter().enumerate();
    triggers
        .filter(|(_, trigger)| trigger.kind.starts_with("redis"))
        .filter_map(|(index, trigger)| TriggerSpec::new(index, trigger).ok())
        .any(|trigger| match trigger.target {
            TriggerTarget::External { metric: name, .. } => name == metric,
            TriggerTarget::Resource { .. } => false,
        })
}

/// What the recorder itself read about that time.
fn asked(world: &World, owner: &str, metric: &str, sync: &Sync) -> Vec<i64> {
    let (from, to) = sync.looked;
    let key = (owner.to_owned(), metric.to_owned());
    let Some(line) = world.readings.get(&key) else {
        return Vec::new();
    };
    let mut values: Vec<i64> = line
        .around(from, to)
        .filter_map(|it| it.as_ref().ok().copied())
        .collect();
    values.sort_unstable();
    values.dedup();
    values
}

/// The totals that upstream's `ceil(total / pods)` turns into `average`.
///
/// Where every reading is whole, one is left for fewer than a thousand pods. Else the ends of the range, and the
/// two sides of each step of `ceil(total / target)` within it: proposals change nowhere else.
fn totals(average: i64, pods: i32, target: i64, whole: bool) -> Vec<i64> {
    let pods = i64::from(pods);
    let low = ((average - 1).saturating_mul(pods) + 1).max(0);
    let high = average.saturating_mul(pods);
    if whole {
        let first = low.div_euclid(1000) + i64::from(low.rem_euclid(1000) != 0);
        return (first..=high.div_euclid(1000))
            .take(16)
            .map(|count| count * 1000)
            .collect();
    }
    let steps = (low / target..=high / target).take(8);
    let sides = steps.flat_map(|step| [step * target, step * target + 1]);
    let mut all: Vec<i64> = sides
        .filter(|total| (low..=high).contains(total))
        .chain([low, high])
        .collect();
    all.sort_unstable();
    all.dedup();
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_reading_comes_back_from_its_rounded_average() {
        for pods in 1..60_i64 {
            for count in 0..300_i64 {
                let average = (count * 1000 + pods - 1) / pods;
                assert_eq!(
                    totals(average, pods as i32, 5000, true),
                    [count * 1000],
                    "{count} on {pods}"
                );
            }
        }
    }

    #[test]
    fn a_reading_with_fractions_keeps_every_proposal_that_it_allows() {
        // 3 pods, 3334 a pod: 10000 to 10002, and a target of 5000 steps from 2 to 3 behind 10000.
        assert_eq!(totals(3334, 3, 5000, false), [10_000, 10_001, 10_002]);
        assert_eq!(totals(0, 3, 5000, false), [0]);
        assert!(totals(3334, 3, 5000, true).contains(&10_000));
    }
}
