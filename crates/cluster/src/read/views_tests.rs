//! Objects as the API server writes them, and what a status screen shows.

use super::*;
use serde_json::json;

#[test]
fn a_pod_shows_its_containers_and_how_they_ended() {
    let it = pod(
        &json!({"metadata": {"name": "api-1", "namespace": "keda", "labels": {"app.kubernetes.io/component": "api", "app": "x"}},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}],
            "initContainerStatuses": [{"name": "init", "ready": true, "state": {"terminated": {"reason": "Completed"}}}],
            "containerStatuses": [{"name": "api", "ready": true, "restartCount": 2, "state": {"running": {}},
                "lastState": {"terminated": {"reason": "OOMKilled", "exitCode": 137}}}]}}),
    );
    assert_eq!(
        (it.component.as_str(), it.ready, it.restarts()),
        ("api", true, 2)
    );
    assert_eq!(it.containers[0].state, "terminated");
    assert_eq!(
        it.containers[1].last_end.as_deref(),
        Some("OOMKilled (exit code 137)")
    );
}

#[test]
fn a_pod_that_is_leaving_is_not_ready() {
    let it = pod(
        &json!({"metadata": {"name": "a", "deletionTimestamp": "2026-01-01T00:00:00Z"},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}}),
    );
    assert_eq!((it.phase.as_str(), it.ready), ("Terminating", false));
}

#[test]
fn scalers_and_autoscalers_tell_their_problems() {
    let it = scaler(
        &json!({"metadata": {"name": "w"}, "spec": {"scaleTargetRef": {"name": "worker"}},
        "status": {"hpaName": "keda-hpa-w", "conditions": [
            {"type": "Ready", "status": "False", "reason": "Check", "message": "no redis"},
            {"type": "Active", "status": "True"}]}}),
    );
    assert_eq!(it.target, "Deployment worker");
    assert!(it.active && !it.ready && !it.paused);
    assert_eq!(it.problems, ["Ready: Check: no redis"]);
    let it = autoscaler(
        &json!({"metadata": {"name": "h"}, "spec": {"maxReplicas": 5, "scaleTargetRef": {"kind": "Deployment", "name": "api"}},
        "status": {"currentReplicas": 2, "desiredReplicas": 3, "conditions": [{"type": "ScalingLimited", "status": "False"}]}}),
    );
    assert_eq!((it.min, it.max, it.current, it.desired), (1, 5, 2, 3));
    assert!(it.problems.is_empty());
}
