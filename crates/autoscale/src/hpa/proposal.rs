//! One metric's proposal, with upstream's names and error texts.
//!
//! Must not compare proposals; the machine takes the largest.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::spec::{HpaMetric, HpaMetricKind, HpaSpec, HpaTarget};
use super::{HpaInput, HpaOptions, MetricReading, Pod, PodPhase, PodSample};
use crate::calculators::{
    PodMetric, PodRules, Proposal, Tolerance, external_average, external_value, pods_average,
    resource_utilization,
};
use crate::time::Timestamp;

/// A metric that gave no proposal.
pub(super) struct Failure {
    /// Reason of the event and the condition.
    pub(super) reason: &'static str,
    pub(super) message: String,
    /// The message as the error of the whole sync quotes it.
    pub(super) quoted: String,
}

/// Everything the calculators need beside the metric.
pub(super) struct Context<'a> {
    pub(super) now: Timestamp,
    pub(super) spec: &'a HpaSpec,
    pub(super) options: &'a HpaOptions,
    pub(super) input: &'a HpaInput,
}

impl Context<'_> {
    pub(super) fn propose(
        &self,
        metric: &HpaMetric,
        reading: Option<&MetricReading>,
    ) -> Result<Proposal, Failure> {
        let result = match reading {
            Some(MetricReading::Values { milli }) => self.by_values(metric, milli),
            Some(MetricReading::Pods { samples }) => self.by_pods(metric, samples),
            Some(MetricReading::Failed { error }) => Err(error.clone()),
            None => Err("no reading".to_owned()),
        };
        result.map_err(|error| self.failure(metric, &error))
    }

    fn by_values(&self, metric: &HpaMetric, values: &[i64]) -> Result<Proposal, String> {
        if !matches!(
            metric.kind,
            HpaMetricKind::External { .. } | HpaMetricKind::Object { .. }
        ) {
            return Err("the reading has values where samples of pods are needed".to_owned());
        }
        if values.is_empty() {
            return Err("no metrics returned from external metrics API".to_owned());
        }
        let tolerance = self.tolerance();
        match metric.target {
            HpaTarget::AverageValue(target) => Ok(external_average(
                self.input.status_replicas,
                target,
                values,
                tolerance,
            )),
            HpaTarget::Value(target) => {
                let (spec, ready) = (self.input.spec_replicas, ready_pods(&self.input.pods));
                let in_tolerance = spec == 0 || tolerance.within(ratio(values, target));
                if !in_tolerance && self.input.pods.is_empty() {
                    return Err(
                        "unable to calculate ready pods: no pods returned by selector while \
                                calculating replica count"
                            .to_owned(),
                    );
                }
                Ok(external_value(spec, target, values, ready, tolerance))
            }
            HpaTarget::Utilization(_) => Err("the target has the wrong type".to_owned()),
        }
    }

    fn by_pods(
        &self,
        metric: &HpaMetric,
        samples: &BTreeMap<String, PodSample>,
    ) -> Result<Proposal, String> {
        if samples.is_empty() {
            return Err(no_samples(&metric.kind));
        }
        let (is_cpu, key) = match &metric.kind {
            HpaMetricKind::Resource {
                name,
                container: None,
            } => (name == "cpu", name.clone()),
            HpaMetricKind::Resource {
                name,
                container: Some(container),
            } => (name == "cpu", format!("{container}/{name}")),
            HpaMetricKind::Pods { .. } => (false, String::new()),
            _ => return Err("the reading has samples of pods where values are needed".to_owned()),
        };
        let rules = PodRules {
            now: self.now,
            cpu_initialization_period: self.options.cpu_initialization_period,
            initial_readiness_delay: self.options.initial_readiness_delay,
            tolerance: self.tolerance(),
        };
        let pods = PodMetric {
            is_cpu,
            pods: &self.input.pods,
            samples,
        };
        let current = self.input.spec_replicas;
        match metric.target {
            HpaTarget::Utilization(target) => {
                resource_utilization(current, target, &key, pods, rules)
            }
            HpaTarget::AverageValue(target) | HpaTarget::Value(target) => {
                pods_average(current, target, pods, rules)
            }
        }
    }

    fn tolerance(&self) -> Tolerance {
        let own = |rules: fn(&super::Behavior) -> Option<f64>| {
            self.spec.behavior.as_ref().and_then(rules)
        };
        Tolerance {
            down: own(|b| b.scale_down.tolerance).unwrap_or(self.options.tolerance),
            up: own(|b| b.scale_up.tolerance).unwrap_or(self.options.tolerance),
        }
    }

    fn failure(&self, metric: &HpaMetric, error: &str) -> Failure {
        let namespace = &self.spec.namespace;
        let (reason, message, around) = match &metric.kind {
            HpaMetricKind::External { name, labels } => (
                "FailedGetExternalMetric",
                format!(
                    "unable to get external metric {namespace}/{name}/{}: {error}",
                    selector_text(labels)
                ),
                match metric.target {
                    HpaTarget::Value(_) => format!(
                        "failed to get {name} external metric value: failed to get external metric {name}: "
                    ),
                    _ => format!(
                        "failed to get {name} external metric value: failed to get {name} external metric: "
                    ),
                },
            ),
            HpaMetricKind::Object { name, kind } => (
                "FailedGetObjectMetric",
                format!("unable to get metric {name}: {kind} on {namespace} {error}"),
                "failed to get object metric value: ".to_owned(),
            ),
            HpaMetricKind::Pods { name } => (
                "FailedGetPodsMetric",
                format!("unable to get metric {name}: {error}"),
                "failed to get pods metric value: ".to_owned(),
            ),
            HpaMetricKind::Resource { name, container } => {
                let measure = match metric.target {
                    HpaTarget::Utilization(_) => "utilization",
                    HpaTarget::AverageValue(_) | HpaTarget::Value(_) => "usage",
                };
                (
                    match container {
                        None => "FailedGetResourceMetric",
                        Some(_) => "FailedGetContainerResourceMetric",
                    },
                    format!("failed to get {name} {measure}: {error}"),
                    match container {
                        None => format!("failed to get {name} resource metric value: "),
                        Some(container) => {
                            format!("failed to get {container} container metric value: ")
                        }
                    },
                )
            }
        };
        Failure {
            reason,
            quoted: around + &message,
            message,
        }
    }
}

