//! Tables of states and what they mean.

#![expect(
    clippy::needless_pass_by_value,
    reason = "`json!` in the call reads better than a reference to it"
)]

use super::*;
use serde_json::json;

fn object(kind: &str, spec: Json, state: Json) -> Json {
    let (version, kind) = kind.rsplit_once('/').unwrap_or(("v1", kind));
    json!({"apiVersion": version, "kind": kind, "metadata": {"name": "x", "generation": 2}, "spec": spec, "status": state})
}

fn conditions(all: &[(&str, &str, &str)]) -> Json {
    all.iter()
        .map(|(kind, status, reason)| json!({"type": kind, "status": status, "reason": reason, "message": ""}))
        .collect()
}

fn word(state: &Status) -> String {
    match state {
        Status::Ready(note) => format!("ready {note}").trim().to_owned(),
        Status::InProgress(why) => format!("wait: {why}"),
        Status::Failed(why) => format!("failed: {why}"),
        Status::Terminating => "terminating".to_owned(),
    }
}

fn check(kind: &str, cases: &[(Json, Json, &str)]) {
    for (spec, state, expected) in cases {
        let found = word(&status(&object(kind, spec.clone(), state.clone())));
        assert_eq!(&found, expected, "{kind} {spec} {state}");
    }
}

