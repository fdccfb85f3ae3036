//! Manifests in, HPAs out: what KEDA would create, and what it would refuse.

#![expect(clippy::unwrap_used, reason = "a helper of tests fails by panicking")]

mod support;

use kedactl_autoscale::api::{MetricType, ScaledJob, ScaledObject, Trigger, TriggerAuthentication};
use kedactl_autoscale::hpa::{Hpa, HpaMetricKind, HpaOptions, HpaState, HpaTarget, SelectPolicy};
use kedactl_autoscale::keda::TriggerError;
use kedactl_autoscale::render_hpa;
use serde_json::json;
use support::{metadata, scaled_object};

fn full() -> serde_json::Value {
    json!({
        "apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject",
        "metadata": {"name": "worker", "namespace": "keda", "labels": {"app": "worker", "team": "a"},
            "annotations": {"scaledobject.keda.sh/hpa-excluded-labels": "team"}},
        "spec": {
            "scaleTargetRef": {"name": "worker", "apiVersion": "apps/v1", "kind": "Deployment",
                "envSourceContainerName": "worker"},
            "pollingInterval": 5, "cooldownPeriod": 60, "initialCooldownPeriod": 10,
            "idleReplicaCount": 0, "minReplicaCount": 2, "maxReplicaCount": 20,
            "fallback": {"failureThreshold": 3, "replicas": 6, "behavior": "currentReplicasIfHigher"},
            "advanced": {"restoreToOriginalReplicaCount": true,
                "horizontalPodAutoscalerConfig": {"name": "own", "behavior": {
                    "scaleDown": {"stabilizationWindowSeconds": 30, "policies":
                        [{"type": "Percent", "value": 50, "periodSeconds": 15}]}}}},
            "triggers": [
                {"type": "redis-sentinel", "name": "queue", "useCachedMetrics": false,
                 "metadata": {"listName": "kq:{default}:live", "listLength": "10",
                    "activationListLength": "0", "sentinelMaster": "mymaster"},
                 "authenticationRef": {"name": "redis", "kind": "TriggerAuthentication"}},
                {"type": "cpu", "metricType": "Utilization", "metadata": {"value": "60"}}
            ]
        }
    })
}

fn parse(value: serde_json::Value) -> ScaledObject {
    serde_json::from_value(value).unwrap()
}

#[test]
fn a_full_object_survives_the_round_trip() {
    let mut object = parse(full());
    let again = serde_json::to_value(&object).unwrap();
    object.spec.triggers[0].use_cached_metrics = false; // false is not written
    assert_eq!(parse(again), object);
}

#[test]
fn unknown_and_wrong_fields_are_refused() {
    for (path, value) in [
        ("/spec/pollInterval", json!(5)),
        ("/spec/triggers/0/metdata", json!({})),
        ("/spec/fallback/behaviour", json!("static")),
        ("/spec/advanced/scalingModifiers", json!({"formulae": "a"})),
        ("/kind", json!("ScaledJob")),
        ("/apiVersion", json!("keda.sh/v1")),
        ("/spec/triggers/0/metadata/listLength", json!(10)),
    ] {
        let mut object = full();
        let (parent, key) = path.rsplit_once('/').unwrap();
        object.pointer_mut(parent).unwrap()[key] = value;
        assert!(
            serde_json::from_value::<ScaledObject>(object).is_err(),
            "{path}"
        );
    }
}

