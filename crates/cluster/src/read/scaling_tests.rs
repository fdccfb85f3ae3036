//! Autoscalers and scalers as the API server writes them.

use super::*;
use serde_json::json;

#[test]
fn a_scaler_has_kedas_own_defaults_and_tells_its_problem() {
    let it = scaler(
        &json!({"metadata": {"name": "w", "namespace": "n"}, "spec": {"scaleTargetRef": {"name": "worker"}},
        "status": {"hpaName": "keda-hpa-w", "conditions": [
            {"type": "Ready", "status": "False", "reason": "Check", "message": "no redis"},
            {"type": "Active", "status": "True"}],
            "health": {"s0-redis": {"numberOfFailures": 4, "status": "Failing"}, "s1-cpu": {"numberOfFailures": 0, "status": "Happy"}}}}),
    );
    assert_eq!(
        (it.target.as_str(), it.min, it.max, it.cooldown_s),
        ("Deployment worker", 0, 100, 300)
    );
    assert!(it.active && !it.ready && !it.paused && !it.leaving);
    assert_eq!(it.problems(), ["Ready: Check: no redis"]);
    assert_eq!(it.failing, [("s0-redis".to_owned(), 4)]);
}

#[test]
fn a_pause_is_seen_before_keda_says_so() {
    let it = scaler(
        &json!({"metadata": {"name": "w", "annotations": {"autoscaling.keda.sh/paused-replicas": "2"}}}),
    );
    assert!(it.paused && it.paused_at.as_deref() == Some("2"));
}

#[test]
fn an_autoscaler_shows_each_metric_beside_its_target() {
    let it = autoscaler(
        &json!({"metadata": {"name": "h", "namespace": "n", "ownerReferences": [{"kind": "ScaledObject", "name": "w"}]},
        "spec": {"maxReplicas": 5, "scaleTargetRef": {"kind": "Deployment", "name": "worker"}, "metrics": [
            {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}},
            {"type": "External", "external": {"metric": {"name": "s0-redis"}, "target": {"type": "AverageValue", "averageValue": "10"}}},
            {"type": "External", "external": {"metric": {"name": "s1-redis"}, "target": {"type": "Value", "value": "3"}}}]},
        "status": {"currentReplicas": 2, "desiredReplicas": 3, "currentMetrics": [
            {"type": "External", "external": {"metric": {"name": "s0-redis"}, "current": {"averageValue": "18500m"}}},
            {"type": ""},
            {"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": 73, "averageValue": "73m"}}}],
            "conditions": [{"type": "ScalingLimited", "status": "False"},
                {"type": "ScalingActive", "status": "False", "reason": "FailedGetExternalMetric", "message": "no answer"}]}}),
    );
    assert_eq!((it.min, it.max, it.current, it.desired), (1, 5, 2, 3));
    assert_eq!(it.made_for.as_deref(), Some("w"));
    let told: Vec<_> = it
        .metrics
        .iter()
        .map(|it| {
            (
                it.name.as_str(),
                it.kind.as_str(),
                it.value.as_deref(),
                it.target.as_str(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("cpu", "Utilization", Some("73"), "50"),
            ("s0-redis", "AverageValue", Some("18500m"), "10"),
            ("s1-redis", "Value", None, "3"),
        ]
    );
    assert_eq!(
        it.problems(),
        ["ScalingActive: FailedGetExternalMetric: no answer"]
    );
}

#[test]
fn an_autoscaler_whose_target_is_at_zero_has_no_problem() {
    let it = autoscaler(&json!({"status": {"conditions": [
        {"type": "ScalingActive", "status": "False", "reason": "ScalingDisabled", "message": "at zero"}]}}));
    assert!(it.problems().is_empty());
}
