//! What templates see: the configuration under its own names, and under `computed` what follows from it.
//! No defaults: those stand in `values/`.

use std::collections::{BTreeMap, BTreeSet};

use kedactl_config::{
    Config, ImagePullPolicy, LabelValue, PodSecurity, QueueKind, Resources, Strictness, Text,
    Webhook,
};
use serde_json::{Map, Value as Json, json};
use sha2::{Digest as _, Sha256};

use crate::{monitoring, reasons};

/// The names that a template may use.
pub(crate) fn of(config: &Config) -> Json {
    let mut context = serde_json::to_value(config).unwrap_or_default();
    let mut computed = json!({
        "ownQueue": config.queue.kind == QueueKind::Kedactl,
        "monitored": config.is_monitored(),
        "alertmanager": config.alertmanager_address(),
        "listName": config.list_name(),
        "listLength": config.list_length(),
        "idle": config.worker.autoscaling.idle_replicas.is_some(),
        "labels": common(config),
        "chartLabels": shared_labels(config),
        "namespaceLabels": namespace_labels(config, PodSecurity::Restricted),
        "monitoringLabels": namespace_labels(config, config.monitoring.pod_security),
        "serviceAnnotations": reasons::service(config),
        "metricsServiceAnnotations": scraped(config, config.api.metrics_port),
        "ingressAnnotations": ingress_annotations(config),
        "autoscalerAnnotations": reasons::autoscaler(config),
        "scaledObjectAnnotations": reasons::scaled_object(config),
        "redis": {
            "addresses": addresses(config),
            "own": !config.outside_redis(),
            "ports": redis_ports(config),
            "labels": shared_labels(config),
            "image": config.redis.image.as_deref().map(image_parts),
            // More than half of the Sentinels.
            "quorum": config.redis.sentinels / 2 + 1,
        },
        "api": component(config, &Workload {
            name: "api",
            image: &config.api.image,
            pull: config.api.image_pull_policy,
            pod_labels: &config.api.pod_labels,
            pod_annotations: annotations(&config.api.pod_annotations),
            resources: &config.api.resources,
            max_unavailable: &config.api.max_unavailable,
            spread: config.api.spread,
            probed: true,
        }),
        "worker": component(config, &Workload {
            name: "worker",
            image: &config.worker.image,
            pull: config.worker.image_pull_policy,
            pod_labels: &config.worker.pod_labels,
            pod_annotations: worker_annotations(config),
            resources: &config.worker.resources,
            max_unavailable: &config.worker.max_unavailable,
            spread: config.worker.spread,
            probed: config.queue.kind == QueueKind::Kedactl,
        }),
    });
    computed["webhook"] = webhook(config);
    computed["tracing"] = tracing(config);
    computed["dashboards"] = dashboards(config);
    computed["dashboardLabels"] = json!(dashboard_labels(config));
    if let Some(context) = context.as_object_mut() {
        context.insert("computed".into(), computed);
    }
    context
}

/// Files of dashboards, for a Grafana that finds them by the label of their `ConfigMap`; our own chart is told of them.
fn dashboards(config: &Config) -> Json {
    let mut releases = config.wanted_releases();
    if !config.is_monitored() || releases.any(|(_, release)| release.is_own_monitoring()) {
        return json!({});
    }
    let file = |it: &monitoring::Dashboard| (format!("{}.json", it.name), Json::from(it.json));
    let files: Map<String, Json> = monitoring::dashboards().iter().map(file).collect();
    files.into()
}

fn dashboard_labels(config: &Config) -> Labels {
    let mut labels = common(config);
    labels.insert("grafana_dashboard".into(), "1".into());
    labels
}

/// The webhook: its file of routes as it reads it, and the Secrets that it and Alertmanager share.
fn webhook(config: &Config) -> Json {
    let webhook = &config.webhook;
    let mut pod_annotations = scraped(config, webhook.metrics_port);
    pod_annotations.retain(|key, _| key.starts_with("prometheus.io/"));
    pod_annotations.extend(annotations(&webhook.pod_annotations));
    let routes = webhook_routes(webhook);
    // A pod reads its routes once: others are other pods.
    let digest = Sha256::digest(routes.as_bytes());
    let digest = digest[..8]
        .iter()
        .fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    pod_annotations.insert("kedactl.io/routes".into(), digest.into());
    let mut it = component(
        config,
        &Workload {
            name: "webhook",
            image: &webhook.image,
            pull: webhook.image_pull_policy,
            pod_labels: &webhook.pod_labels,
            pod_annotations,
            resources: &webhook.resources,
            max_unavailable: &webhook.max_unavailable,
            spread: webhook.spread,
            probed: true,
        },
    );
    it["routes"] = routes.into();
    it["tokenSecret"] = Webhook::TOKEN_SECRET.into();
    it["tokenKey"] = Webhook::TOKEN_KEY.into();
    it
}

/// The way to the collector of traces.
fn tracing(config: &Config) -> Json {
    let place = config.tracing.in_cluster();
    json!({
        "secret": config.tracing.headers_secret.is_some(),
        "namespace": place.as_ref().map(|(namespace, _)| namespace),
        "port": place.as_ref().map(|(_, port)| port),
    })
}

/// The file of routes, as the webhook reads it.
pub fn webhook_routes(webhook: &Webhook) -> String {
    let mut file =
        json!({ "routes": webhook.routes, "users": webhook.users, "buttons": webhook.buttons });
    if let Some(operators) = &webhook.operators {
        file["operators"] = json!(operators);
    }
    file.to_string()
}

/// Labels or annotations.
pub(crate) type Labels = BTreeMap<String, Json>;

