//! Objects as an API server writes them.

use serde_json::json;

use super::*;

#[test]
fn durations_are_gos() {
    assert_eq!(duration_micros("15.024s"), Some(15_024_000));
    assert_eq!(duration_micros("1m0s"), Some(60_000_000));
    assert_eq!(duration_micros("1h2m3.5s"), Some(3_723_500_000));
    assert_eq!(duration_micros("10ms"), Some(10_000));
    assert_eq!(duration_micros("10"), None);
    assert_eq!(duration_micros("10x"), None);
}

#[test]
fn a_deployment_names_who_wrote_its_size() {
    let manager = |name: &str, time: &str, fields: Json| json!({"manager": name, "time": time, "fieldsV1": fields});
    let size = json!({"f:spec": {"f:replicas": {}}});
    let object = json!({
        "metadata": {"name": "worker", "managedFields": [
            manager("keda", "2026-01-01T00:00:02Z", size.clone()),
            manager("kube-controller-manager", "2026-01-01T00:00:01Z", size),
            manager("kubectl", "2026-01-01T00:00:03Z", json!({"f:spec": {"f:template": {}}})),
        ]},
        "spec": {"replicas": 3, "selector": {"matchLabels": {"app": "worker"}}},
        "status": {"replicas": 2},
    });
    let Fact::Target { target } = Fact::of("Deployment", &object) else {
        panic!("not read")
    };
    assert_eq!(target.writer.as_deref(), Some("keda"));
    assert_eq!(
        (
            target.spec_replicas,
            target.status_replicas,
            target.ready_replicas
        ),
        (3, 2, 0)
    );
}

#[test]
fn a_pod_has_the_sum_of_its_requests_only_where_each_container_asks() {
    let container =
        |name: &str, requests: Json| json!({"name": name, "resources": {"requests": requests}});
    let pod = |containers: Json| {
        let object = json!({"metadata": {"name": "p", "labels": {"app": "a"}}, "spec": {"containers": containers,
            "initContainers": [container("once", json!({"cpu": "9"})),
                {"name": "side", "restartPolicy": "Always", "resources": {"requests": {"cpu": "10m", "memory": "1Ki"}}}]},
            "status": {"phase": "Running", "startTime": "2026-01-01T00:00:00Z", "conditions": [
                {"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:05Z"}]}});
        let Fact::Pod { pod } = Fact::of("Pod", &object) else {
            panic!("not read")
        };
        pod.pod
    };
    let two = pod(json!([
        container("a", json!({"cpu": "100m", "memory": "1Ki"})),
        container("b", json!({"cpu": "50m"}))
    ]));
    assert_eq!(two.requests.get("cpu"), Some(&160));
    assert_eq!(two.requests.get("b/cpu"), Some(&50));
    assert_eq!(two.requests.get("memory"), None);
    assert_eq!(two.requests.get("a/memory"), Some(&1_024_000));
    let ready = two.ready.unwrap();
    assert!(ready.ready);
    assert_eq!(ready.since.secs_since(two.start_time.unwrap()), 5);
}

#[test]
fn samples_are_added_up_and_rounded_as_the_controllers_client_does() {
    let list = json!({"items": [
        {"metadata": {"name": "p"}, "timestamp": "2026-01-01T00:00:10Z", "window": "10.066s", "containers": [
            {"name": "a", "usage": {"cpu": "100000001n", "memory": "2Ki"}}, {"name": "b", "usage": {"cpu": "1m"}}]},
        {"metadata": {"name": "none"}, "timestamp": "2026-01-01T00:00:10Z", "window": "10s", "containers": []},
    ]});
    let Fact::Samples { samples } = Fact::samples(&list) else {
        panic!("not read")
    };
    let p = &samples["p"];
    assert_eq!(p.window_micros, 10_066_000);
    assert_eq!(p.usage["a/cpu"], 101);
    assert_eq!(p.usage["cpu"], 102);
    assert_eq!(p.usage.get("memory"), None);
    assert!(samples["none"].usage.is_empty());
}

#[test]
fn what_cannot_be_read_is_a_fact() {
    let fact = Fact::of(
        "ScaledObject",
        &json!({"metadata": {"name": "x"}, "spec": {"new": 1}}),
    );
    let Fact::Unread { kind, name, .. } = fact else {
        panic!("read")
    };
    assert_eq!((kind.as_str(), name.as_str()), ("ScaledObject", "x"));
    let values = Fact::external(
        "worker",
        "s0-redis-tasks",
        &json!({"items": [{"value": "7"}, {"value": "500m"}]}),
    );
    assert_eq!(values, Fact::reading("worker", "s0-redis-tasks", 7500));
    let none = Fact::external("worker", "m", &json!({"items": []}));
    assert!(matches!(none, Fact::Reading { milli: None, .. }));
}