#[test]
fn the_hpa_is_the_one_that_keda_creates() {
    let hpa = render_hpa(&parse(full())).unwrap();
    let value = serde_json::to_value(&hpa).unwrap();
    assert_eq!(value["metadata"]["name"], "own");
    assert_eq!(value["metadata"]["labels"]["app"], "worker");
    assert_eq!(value["metadata"]["labels"]["team"], json!(null));
    assert_eq!(
        value["spec"]["metrics"][0],
        json!({"type": "External", "external": {
            "metric": {"name": "s0-redis-kq-{default}-live",
                "selector": {"matchLabels": {"scaledobject.keda.sh/name": "worker"}}},
            "target": {"type": "AverageValue", "averageValue": "10"}}})
    );
    assert_eq!(
        value["spec"]["metrics"][1],
        json!({"type": "Resource", "resource": {"name": "cpu",
            "target": {"type": "Utilization", "averageUtilization": 60}}})
    );
    assert_eq!(
        (&value["spec"]["minReplicas"], &value["spec"]["maxReplicas"]),
        (&json!(2), &json!(20))
    );
    let machine = Hpa::from_object(&hpa, HpaOptions::default(), HpaState::default()).unwrap();
    assert_eq!(machine.metrics()[0].target, HpaTarget::AverageValue(10_000));
    let rules = machine.spec().behavior.as_ref().unwrap();
    assert_eq!(
        (rules.scale_up.window, rules.scale_up.policies.len()),
        (0, 2)
    );
    assert_eq!(
        (rules.scale_down.window, rules.scale_down.policies[0].value),
        (30, 50)
    );
}

#[test]
fn behavior_stays_absent_unless_asked_for_or_paused() {
    let mut object = scaled_object(5, false);
    let hpa = render_hpa(&object).unwrap();
    assert_eq!(hpa.metadata.name.as_deref(), Some("keda-hpa-worker"));
    let spec = hpa.spec.unwrap();
    assert_eq!(
        (spec.behavior, spec.min_replicas, spec.max_replicas),
        (None, Some(1), 100)
    );
    object.metadata.annotations =
        Some(metadata(&[("autoscaling.keda.sh/paused-scale-in", "true")]));
    let hpa = render_hpa(&object).unwrap();
    let machine = Hpa::from_object(&hpa, HpaOptions::default(), HpaState::default()).unwrap();
    let rules = machine.spec().behavior.as_ref().unwrap();
    assert_eq!(rules.scale_down.select, SelectPolicy::Disabled);
    assert_eq!(rules.scale_up.select, SelectPolicy::Max);
}

#[test]
fn a_formula_replaces_the_external_metrics() {
    let mut value = full();
    value["spec"]["advanced"]["scalingModifiers"] =
        json!({"formula": "max(queue, 1) * 2", "target": "2.5", "metricType": "Value"});
    let hpa = render_hpa(&parse(value)).unwrap();
    let machine = Hpa::from_object(&hpa, HpaOptions::default(), HpaState::default()).unwrap();
    assert_eq!(machine.metrics().len(), 2);
    let HpaMetricKind::External { name, .. } = &machine.metrics()[0].kind else {
        panic!()
    };
    assert_eq!(
        (name.as_str(), machine.metrics()[0].target),
        ("composite-metric", HpaTarget::Value(2500))
    );
}

#[test]
fn what_keda_refuses_is_refused_with_its_reason() {
    type Change = fn(&mut ScaledObject);
    let cases: &[(Change, &str)] = &[
        (|o| o.spec.triggers.clear(), "spec.triggers is empty"),
        (
            |o| o.spec.max_replica_count = Some(1),
            "minReplicaCount 2 must not exceed maxReplicaCount 1",
        ),
        (
            |o| o.spec.idle_replica_count = Some(2),
            "idleReplicaCount 2 must be below minReplicaCount 2",
        ),
        (
            |o| o.spec.min_replica_count = Some(-1),
            "minReplicaCount -1 must be at least 0",
        ),
        (
            |o| o.spec.fallback.as_mut().unwrap().replicas = -1,
            "fallback needs failureThreshold ≥ 0 and replicas ≥ 0",
        ),
        (
            |o| o.spec.triggers[0].metric_type = Some(MetricType::Utilization),
            "trigger 0 (`redis-sentinel`) cannot have metricType `Utilization`, only AverageValue or Value",
        ),
        (
            |o| o.spec.triggers[1].metric_type = None,
            "trigger 1 (`cpu`) cannot have metricType `unset`, only Utilization or AverageValue",
        ),
        (
            |o| {
                o.spec.idle_replica_count = None;
                o.spec.fallback = None;
                o.spec.triggers.remove(0);
                o.spec.min_replica_count = Some(0);
            },
            "minReplicaCount 0 needs a trigger beside cpu and memory",
        ),
        (
            |o| {
                o.spec.triggers[0]
                    .metadata
                    .insert("listLength".into(), "many".into());
            },
            "trigger 0 (`redis-sentinel`): `metadata.listLength` is `many`, which is not a whole number",
        ),
        (
            |o| {
                o.spec.triggers[0].metadata.remove("listName");
            },
            "trigger 0 (`redis-sentinel`) needs `metadata.listName`",
        ),
        (
            |o| {
                let mut twin: Trigger = o.spec.triggers[0].clone();
                twin.metadata = metadata(&[("listName", "other")]);
                o.spec.triggers.push(twin);
            },
            "trigger name `queue` is used twice",
        ),
    ];
    for (change, message) in cases {
        let mut object = parse(full());
        change(&mut object);
        assert_eq!(render_hpa(&object).unwrap_err().to_string(), *message);
    }
}

