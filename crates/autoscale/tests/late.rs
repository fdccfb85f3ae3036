//! A recording that is late, or of a controller that stood still for a while, is still explained, and another algorithm is not.

#![expect(clippy::unwrap_used, reason = "a helper of tests fails by panicking")]

use kedactl_autoscale::Timestamp;
use kedactl_autoscale::hpa::{Hpa, HpaInput, HpaOptions, HpaSpec, MetricReading};
use kedactl_autoscale::hpa_render::render_hpa;
use kedactl_autoscale::shadow::{
    Cause, Controller, Fact, FlagSource, Line, Recording, Report, Verdict,
};
use serde_json::{Value as Json, json};

/// One sync: when it was, when it was seen, and how long the queue was.
type Sync = (i64, i64, i64);

fn options() -> HpaOptions {
    HpaOptions {
        sync_period: 1,
        ..HpaOptions::default()
    }
}

fn at(ms: i64) -> Timestamp {
    Timestamp::from_micros(1_800_000_000_000_000 + ms * 1000)
}

/// Windows of the `fast` profile: up at once, down after `window` seconds, rates over two.
fn scaled_object(window: i64) -> Json {
    let rate = |kind: &str, value: i32| json!({"type": kind, "value": value, "periodSeconds": 2});
    json!({"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": {"name": "worker"}, "spec": {
        "scaleTargetRef": {"name": "worker"}, "maxReplicaCount": 10,
        "advanced": {"horizontalPodAutoscalerConfig": {"behavior": {
            "scaleUp": {"stabilizationWindowSeconds": 0, "policies": [rate("Pods", 4), rate("Percent", 100)]},
            "scaleDown": {"stabilizationWindowSeconds": window, "policies": [rate("Percent", 100)]}}}},
        "triggers": [{"type": "redis", "metadata": {"listName": "tasks", "listLength": "10", "address": "redis:6379"}}]}})
}

/// What a recorder writes down of a controller that has a window of `real` seconds while its HPA says `told`.
fn recording(syncs: &[Sync], real: i64, told: i64) -> Recording {
    let spec = |window| {
        let object = serde_json::from_value(scaled_object(window)).unwrap();
        let hpa = render_hpa(&object).unwrap();
        let spec = HpaSpec::from_hpa(&hpa, &options()).unwrap();
        (serde_json::to_value(&hpa).unwrap(), spec)
    };
    let (shown, _) = spec(told);
    let mut controller = Hpa::new(spec(real).1, options());
    let mut lines = vec![
        (
            0,
            Fact::Start {
                namespace: "n".to_owned(),
                options: options(),
                source: FlagSource::Given,
            },
        ),
        (0, Fact::Complete),
        (0, Fact::of("ScaledObject", &scaled_object(told))),
        (0, deployment(1)),
        (0, Fact::of("HorizontalPodAutoscaler", &shown)),
    ];
    let mut size = 1;
    let mut before = Json::Null;
    for (was, seen, tasks) in syncs {
        let input = HpaInput {
            spec_replicas: size,
            status_replicas: size,
            metrics: vec![MetricReading::single(tasks * 1000)],
            pods: Vec::new(),
        };
        let decision = controller.sync(at(*was), &input);
        let pods = i64::from(size);
        let average = (tasks * 1000 + pods - 1) / pods;
        let conditions = serde_json::to_value(&decision.conditions).unwrap();
        let status = json!({"currentReplicas": size, "desiredReplicas": decision.desired, "conditions": conditions,
            "currentMetrics": [{"type": "External", "external":
                {"metric": {"name": "s0-redis-tasks"}, "current": {"averageValue": format!("{average}m")}}}]});
        if decision.desired != size {
            size = decision.desired;
            lines.push((*was + 1, deployment(size)));
        }
        if status != before {
            before = status.clone();
            let mut object = shown.clone();
            object["status"] = status;
            lines.push((*seen, Fact::of("HorizontalPodAutoscaler", &object)));
        }
    }
    lines.sort_by_key(|(ms, _)| *ms);
    let lines = lines
        .into_iter()
        .map(|(ms, fact)| Line { at: at(ms), fact });
    Recording {
        lines: lines.collect(),
    }
}

fn deployment(size: i32) -> Fact {
    Fact::of(
        "Deployment",
        &json!({"metadata": {"name": "worker", "managedFields":
            [{"manager": "kube-controller-manager", "time": "2026-01-01T00:00:00Z", "fieldsV1": {"f:spec": {"f:replicas": {}}}}]},
            "spec": {"replicas": size, "selector": {"matchLabels": {"app": "worker"}}},
            "status": {"replicas": size, "readyReplicas": size}}),
    )
}

fn verdicts(report: &Report) -> Vec<(i32, i32, Verdict)> {
    assert!(report.unread.is_empty(), "{report}");
    let hpa = report.of(Controller::Hpa, "keda-hpa-worker").unwrap();
    let steps = hpa.steps.iter().filter(|it| it.seen);
    steps
        .map(|it| (it.current, it.real, it.verdict.clone()))
        .collect()
}

/// Up to ten in eight seconds, each told at once.
fn grown() -> Vec<Sync> {
    (1..=8)
        .map(|second| (second * 1000, second * 1000 + 20, 430 + second))
        .collect()
}

#[test]
fn what_is_told_at_once_is_equal() {
    let mut syncs = grown();
    syncs.extend((9..=20).map(|second| (second * 1000, second * 1000 + 20, second - 9)));
    let report = recording(&syncs, 6, 6).compare();
    let seen = verdicts(&report);
    assert!(
        seen.iter().all(|(.., verdict)| *verdict == Verdict::Equal),
        "{report}"
    );
    assert!(
        seen.iter().any(|(from, to, _)| (*from, *to) == (10, 1)),
        "{report}"
    );
}

#[test]
fn a_change_that_is_told_late_counts_from_when_it_was() {
    let mut syncs = grown();
    // Away with the eighth second's proposal, told with the two syncs after it: by then a rate that counts it from there
    // would allow all ten at once.
    syncs.extend((9..=13).map(|second| (second * 1000, second * 1000 + 20, second - 9)));
    syncs.extend([
        (14_500, 16_400, 0),
        (15_500, 16_410, 13),
        (16_450, 16_480, 20),
        (17_400, 17_420, 111),
    ]);
    let report = recording(&syncs, 6, 6).compare();
    let seen = verdicts(&report);
    let last = &seen[seen.len() - 1];
    assert_eq!((last.0, last.1), (2, 5), "{report}");
    assert!(report.differences().next().is_none(), "{report}");
}

#[test]
fn a_controller_that_stood_still_remembers_nothing_of_that_time() {
    let mut syncs = grown();
    // The proposal of the ninth second is seen late, and nothing was proposed for three seconds after it.
    syncs.extend([
        (9000, 9400, 431),
        (12_900, 12_920, 12),
        (13_900, 13_920, 0),
        (14_900, 14_920, 31),
        (15_100, 15_120, 32),
    ]);
    let report = recording(&syncs, 6, 6).compare();
    let seen = verdicts(&report);
    let last = &seen[seen.len() - 1];
    assert_eq!(*last, (10, 4, Verdict::Within(Cause::Edge)), "{report}");
    assert!(report.differences().next().is_none(), "{report}");
}

#[test]
fn another_window_is_a_difference() {
    let mut syncs = grown();
    syncs.extend((9..=20).map(|second| (second * 1000, second * 1000 + 20, second - 9)));
    let report = recording(&syncs, 3, 6).compare();
    assert!(report.differences().next().is_some(), "{report}");
}
