//! Which inputs a sync may have had: the states of target, pods and samples about the time at which it looked, each
//! with the readings that lead to what its status shows.
//!
//! Must not choose among them.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::fact::Target;
use super::syncs::{Measured, Observed};
use super::world::{Pods, Samples, World, chosen};
use crate::hpa::{HpaInput, HpaMetric, HpaMetricKind, HpaSpec, HpaTarget, MetricReading, Pod};
use crate::time::Timestamp;

/// Most inputs that are tried for one sync.
const MOST: usize = 400;

/// A sync's look at the world.
#[derive(Clone, Copy)]
pub(super) struct Look<'a> {
    pub(super) world: &'a World,
    pub(super) spec: &'a HpaSpec,
    /// The Deployment.
    pub(super) target: &'a str,
    /// What the status says of the outcome.
    pub(super) observed: &'a Observed,
    /// Between these two it looked.
    pub(super) from: Timestamp,
    pub(super) to: Timestamp,
    /// Whether a total that the recorder itself read about that time rules out others.
    pub(super) strict: bool,
}

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
pub(super) struct Scene {
    pub(super) status_replicas: i32,
    pub(super) pods: Vec<Pod>,
    pub(super) samples: Arc<Samples>,
}

impl Look<'_> {
    /// Collects the inputs.
    pub(super) fn candidates(&self) -> Candidates {
        let mut found = Candidates::default();
        let scenes = self.scenes();
        found.moving = scenes.len() > 1;
        for scene in scenes {
            let mut readings: Vec<Vec<MetricReading>> = vec![Vec::new()];
            for (index, metric) in self.spec.metrics.iter().enumerate() {
                let measured = self.observed.metrics.get(index).copied();
                let measured = measured.unwrap_or(Measured::Missing);
                let options = self.readings(metric, measured, &scene, &mut found);
                readings = combined(&readings, &options);
            }
            let input = |metrics| HpaInput {
                spec_replicas: self.observed.current,
                status_replicas: scene.status_replicas,
                metrics,
                pods: scene.pods.clone(),
            };
            found.inputs.extend(readings.into_iter().map(input));
        }
        found.inputs.truncate(MOST);
        found
    }

    fn scenes(&self) -> Vec<Scene> {
        let average = |metric: &HpaMetric| {
            matches!(metric.kind, HpaMetricKind::External { .. })
                && matches!(metric.target, HpaTarget::AverageValue(_))
        };
        let needs_pods = |metric: &HpaMetric| {
            matches!(metric.kind, HpaMetricKind::Resource { .. })
                || matches!(metric.target, HpaTarget::Value(_))
        };
        let targets = self.targets();
        let mut counts: BTreeSet<i32> = targets.iter().map(|it| it.status_replicas).collect();
        if counts.is_empty() || !self.spec.metrics.iter().any(average) {
            counts = BTreeSet::from([self.observed.current]);
        }
        let looks = match targets.first() {
            Some(target) if self.spec.metrics.iter().any(needs_pods) => self.pods(target),
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

    /// The states of the Deployment: both numbers come in one answer, and the status tells one of them. So what the
    /// sync itself wrote is none of them.
    fn targets(&self) -> Vec<&Target> {
        let line = self.world.targets.get(self.target);
        let all = line.map(|line| line.between(self.from, self.to).flatten());
        let mut all: Vec<&Target> = all.into_iter().flatten().collect();
        let found = |it: &&Target| it.spec_replicas == self.observed.current;
        if all.iter().any(found) {
            all.retain(found);
        }
        all
    }

    /// The pods of the target and the samples, in every combination.
    ///
    /// A sample of a pod that the selector does not choose (any more) is one that the controller may have got, too.
    fn pods(&self, target: &Target) -> Vec<(Vec<Pod>, Arc<Samples>)> {
        let mut pods: Vec<Vec<Pod>> = Vec::new();
        let mut names: BTreeSet<String> = BTreeSet::new();
        let states: Vec<&Arc<Pods>> = self.world.pods.between(self.from, self.to).collect();
        for state in states {
            let chosen = chosen(state, &target.selector);
            names.extend(chosen.iter().map(|pod| pod.name.clone()));
            if !pods.contains(&chosen) {
                pods.push(chosen);
            }
        }
        let mut samples: Vec<Arc<Samples>> = Vec::new();
        for state in self.world.samples.around(self.from, self.to) {
            let own = state.iter().filter(|(name, _)| names.contains(*name));
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
}

/// Every list with every option behind it.
pub(super) fn combined<T: Clone>(lists: &[Vec<T>], options: &[T]) -> Vec<Vec<T>> {
    let longer = lists.iter().flat_map(|list| {
        options.iter().map(|option| {
            let mut longer = list.clone();
            longer.push(option.clone());
            longer
        })
    });
    longer.take(MOST).collect()
}