/// Upstream's words where the metrics API knows no pod at all.
fn no_samples(kind: &HpaMetricKind) -> String {
    match kind {
        HpaMetricKind::Resource { name, .. } => format!(
            "unable to get metrics for resource {name}: no metrics returned from resource metrics API"
        ),
        _ => "no metrics returned from custom metrics API".to_owned(),
    }
}

/// Returns upstream's name for a metric, as it stands in reasons.
pub(super) fn describe(metric: &HpaMetric) -> String {
    match (&metric.kind, metric.target) {
        (HpaMetricKind::External { name, labels }, _) => {
            format!("external metric {name}({})", selector_text(labels))
        }
        (HpaMetricKind::Object { name, kind }, _) => format!("{kind} metric {name}"),
        (HpaMetricKind::Pods { name }, _) => format!("pods metric {name}"),
        (
            HpaMetricKind::Resource {
                name,
                container: None,
            },
            HpaTarget::Utilization(_),
        ) => {
            format!("{name} resource utilization (percentage of request)")
        }
        (
            HpaMetricKind::Resource {
                name,
                container: Some(_),
            },
            HpaTarget::Utilization(_),
        ) => {
            format!("{name} container resource utilization (percentage of request)")
        }
        // Raw values of one container are named as those of the pod are.
        (HpaMetricKind::Resource { name, .. }, _) => format!("{name} resource"),
    }
}

/// Writes a selector as Go prints a `*metav1.LabelSelector`.
fn selector_text(labels: &BTreeMap<String, String>) -> String {
    let mut text = String::from("&LabelSelector{MatchLabels:map[string]string{");
    for (key, value) in labels {
        // Writing to a String cannot fail.
        let _ = write!(text, "{key}: {value},");
    }
    text.push_str("},MatchExpressions:[]LabelSelectorRequirement{},}");
    text
}

fn ratio(values: &[i64], target: i64) -> f64 {
    values
        .iter()
        .fold(0_i64, |sum, value| sum.wrapping_add(*value)) as f64
        / target as f64
}

/// Counts pods that run and are ready.
fn ready_pods(pods: &[Pod]) -> i32 {
    let ready = |pod: &&Pod| pod.phase == PodPhase::Running && pod.ready.is_some_and(|r| r.ready);
    i32::try_from(pods.iter().filter(ready).count()).unwrap_or(i32::MAX)
}
