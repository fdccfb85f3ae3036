//! Groups E to J: windows, rates and whole syncs of the HPA.

use std::collections::BTreeMap;

use kedactl_autoscale::hpa::{
    Behavior, Hpa, HpaInput, HpaMetric, HpaMetricKind, HpaOptions, HpaSpec, HpaState, HpaTarget,
    MetricReading, Recommendation, Rules, ScaleEvent, SelectPolicy, behavior, legacy,
};

use crate::case::{Case, NOW};

pub(crate) fn legacy_clamp(case: &Case) -> Result<(), String> {
    let bounds = (case.num("min"), case.num("max"));
    let (size, limit) = legacy::clamp(case.num("current"), case.num("desired"), bounds.0, bounds.1);
    case.want("replicas", size)?;
    case.want("limit", limit.reason())
}

pub(crate) fn legacy_window(case: &Case) -> Result<(), String> {
    let mut log = case.log();
    let size = legacy::stabilize(&mut log, NOW, 300, case.num("desired"));
    case.want("replicas", size)?;
    case.want("length", log.len())
}

pub(crate) fn behavior_window(case: &Case) -> Result<(), String> {
    let mut log = case.log();
    let rules = Behavior {
        scale_up: Rules {
            window: case.num("up"),
            ..Rules::default_up()
        },
        scale_down: Rules::default_down(case.num("down")),
    };
    let (current, desired) = (case.num("current"), case.num("desired"));
    let size = behavior::stabilize(&mut log, NOW, &rules, current, desired);
    case.want("replicas", size)?;
    case.want("log", replicas(&log).as_str())
}

pub(crate) fn behavior_rate(case: &Case) -> Result<(), String> {
    if case.get("direction").is_some() {
        return rate_alone(case);
    }
    let rules = Behavior {
        scale_up: case.rules("up", Rules::default_up()),
        scale_down: case.rules("down", Rules::default_down(0)),
    };
    let state = HpaState {
        recommendations: None,
        up_events: events(&case.nums("added")),
        down_events: events(&case.nums("removed")),
    };
    let bounds = (case.num("min"), case.num("max"));
    let (current, desired) = (case.num("current"), case.num("desired"));
    let (size, limit) = behavior::limit(NOW, &rules, &state, bounds, current, desired);
    case.want("replicas", size)?;
    case.want("limit", limit.reason())
}

fn rate_alone(case: &Case) -> Result<(), String> {
    let rules = case.rules("policies", Rules::default_up());
    let rules = Rules {
        select: SelectPolicy::Min,
        ..rules
    };
    let rate = match case.text("direction") {
        "up" => behavior::rate_limit_up,
        _ => behavior::rate_limit_down,
    };
    case.want("replicas", rate(NOW, &rules, case.num("current"), &[], &[]))
}

pub(crate) fn sync(case: &Case) -> Result<(), String> {
    let proposals = case.list("proposals");
    let metric = |index: usize| HpaMetric {
        kind: HpaMetricKind::External {
            name: format!("m{index}"),
            labels: BTreeMap::new(),
        },
        target: HpaTarget::AverageValue(1000),
    };
    let has_rules = case.get("up").is_some();
    let spec = HpaSpec {
        name: "hpa".to_owned(),
        namespace: "default".to_owned(),
        min: case.num("min"),
        max: case.num("max"),
        metrics: (0..proposals.len()).map(metric).collect(),
        behavior: has_rules.then(|| Behavior {
            scale_up: case.rules("up", Rules::default_up()),
            scale_down: Rules::default_down(300),
        }),
    };
    let log = (case.text("log") != "new").then(|| case.log());
    let state = HpaState {
        recommendations: log,
        ..HpaState::default()
    };
    let reading = |text: &&str| match text.parse::<i64>() {
        Ok(pods) => MetricReading::single(pods * 1000),
        Err(_) => MetricReading::Failed {
            error: "out of order".to_owned(),
        },
    };
    let input = HpaInput {
        spec_replicas: case.num("spec"),
        status_replicas: case.num("status"),
        metrics: proposals.iter().map(reading).collect(),
        pods: Vec::new(),
    };
    let mut hpa = Hpa::restore(spec, HpaOptions::default(), state);
    case.want("replicas", hpa.sync(NOW, &input).desired)
}

/// Spreads changes over the last 120 s, as upstream's tests do.
fn events(changes: &[i64]) -> Vec<ScaleEvent> {
    let step = 120 / (changes.len() as i64 + 1);
    let event = |(index, change): (usize, &i64)| ScaleEvent {
        change: *change as i32,
        at: NOW.plus_secs(-step * (index as i64 + 1)),
    };
    changes.iter().enumerate().map(event).collect()
}

fn replicas(log: &[Recommendation]) -> String {
    log.iter()
        .map(|seen| seen.replicas.to_string())
        .collect::<Vec<_>>()
        .join(",")
}
