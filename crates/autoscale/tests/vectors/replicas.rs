//! Groups A to D: one metric to a number of pods.

use std::collections::BTreeMap;

use kedactl_autoscale::calculators::{
    PodMetric, PodRules, external_average, external_value, pods_average, resource_utilization,
};
use kedactl_autoscale::hpa::{Pod, PodPhase, PodSample, Readiness};

use crate::case::{Case, NOW};

pub(crate) fn average(case: &Case) -> Result<(), String> {
    let (status, target) = (case.num("status"), case.num("target"));
    let proposal = external_average(status, target, &case.nums("values"), case.tolerance());
    case.want("replicas", proposal.replicas)
}

pub(crate) fn value(case: &Case) -> Result<(), String> {
    let values = case.nums("values");
    let (spec, target, ready) = (case.num("spec"), case.num("target"), case.num("ready"));
    let proposal = external_value(spec, target, &values, ready, case.tolerance());
    case.want("replicas", proposal.replicas)
}

pub(crate) fn cpu(case: &Case) -> Result<(), String> {
    let mut pods = Vec::new();
    let mut samples = BTreeMap::new();
    for (index, text) in case.list("pods").iter().enumerate() {
        let (pod, used) = pod(index, text);
        if let Some(milli) = used {
            samples.insert(
                pod.name.clone(),
                PodSample {
                    milli,
                    at: NOW,
                    window_micros: 60_000_000,
                },
            );
        }
        pods.push(pod);
    }
    let metric = PodMetric {
        is_cpu: true,
        pods: &pods,
        samples: &samples,
    };
    let (current, target) = (case.num("current"), case.num("target"));
    let proposal = resource_utilization(current, target, "cpu", metric, rules(case))?;
    case.want("replicas", proposal.replicas)?;
    case.want("utilization", proposal.measured)
}

pub(crate) fn pods(case: &Case) -> Result<(), String> {
    let count: usize = case.num("pods");
    let pods: Vec<Pod> = (0..count).map(|index| pod(index, "0/1000").0).collect();
    let sample = |(index, milli): (usize, &i64)| {
        (
            format!("pod-{index}"),
            PodSample {
                milli: *milli,
                at: NOW,
                window_micros: 60_000_000,
            },
        )
    };
    let values = case.nums("values");
    let samples = values.iter().enumerate().map(sample).collect();
    let metric = PodMetric {
        is_cpu: false,
        pods: &pods,
        samples: &samples,
    };
    let proposal = pods_average(case.num("current"), case.num("target"), metric, rules(case))?;
    case.want("replicas", proposal.replicas)
}

fn rules(case: &Case) -> PodRules {
    PodRules {
        now: NOW,
        cpu_initialization_period: 300,
        initial_readiness_delay: 30,
        tolerance: case.tolerance(),
    }
}

/// Reads `used/requested` with a state letter: a pod of an hour, ready since its start or never.
fn pod(index: usize, text: &str) -> (Pod, Option<i64>) {
    let (used, rest) = text.split_once('/').unwrap();
    let state = rest.trim_start_matches(|c: char| c.is_ascii_digit());
    let start = NOW.plus_secs(-3600);
    let request = rest[..rest.len() - state.len()].parse().unwrap();
    let pod = Pod {
        name: format!("pod-{index}"),
        phase: match state {
            "p" => PodPhase::Pending,
            "f" => PodPhase::Failed,
            _ => PodPhase::Running,
        },
        deleting: state == "d",
        ready: Some(Readiness {
            ready: state != "u",
            since: start,
        }),
        start_time: Some(start),
        requests: BTreeMap::from([("cpu".to_owned(), request)]),
    };
    (pod, used.parse().ok())
}
