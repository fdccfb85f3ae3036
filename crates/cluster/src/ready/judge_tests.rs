//! Objects in their surroundings, and the judgement over them.

#![expect(
    clippy::needless_pass_by_value,
    reason = "`json!` in the call reads better than a reference to it"
)]

use super::*;
use serde_json::json;

fn deployment() -> ObjectRef {
    ObjectRef::new("apps/v1", "Deployment", Some("keda"), "api")
}

/// A Deployment that waits for one pod, its `ReplicaSet`, and a pod with that status.
fn world(pod_status: Json, events: Json) -> World {
    let live = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "api", "namespace": "keda", "uid": "d"},
        "spec": {"replicas": 1}, "status": {"replicas": 1, "updatedReplicas": 1}});
    let owned = |uid: &str, owner: &str| json!({"name": format!("api-{uid}"), "namespace": "keda", "uid": uid, "ownerReferences": [{"controller": true, "uid": owner}]});
    World {
        objects: [(deployment(), live)].into(),
        replica_sets: vec![json!({"metadata": owned("r", "d")})],
        pods: vec![
            json!({"metadata": owned("p", "r"), "spec": {"volumes": [{"persistentVolumeClaim": {"claimName": "data"}}]}, "status": pod_status}),
        ],
        events: events.as_array().cloned().unwrap_or_default(),
        deep: true,
        ..World::default()
    }
}

fn event(uid: &str, reason: &str, message: &str, time: &str) -> Json {
    json!({"type": "Warning", "reason": reason, "message": message, "lastTimestamp": time, "involvedObject": {"uid": uid}})
}

fn told(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Ready(note) => format!("ready {note}").trim().to_owned(),
        Verdict::Waiting(why) => format!("waiting: {why}"),
        Verdict::Failing { failure, settle } => format!(
            "failing after {} s: {failure}; event {:?}; {}",
            settle.as_secs(),
            failure.event,
            failure.cure
        ),
    }
}

fn judged(world: &World) -> String {
    told(&judge(&deployment(), world, Policy::default()))
}

#[test]
fn a_pod_that_finds_no_node_fails_with_the_schedulers_words() {
    let stuck = json!({"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable",
        "message": "0/1 nodes are available: 1 Insufficient memory."}]});
    insta::assert_snapshot!(judged(&world(stuck.clone(), json!([]))), @"failing after 10 s: Deployment keda/api, pod api-p: Unschedulable (0/1 nodes are available: 1 Insufficient memory.); event None; lower resources.requests, or add a node that has room");
    let growing = world(
        stuck.clone(),
        json!([event(
            "p",
            "TriggeredScaleUp",
            "pod triggered scale-up",
            "2026"
        )]),
    );
    assert_eq!(judged(&growing), "waiting: 0 of 1 pods are available");
    let patient = Policy {
        unschedulable_after: None,
        ..Policy::default()
    };
    let verdict = judge(&deployment(), &world(stuck, json!([])), patient);
    assert_eq!(told(&verdict), "waiting: 0 of 1 pods are available");
}

#[test]
fn a_claim_that_cannot_bind_is_blamed_before_the_scheduler() {
    let stuck = json!({"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "unbound claims"}]});
    let mut it = world(stuck, json!([]));
    it.classes = Some(vec![]);
    it.claims = vec![
        json!({"metadata": {"name": "data", "namespace": "keda", "uid": "c"}, "spec": {"storageClassName": "fast"}, "status": {"phase": "Pending"}}),
    ];
    assert!(
        judged(&it).contains("StorageClassMissing (claim data: storage class fast does not exist"),
        "{}",
        judged(&it)
    );
}

#[test]
fn pods_that_cannot_be_made_show_quota_and_pod_security() {
    let mut it = world(
        json!({}),
        json!([event(
            "r",
            "FailedCreate",
            "pods \"api-x\" is forbidden: exceeded quota: small",
            "2026-01-01T00:00:02Z"
        )]),
    );
    it.pods.clear();
    insta::assert_snapshot!(judged(&it), @r#"failing after 2 s: Deployment keda/api: FailedCreate (pods "api-x" is forbidden: exceeded quota: small); event Some("FailedCreate: pods \"api-x\" is forbidden: exceeded quota: small"); raise the ResourceQuota, or lower replicas or requests"#);
    let made = json!({"type": "Normal", "reason": "SuccessfulCreate", "lastTimestamp": "2026-01-01T00:00:03Z", "involvedObject": {"uid": "r"}});
    it.events.push(made);
    assert_eq!(
        judged(&it),
        "waiting: 0 of 1 pods are available",
        "it was made since"
    );
}

#[test]
fn a_volume_without_its_secret_is_told_by_its_event() {
    let creating = json!({"phase": "Pending", "containerStatuses": [{"name": "api", "ready": false, "state": {"waiting": {"reason": "ContainerCreating"}}}]});
    let it = world(
        creating,
        json!([event(
            "p",
            "FailedMount",
            "MountVolume.SetUp failed for volume \"x\" : secret \"redis\" not found",
            "2026"
        )]),
    );
    assert!(judged(&it).contains("pod api-p: FailedMount (MountVolume.SetUp failed for volume \"x\" : secret \"redis\" not found)"));
}

#[test]
fn a_pod_on_its_normal_way_is_waited_for() {
    let creating = json!({"phase": "Pending", "containerStatuses": [{"name": "api", "ready": false, "state": {"waiting": {"reason": "ContainerCreating"}}}]});
    assert_eq!(
        judged(&world(creating, json!([]))),
        "waiting: 0 of 1 pods are available"
    );
}

#[test]
fn a_scaler_needs_its_autoscaler_and_kedas_metrics() {
    let scaler = ObjectRef::new("keda.sh/v1alpha1", "ScaledObject", Some("keda"), "worker");
    let live = json!({"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": {"name": "worker"},
        "status": {"conditions": [{"type": "Ready", "status": "True"}]}});
    let mut it = World {
        objects: [(scaler.clone(), live)].into(),
        deep: true,
        ..World::default()
    };
    let judged = |it: &World| told(&judge(&scaler, it, Policy::default()));
    assert_eq!(
        judged(&it),
        "waiting: its autoscaler keda-hpa-worker does not exist yet"
    );
    it.autoscalers = vec![json!({"metadata": {"name": "keda-hpa-worker", "namespace": "keda"}})];
    it.external_metrics =
        Some(json!({"status": {"conditions": [{"type": "Available", "status": "False"}]}}));
    assert_eq!(
        judged(&it),
        "waiting: KEDA's metrics API is not available yet"
    );
    it.external_metrics =
        Some(json!({"status": {"conditions": [{"type": "Available", "status": "True"}]}}));
    assert_eq!(judged(&it), "ready");
}

#[test]
fn a_load_balancer_is_required_only_where_asked_for() {
    let service = ObjectRef::new("v1", "Service", Some("keda"), "api");
    let live = json!({"apiVersion": "v1", "kind": "Service", "spec": {"type": "LoadBalancer", "clusterIP": "10.0.0.1"}});
    let it = World {
        objects: [(service.clone(), live)].into(),
        ..World::default()
    };
    let judged = |load_balancer| {
        told(&judge(
            &service,
            &it,
            Policy {
                load_balancer,
                ..Policy::default()
            },
        ))
    };
    assert_eq!(judged(LoadBalancer::Tunnel), "ready");
    assert_eq!(judged(LoadBalancer::Ignore), "ready");
    assert_eq!(
        judged(LoadBalancer::Require),
        "waiting: its load balancer has no address yet"
    );
}
