//! Metrics that every pod has: which pods count, and what the missing ones are taken for.
//!
//! Must not look at metrics that belong to no pod.

use std::collections::{BTreeMap, BTreeSet};

use super::{Proposal, Tolerance};
use crate::hpa::{Pod, PodPhase, PodSample};
use crate::time::Timestamp;

/// How pods are judged. Times are whole seconds.
#[derive(Clone, Copy, Debug)]
pub struct PodRules {
    /// Now.
    pub now: Timestamp,
    /// Age up to which a pod's CPU is judged by its readiness.
    pub cpu_initialization_period: i64,
    /// Readiness lost within this time after the start counts as never gained.
    pub initial_readiness_delay: i64,
    /// Dead band.
    pub tolerance: Tolerance,
}

/// One metric of every pod.
#[derive(Clone, Copy, Debug)]
pub struct PodMetric<'a> {
    /// `cpu` is judged more strictly than all others.
    pub is_cpu: bool,
    /// Every pod of the target.
    pub pods: &'a [Pod],
    /// Samples by pod name.
    pub samples: &'a BTreeMap<String, PodSample>,
}

/// Pods by how their samples count.
struct Groups<'a> {
    /// Samples that count, those of pods that are not known (any more) included: upstream drops them from no sum
    /// of raw values and from no number of samples.
    usage: BTreeMap<&'a str, i64>,
    /// Pods whose samples count.
    ready: usize,
    unready: BTreeSet<&'a str>,
    missing: BTreeSet<&'a str>,
}

/// Percent of the requests (`key` names the request), truncated to whole percent before the ratio.
pub fn resource_utilization(
    current: i32,
    target: i32,
    key: &str,
    metric: PodMetric<'_>,
    rules: PodRules,
) -> Result<Proposal, String> {
    let groups = group(metric, rules)?;
    let requests = requests(metric.pods, key)?;
    let utilization = |usage: &BTreeMap<&str, i64>| -> Result<i64, String> {
        let (mut used, mut requested) = (0_i64, 0_i64);
        for (pod, milli) in usage {
            if let Some(request) = requests.get(pod) {
                used = used.saturating_add(*milli);
                requested = requested.saturating_add(*request);
            }
        }
        if requested == 0 {
            return Err("no metrics returned matched known pods".to_owned());
        }
        Ok(i64::from((used.saturating_mul(100) / requested) as i32))
    };
    let percent = utilization(&groups.usage)?;
    let known = groups
        .usage
        .iter()
        .filter(|(pod, _)| requests.contains_key(*pod));
    let known: Vec<i64> = known.map(|(_, milli)| *milli).collect();
    let average = average(known.into_iter());
    let ratio = |percent: i64| percent as f64 / f64::from(target);
    let full = i64::from(target.max(100));
    let replicas = rebalance(
        current,
        groups,
        rules.tolerance,
        |usage| Ok(ratio(utilization(usage)?)),
        |pod| requests.get(pod).copied().unwrap_or(0).saturating_mul(full) / 100,
    )?;
    Ok(Proposal {
        replicas,
        measured: percent,
        average: Some(average),
    })
}

/// Thousandths a pod: raw resources and custom pod metrics.
pub fn pods_average(
    current: i32,
    target: i64,
    metric: PodMetric<'_>,
    rules: PodRules,
) -> Result<Proposal, String> {
    let groups = group(metric, rules)?;
    let measured = average(groups.usage.values().copied());
    let ratio =
        |usage: &BTreeMap<&str, i64>| Ok(average(usage.values().copied()) as f64 / target as f64);
    let replicas = rebalance(current, groups, rules.tolerance, ratio, |_| target)?;
    Ok(Proposal {
        replicas,
        measured,
        average: None,
    })
}

/// Go's division: towards zero.
fn average(values: impl ExactSizeIterator<Item = i64>) -> i64 {
    let count = values.len().max(1) as i64;
    values.fold(0_i64, i64::saturating_add) / count
}

