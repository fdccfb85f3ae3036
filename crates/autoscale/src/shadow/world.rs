//! A recording sorted by object: what each was at any time.
//!
//! Must not predict.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use super::fact::{Fact, Line, SeenPod, SeenSample, Target};
use super::timeline::Timeline;
use crate::api::ScaledObject;
use crate::hpa::{HpaOptions, Pod};
use crate::time::Timestamp;

/// Pods by name.
pub(super) type Pods = BTreeMap<String, Arc<SeenPod>>;
/// Samples by pod.
pub(super) type Samples = BTreeMap<String, SeenSample>;
/// Thousandths, or why there is none.
pub(super) type Reading = Result<i64, String>;

/// Everything that was seen.
#[derive(Debug, Default)]
pub(super) struct World {
    pub(super) namespace: String,
    pub(super) options: HpaOptions,
    /// First and last line.
    pub(super) span: (Timestamp, Timestamp),
    /// From here on every change was seen.
    pub(super) complete: Timestamp,
    pub(super) hpas: BTreeMap<String, Timeline<Option<Arc<HorizontalPodAutoscaler>>>>,
    pub(super) scaled_objects: BTreeMap<String, Timeline<Option<Arc<ScaledObject>>>>,
    pub(super) targets: BTreeMap<String, Timeline<Option<Target>>>,
    pub(super) pods: Timeline<Arc<Pods>>,
    pub(super) samples: Timeline<Arc<Samples>>,
    /// By `ScaledObject` and metric.
    pub(super) readings: BTreeMap<(String, String), Timeline<Reading>>,
    /// Interruptions of a watch, by kind.
    pub(super) interruptions: Vec<(Timestamp, String)>,
    /// Kind, name, problem.
    pub(super) unread: Vec<(String, String, String)>,
}

impl World {
    pub(super) fn of(lines: &[Line]) -> Self {
        let mut world = Self::default();
        if let (Some(first), Some(last)) = (lines.first(), lines.last()) {
            world.span = (first.at, last.at);
            world.complete = first.at;
        }
        let mut pods = Pods::new();
        for line in lines {
            world.take(line.at, &line.fact, &mut pods);
        }
        world
    }

    fn take(&mut self, at: Timestamp, fact: &Fact, pods: &mut Pods) {
        match fact {
            Fact::Start {
                namespace, options, ..
            } => {
                self.namespace.clone_from(namespace);
                self.options = *options;
            }
            Fact::Complete => self.complete = at,
            Fact::Hpa { object } => {
                let name = object.metadata.name.clone().unwrap_or_default();
                let seen = Some(Arc::new((**object).clone()));
                self.hpas.entry(name).or_default().push(at, seen);
            }
            Fact::ScaledObject { object } => {
                let seen = Some(Arc::new((**object).clone()));
                let name = object.name().to_owned();
                self.scaled_objects.entry(name).or_default().push(at, seen);
            }
            Fact::Target { target } => {
                let line = self.targets.entry(target.name.clone()).or_default();
                line.push(at, Some(target.clone()));
            }
            Fact::Pod { pod } => {
                pods.insert(pod.pod.name.clone(), Arc::new(pod.clone()));
                self.pods.push(at, Arc::new(pods.clone()));
            }
            Fact::Gone { kind, name } => self.gone(at, kind, name, pods),
            Fact::Samples { samples } => self.samples.push(at, Arc::new(samples.clone())),
            Fact::Reading {
                scaled_object,
                metric,
                milli,
                error,
            } => {
                let key = (scaled_object.clone(), metric.clone());
                let failure = || error.clone().unwrap_or_default();
                let reading = milli.ok_or_else(failure);
                self.readings.entry(key).or_default().push(at, reading);
            }
            Fact::Interrupted { kind, .. } => self.interruptions.push((at, kind.clone())),
            Fact::Unread {
                kind,
                name,
                problem,
            } => {
                let unread = (kind.clone(), name.clone(), problem.clone());
                if !self.unread.contains(&unread) {
                    self.unread.push(unread);
                }
            }
        }
    }

    fn gone(&mut self, at: Timestamp, kind: &str, name: &str, pods: &mut Pods) {
        match kind {
            "HorizontalPodAutoscaler" => end(&mut self.hpas, at, name),
            "ScaledObject" => end(&mut self.scaled_objects, at, name),
            "Deployment" => end(&mut self.targets, at, name),
            _ => {
                if pods.remove(name).is_some() {
                    self.pods.push(at, Arc::new(pods.clone()));
                }
            }
        }
    }

    /// Whether a watch of the kind was interrupted between two times.
    pub(super) fn interrupted(&self, kinds: &[&str], from: Timestamp, to: Timestamp) -> bool {
        self.interruptions
            .iter()
            .any(|(at, kind)| *at >= from && *at <= to && kinds.contains(&kind.as_str()))
    }
}

fn end<T>(all: &mut BTreeMap<String, Timeline<Option<T>>>, at: Timestamp, name: &str) {
    if let Some(line) = all.get_mut(name) {
        line.push(at, None);
    }
}

/// The pods that a selector chooses, by name.
pub(super) fn chosen(pods: &Pods, selector: &LabelSelector) -> Vec<Pod> {
    pods.values()
        .filter(|seen| chooses(selector, &seen.labels))
        .map(|seen| seen.pod.clone())
        .collect()
}

fn chooses(selector: &LabelSelector, labels: &BTreeMap<String, String>) -> bool {
    let exact = selector.match_labels.iter().flatten();
    let mut rules = selector.match_expressions.iter().flatten();
    exact
        .into_iter()
        .all(|(key, value)| labels.get(key) == Some(value))
        && rules.all(|rule| {
            let value = labels.get(&rule.key);
            let listed = |value: &String| {
                let values = rule.values.as_deref().unwrap_or_default();
                values.contains(value)
            };
            match rule.operator.as_str() {
                "In" => value.is_some_and(listed),
                "NotIn" => !value.is_some_and(listed),
                "Exists" => value.is_some(),
                _ => value.is_none(),
            }
        })
}
