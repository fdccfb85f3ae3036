//! What templates see: the configuration under its own names, and under `computed` what follows from it.
//! No defaults: those stand in `values/`.

use std::collections::BTreeMap;

use kedactl_config::{Config, LabelValue, QueueKind, Resources};
use serde_json::{Map, Value as Json, json};

/// The names that a template may use.
pub(crate) fn of(config: &Config) -> Json {
    let mut context = serde_json::to_value(config).unwrap_or_default();
    let computed = json!({
        "ownQueue": config.queue.kind == QueueKind::Kedactl,
        "listName": config.list_name(),
        "listLength": config.list_length(),
        "idle": config.worker.autoscaling.idle_replicas.is_some(),
        "namespaceLabels": namespace_labels(config),
        "redis": { "addresses": addresses(config) },
        "api": component(config, "api", &config.api.pod_labels, &config.api.resources),
        "worker": component(config, "worker", &config.worker.pod_labels, &config.worker.resources),
    });
    if let Some(context) = context.as_object_mut() {
        context.insert("computed".into(), computed);
    }
    context
}

type Labels = BTreeMap<String, Json>;

fn component(
    config: &Config,
    name: &str,
    pod_labels: &BTreeMap<String, LabelValue>,
    resources: &Resources,
) -> Json {
    let selector = Labels::from([
        ("app.kubernetes.io/name".into(), name.into()),
        (
            "app.kubernetes.io/instance".into(),
            config.name.as_str().into(),
        ),
    ]);
    let mut labels = common(config);
    labels.insert("app.kubernetes.io/component".into(), name.into());
    labels.extend(selector.clone());
    let mut pods = labels.clone();
    pods.extend(
        pod_labels
            .iter()
            .map(|(key, value)| (key.clone(), Json::from(&**value))),
    );
    json!({
        "selector": selector,
        "labels": labels,
        "podLabels": pods,
        "resources": without_null(serde_json::to_value(resources).unwrap_or_default()),
    })
}

fn common(config: &Config) -> Labels {
    let own = config
        .labels
        .iter()
        .map(|(key, value)| (key.clone(), Json::from(&**value)));
    let mut labels: Labels = own.collect();
    labels.insert("app.kubernetes.io/part-of".into(), "kedactl".into());
    labels.insert("app.kubernetes.io/managed-by".into(), "kedactl".into());
    labels
}

fn namespace_labels(config: &Config) -> Labels {
    let mut labels = common(config);
    for mode in ["enforce", "warn", "audit"] {
        labels.insert(
            format!("pod-security.kubernetes.io/{mode}"),
            "restricted".into(),
        );
    }
    labels
}

/// Where Redis listens, `host:port` joined by commas: the Sentinels, else the server.
fn addresses(config: &Config) -> String {
    let (redis, namespace) = (&config.redis, &config.namespace);
    if redis.sentinels == 0 {
        let service = || format!("redis-master.{namespace}.svc:6379");
        return redis.address.clone().unwrap_or_else(service);
    }
    if !redis.sentinel_addresses.is_empty() {
        return redis.sentinel_addresses.join(",");
    }
    let pod = |n| format!("redis-node-{n}.redis-headless.{namespace}.svc:26379");
    (0..redis.sentinels).map(pod).collect::<Vec<_>>().join(",")
}

/// Drops keys that are not set, so that a block of them can be written as it is.
fn without_null(value: Json) -> Json {
    match value {
        Json::Object(map) => {
            let set = map.into_iter().filter(|(_, value)| !value.is_null());
            Json::Object(
                set.map(|(key, value)| (key, without_null(value)))
                    .collect::<Map<_, _>>(),
            )
        }
        other => other,
    }
}
