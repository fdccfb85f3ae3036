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
fn a_pod_says_why_it_is_not_ready() {
    let why =
        |status: Json| pod(&json!({"metadata": {"name": "a"}, "status": status})).why_not_ready();
    assert_eq!(
        why(
            json!({"conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes"}]})
        ),
        "Unschedulable: 0/1 nodes"
    );
    assert_eq!(
        why(
            json!({"initContainerStatuses": [{"name": "init", "ready": false, "state": {"terminated": {"reason": "Completed"}}}],
            "containerStatuses": [{"name": "api", "ready": false, "state": {"waiting": {"reason": "CrashLoopBackOff"}},
            "lastState": {"terminated": {"reason": "Error", "exitCode": 1}}}]})
        ),
        "api: CrashLoopBackOff, last ended: Error (exit code 1)"
    );
    assert_eq!(
        why(
            json!({"containerStatuses": [{"name": "api", "ready": false, "state": {"running": {}}}]})
        ),
        "api: its probe does not pass yet"
    );
    assert_eq!(
        why(json!({"conditions": [{"type": "Ready", "status": "True"}]})),
        ""
    );
}