/// What the two Deployments have in common.
struct Workload<'a> {
    name: &'static str,
    image: &'a str,
    pull: ImagePullPolicy,
    pod_labels: &'a BTreeMap<String, LabelValue>,
    pod_annotations: Labels,
    resources: &'a Resources,
    max_unavailable: &'a str,
    spread: Strictness,
    /// Whether the container has probes.
    probed: bool,
}

fn component(config: &Config, it: &Workload<'_>) -> Json {
    let selector = Labels::from([
        ("app.kubernetes.io/name".into(), it.name.into()),
        (
            "app.kubernetes.io/instance".into(),
            config.name.as_str().into(),
        ),
    ]);
    let mut labels = common(config);
    labels.insert("app.kubernetes.io/component".into(), it.name.into());
    labels.extend(selector.clone());
    let mut pods = labels.clone();
    pods.extend(
        it.pod_labels
            .iter()
            .map(|(key, value)| (key.clone(), Json::from(&**value))),
    );
    let count = it.max_unavailable.parse::<u32>();
    json!({
        "selector": selector,
        "labels": labels,
        "annotations": reasons::deployment(config, it.image, it.pull, it.probed),
        "podLabels": pods,
        "podAnnotations": it.pod_annotations,
        "resources": without_null(serde_json::to_value(it.resources).unwrap_or_default()),
        "maxUnavailable": count.map_or_else(|_| Json::from(it.max_unavailable), Json::from),
        "spreadHard": it.spread == Strictness::Hard,
    })
}

fn common(config: &Config) -> Labels {
    let mut labels = shared_labels(config);
    labels.insert("app.kubernetes.io/managed-by".into(), "kedactl".into());
    labels
}

/// The labels that objects of charts have as well; who manages those is said by helm.
fn shared_labels(config: &Config) -> Labels {
    let own = config
        .labels
        .iter()
        .map(|(key, value)| (key.clone(), Json::from(&**value)));
    let mut labels: Labels = own.collect();
    labels.insert("app.kubernetes.io/part-of".into(), "kedactl".into());
    labels.insert("kedactl.io/stack".into(), config.name.as_str().into());
    labels
}

/// An image as charts want it: the repository with its registry, the tag and the digest, empty where there is none.
pub(crate) fn image_parts(image: &str) -> Json {
    let (name, digest) = image.split_once('@').unwrap_or((image, ""));
    let (repository, tag) = match name.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => (repository, tag),
        _ => (name, ""),
    };
    json!({ "registry": "", "repository": repository, "tag": tag, "digest": digest })
}

fn namespace_labels(config: &Config, level: PodSecurity) -> Labels {
    let mut labels = common(config);
    for mode in ["enforce", "warn", "audit"] {
        let label = format!("pod-security.kubernetes.io/{mode}");
        let version = config.pod_security_version.as_str();
        labels.insert(format!("{label}-version"), version.into());
        labels.insert(label, level.name().into());
    }
    labels
}

/// Annotations of the values.
pub(crate) fn annotations(values: &BTreeMap<String, Text>) -> Labels {
    let entry = |(key, value): (&String, &Text)| (key.clone(), Json::from(&**value));
    values.iter().map(entry).collect()
}

/// What Prometheus' usual configuration for pods and Services looks for, under the annotations of the values.
fn scraped(config: &Config, port: u16) -> Labels {
    let mut found = Labels::from([
        ("prometheus.io/scrape".into(), "true".into()),
        ("prometheus.io/port".into(), port.to_string().into()),
        ("prometheus.io/path".into(), "/metrics".into()),
    ]);
    found.extend(annotations(&config.annotations));
    found
}

/// Workers have no Service: there may be none of them, so Prometheus finds their pods.
fn worker_annotations(config: &Config) -> Labels {
    let own = annotations(&config.worker.pod_annotations);
    if config.queue.kind != QueueKind::Kedactl {
        return own;
    }
    let mut found = scraped(config, config.worker.metrics_port);
    found.retain(|key, _| key.starts_with("prometheus.io/"));
    found.extend(own);
    found
}

fn ingress_annotations(config: &Config) -> Labels {
    let mut found = annotations(&config.annotations);
    let own = config
        .ingress
        .as_ref()
        .map(|it| annotations(&it.annotations));
    found.extend(own.unwrap_or_default());
    found
}

/// Ports that the services need at Redis and its Sentinels. Which servers Sentinels elsewhere name is not known
/// here; their port is taken for the usual one.
fn redis_ports(config: &Config) -> Vec<u16> {
    let given = addresses(config);
    let port = |address: &str| address.rsplit_once(':')?.1.parse::<u16>().ok();
    let mut ports: BTreeSet<u16> = given.split(',').filter_map(port).collect();
    if config.redis.sentinels > 0 {
        ports.insert(6379);
    }
    ports.into_iter().collect()
}

/// Where Redis listens, `host:port` joined by commas: the Sentinels, else the server.
fn addresses(config: &Config) -> String {
    redis_addresses(config).join(",")
}

/// Where Redis listens for those inside the cluster, as `host:port`: the Sentinels, else the one server.
pub fn redis_addresses(config: &Config) -> Vec<String> {
    let (redis, namespace) = (&config.redis, &config.namespace);
    if redis.sentinels == 0 {
        let service = || format!("redis-master.{namespace}.svc:6379");
        return vec![redis.address.clone().unwrap_or_else(service)];
    }
    if !redis.sentinel_addresses.is_empty() {
        return redis.sentinel_addresses.clone();
    }
    let pod = |n| format!("redis-node-{n}.redis-headless.{namespace}.svc:26379");
    (0..redis.sentinels).map(pod).collect()
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