/// Computes the size, first from the pods that count, then with the others assumed against the change.
///
/// At a ratio of exactly 1 nothing is assumed about missing pods.
fn rebalance(
    current: i32,
    groups: Groups<'_>,
    tolerance: Tolerance,
    ratio: impl Fn(&BTreeMap<&str, i64>) -> Result<f64, String>,
    when_shrinking: impl Fn(&str) -> i64,
) -> Result<i32, String> {
    let Groups {
        mut usage,
        ready,
        unready,
        missing,
    } = groups;
    let first = ratio(&usage)?;
    let unready_matter = !unready.is_empty() && first > 1.0;
    if missing.is_empty() && !unready_matter {
        if tolerance.within(first) {
            return Ok(current);
        }
        return Ok((first * ready as f64).ceil() as i32);
    }
    for pod in &missing {
        if first < 1.0 {
            usage.insert(pod, when_shrinking(pod));
        } else if first > 1.0 {
            usage.insert(pod, 0);
        }
    }
    if unready_matter {
        usage.extend(unready.iter().map(|pod| (*pod, 0)));
    }
    let second = ratio(&usage)?;
    let turned = (first < 1.0 && second > 1.0) || (first > 1.0 && second < 1.0);
    if tolerance.within(second) || turned {
        return Ok(current);
    }
    let replicas = (second * usage.len() as f64).ceil() as i32;
    let against = (second < 1.0 && replicas > current) || (second > 1.0 && replicas < current);
    Ok(if against { current } else { replicas })
}

fn group(metric: PodMetric<'_>, rules: PodRules) -> Result<Groups<'_>, String> {
    if metric.pods.is_empty() {
        return Err("no pods returned by selector while calculating replica count".to_owned());
    }
    let all = metric
        .samples
        .iter()
        .map(|(pod, sample)| (pod.as_str(), sample.milli));
    let mut groups = Groups {
        usage: all.collect(),
        ready: 0,
        unready: BTreeSet::new(),
        missing: BTreeSet::new(),
    };
    for pod in metric.pods {
        let name = pod.name.as_str();
        if pod.deleting || pod.phase == PodPhase::Failed {
            groups.usage.remove(name);
            continue;
        }
        if pod.phase == PodPhase::Pending {
            groups.usage.remove(name);
            groups.unready.insert(name);
            continue;
        }
        let Some(sample) = metric.samples.get(name) else {
            groups.missing.insert(name);
            continue;
        };
        if metric.is_cpu && is_unready(pod, sample, rules) {
            groups.usage.remove(name);
            groups.unready.insert(name);
        } else {
            groups.ready += 1;
        }
    }
    if groups.usage.is_empty() {
        return Err("did not receive metrics for targeted pods (pods might be unready)".to_owned());
    }
    Ok(groups)
}

fn is_unready(pod: &Pod, sample: &PodSample, rules: PodRules) -> bool {
    let (Some(condition), Some(start)) = (pod.ready, pod.start_time) else {
        return true;
    };
    if start.plus_secs(rules.cpu_initialization_period) > rules.now {
        // A young pod: its sample must cover a window of readiness.
        return !condition.ready || sample.at < condition.since.plus_micros(sample.window_micros);
    }
    // An old pod only drops out where it was never ready.
    !condition.ready && start.plus_secs(rules.initial_readiness_delay) > condition.since
}

/// Returns every pod's request; one pod without it fails the metric.
fn requests<'a>(pods: &'a [Pod], key: &str) -> Result<BTreeMap<&'a str, i64>, String> {
    let mut requests = BTreeMap::new();
    for pod in pods {
        let Some(request) = pod.requests.get(key) else {
            let (place, resource) = key.split_once('/').map_or_else(
                || (String::new(), key),
                |(container, resource)| (format!(" in container {container}"), resource),
            );
            return Err(format!(
                "missing request for {resource}{place} of Pod {}",
                pod.name
            ));
        };
        requests.insert(pod.name.as_str(), *request);
    }
    Ok(requests)
}