#[test]
fn an_unknown_trigger_is_refused_by_name() {
    let mut object = scaled_object(5, true);
    object.spec.triggers[0].kind = "kafka".to_owned();
    let error = render_hpa(&object).unwrap_err();
    let expected = TriggerError::UnknownType {
        index: 0,
        kind: "kafka".to_owned(),
    };
    assert_eq!(error, expected.into());
    assert!(error.to_string().contains("`kafka`"), "{error}");
}

#[test]
fn behaviors_that_kubernetes_refuses_are_refused() {
    for (rules, problem) in [
        (
            json!({"stabilizationWindowSeconds": 3601}),
            "3601 must lie between 0 and 3600",
        ),
        (json!({"policies": []}), "policies must not be empty"),
        (
            json!({"policies": [{"type": "Pods", "value": 0, "periodSeconds": 15}]}),
            "value 0",
        ),
        (
            json!({"policies": [{"type": "Pods", "value": 1, "periodSeconds": 1801}]}),
            "1801",
        ),
        (
            json!({"policies": [{"type": "Pod", "value": 1, "periodSeconds": 15}]}),
            "`Pod`",
        ),
        (json!({"selectPolicy": "Some"}), "`Some`"),
    ] {
        let mut value = full();
        value["spec"]["advanced"]["horizontalPodAutoscalerConfig"]["behavior"] =
            json!({"scaleUp": rules});
        let error = render_hpa(&parse(value)).unwrap_err().to_string();
        assert!(
            error.starts_with("behavior.scaleUp: ") && error.contains(problem),
            "{error}"
        );
    }
}

#[test]
fn the_other_kinds_are_typed_too() {
    let auth = json!({
        "apiVersion": "keda.sh/v1alpha1", "kind": "TriggerAuthentication",
        "metadata": {"name": "redis"},
        "spec": {"secretTargetRef": [
            {"parameter": "password", "name": "redis", "key": "redis-password"},
            {"parameter": "sentinelPassword", "name": "redis", "key": "sentinel-password"}],
            "podIdentity": {"provider": "azure-workload", "identityId": "x"}}});
    let read: TriggerAuthentication = serde_json::from_value(auth.clone()).unwrap();
    assert_eq!(serde_json::to_value(read).unwrap(), auth);
    let job = json!({
        "apiVersion": "keda.sh/v1alpha1", "kind": "ScaledJob", "metadata": {"name": "worker"},
        "spec": {"jobTargetRef": {"template": {}}, "maxReplicaCount": 10,
            "scalingStrategy": {"strategy": "accurate", "multipleScalersCalculation": "sum"},
            "rollout": {"strategy": "gradual"},
            "triggers": [{"type": "redis", "metadata": {"listName": "jobs"}}]}});
    let read: ScaledJob = serde_json::from_value(job.clone()).unwrap();
    assert_eq!(serde_json::to_value(read).unwrap(), job);
    assert!(serde_json::from_value::<ScaledJob>(json!({"kind": "ScaledJob"})).is_err());
}