#[test]
fn deployments() {
    let full = |n: i64| json!({"observedGeneration": 2, "replicas": n, "updatedReplicas": n, "readyReplicas": n, "availableReplicas": n});
    let with = |mut state: Json, all: &[(&str, &str, &str)]| {
        state["conditions"] = conditions(all);
        state
    };
    check(
        "apps/v1/Deployment",
        &[
            (json!({"replicas": 2}), full(2), "ready 2 of 2"),
            (json!({}), full(1), "ready 1 of 1"),
            (
                json!({"replicas": 0}),
                json!({"observedGeneration": 2}),
                "ready idle at 0 replicas",
            ),
            (
                json!({"replicas": 1}),
                Json::Null,
                "wait: its controller has not seen it yet",
            ),
            (
                json!({"replicas": 2}),
                json!({"observedGeneration": 1, "replicas": 2}),
                "wait: its controller has not seen the last change yet",
            ),
            (
                json!({"replicas": 2}),
                json!({"observedGeneration": 2, "replicas": 3, "updatedReplicas": 1, "availableReplicas": 2}),
                "wait: 1 of 2 pods are of the new version",
            ),
            (
                json!({"replicas": 2}),
                json!({"observedGeneration": 2, "replicas": 3, "updatedReplicas": 2, "readyReplicas": 3, "availableReplicas": 3}),
                "wait: 1 pods of the old version are still there",
            ),
            (
                json!({"replicas": 2}),
                json!({"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "readyReplicas": 1, "availableReplicas": 1}),
                "wait: 1 of 2 pods are available",
            ),
            (
                json!({"replicas": 1}),
                with(
                    full(0),
                    &[("Progressing", "False", "ProgressDeadlineExceeded")],
                ),
                "failed: ProgressDeadlineExceeded",
            ),
            (
                json!({"replicas": 1}),
                with(full(0), &[("ReplicaFailure", "True", "FailedCreate")]),
                "failed: FailedCreate",
            ),
            (
                json!({"replicas": 0}),
                json!({"observedGeneration": 2, "replicas": 1, "updatedReplicas": 1}),
                "ready idle at 0 replicas",
            ),
        ],
    );
}

#[test]
fn stateful_sets_have_no_failure_state_and_a_partition() {
    let state = |ready: i64, current: &str, update: &str| json!({"observedGeneration": 2, "replicas": 3, "readyReplicas": ready, "updatedReplicas": 3, "currentRevision": current, "updateRevision": update});
    let on_delete = json!({"replicas": 3, "updateStrategy": {"type": "OnDelete"}});
    let partition = json!({"replicas": 3, "updateStrategy": {"rollingUpdate": {"partition": 2}}});
    check(
        "apps/v1/StatefulSet",
        &[
            (json!({"replicas": 3}), state(3, "a", "a"), "ready 3 of 3"),
            (
                json!({"replicas": 3}),
                state(2, "a", "a"),
                "wait: 2 of 3 pods are ready",
            ),
            (
                json!({"replicas": 3}),
                state(3, "a", "b"),
                "wait: its roll-out is not finished",
            ),
            (on_delete, state(3, "a", "b"), "ready 3 of 3"),
            (partition, state(3, "a", "b"), "ready 3 of 3"),
            (
                json!({"replicas": 3}),
                Json::Null,
                "wait: its controller has not seen it yet",
            ),
        ],
    );
}

#[test]
fn daemon_sets_jobs_and_pods() {
    check(
        "apps/v1/DaemonSet",
        &[
            (
                json!({}),
                json!({"desiredNumberScheduled": 2, "currentNumberScheduled": 2, "updatedNumberScheduled": 2, "numberAvailable": 2, "numberReady": 2}),
                "ready 2 of 2",
            ),
            (
                json!({}),
                json!({"desiredNumberScheduled": 2, "currentNumberScheduled": 2, "updatedNumberScheduled": 2, "numberAvailable": 1, "numberReady": 1}),
                "wait: 1 of 2 pods are available",
            ),
            (
                json!({}),
                json!({}),
                "wait: its controller has not seen it yet",
            ),
        ],
    );
    check(
        "batch/v1/Job",
        &[
            (
                json!({}),
                json!({"active": 1}),
                "wait: 1 pods run, 0 failed",
            ),
            (
                json!({}),
                json!({"conditions": conditions(&[("Complete", "True", "")])}),
                "ready complete",
            ),
            (
                json!({}),
                json!({"conditions": conditions(&[("Failed", "True", "BackoffLimitExceeded")])}),
                "failed: BackoffLimitExceeded",
            ),
        ],
    );
    check(
        "Pod",
        &[
            (
                json!({}),
                json!({"phase": "Running", "conditions": conditions(&[("Ready", "True", "")])}),
                "ready",
            ),
            (
                json!({}),
                json!({"phase": "Running"}),
                "wait: it is Running",
            ),
            (
                json!({}),
                json!({"phase": "Failed", "reason": "Evicted", "message": "low on disk"}),
                "failed: Evicted low on disk",
            ),
            (json!({}), json!({"phase": "Succeeded"}), "ready complete"),
        ],
    );
}

#[test]
fn kedas_objects_services_and_claims() {
    check(
        "keda.sh/v1alpha1/ScaledObject",
        &[
            (
                json!({}),
                json!({"conditions": conditions(&[("Ready", "True", "")])}),
                "ready",
            ),
            (
                json!({}),
                json!({"conditions": conditions(&[("Ready", "False", "ScaledObjectCheckFailed")])}),
                "wait: ScaledObjectCheckFailed",
            ),
            (
                json!({}),
                json!({"conditions": conditions(&[("Paused", "True", ""), ("Ready", "Unknown", "")])}),
                "ready paused",
            ),
            (
                json!({}),
                json!({}),
                "wait: condition Ready is not there yet",
            ),
        ],
    );
    check(
        "Service",
        &[
            (
                json!({"type": "LoadBalancer", "clusterIP": "10.0.0.1"}),
                json!({"loadBalancer": {}}),
                "ready",
            ),
            (json!({"clusterIP": "None"}), json!({}), "ready"),
            (json!({"type": "ExternalName"}), json!({}), "ready"),
            (json!({}), json!({}), "wait: it has no cluster address yet"),
        ],
    );
    check(
        "PersistentVolumeClaim",
        &[
            (json!({}), json!({"phase": "Bound"}), "ready"),
            (
                json!({}),
                json!({"phase": "Lost"}),
                "failed: its volume is lost",
            ),
        ],
    );
}

#[test]
fn api_services_and_kinds_that_nobody_knows() {
    check(
        "apiregistration.k8s.io/v1/APIService",
        &[(
            json!({}),
            json!({"conditions": conditions(&[("Available", "False", "MissingEndpoints")])}),
            "wait: MissingEndpoints",
        )],
    );
    check("ConfigMap", &[(Json::Null, Json::Null, "ready")]);
    check(
        "example.org/v1/Widget",
        &[
            (json!({}), json!({"observedGeneration": "1"}), "ready"),
            (
                json!({}),
                json!({"observedGeneration": 1}),
                "wait: its controller has not seen the last change yet",
            ),
            (
                json!({}),
                json!({"conditions": conditions(&[("Stalled", "True", "Broken")])}),
                "failed: Broken",
            ),
            (
                json!({}),
                json!({"conditions": conditions(&[("Reconciling", "True", "Busy")])}),
                "wait: Busy",
            ),
        ],
    );
}

#[test]
fn what_is_being_deleted_is_never_ready() {
    let mut gone = object("ConfigMap", json!({}), json!({}));
    gone["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
    assert_eq!(status(&gone), Status::Terminating);
}
