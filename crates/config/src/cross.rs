//! What values say about each other: bounds, sums, choices that exclude one another.
//! Points at the value that a user would change; single values were checked before.

mod monitoring;
mod releases;
mod tracing;
mod webhook;

use crate::error::Problem;
use crate::format::range;
use crate::model::{
    Config, Durability, Provider, QueueKind, Release, ResourceList, ServiceType, Tracing,
    TunnelMode,
};
use crate::quantity::parse_milli;
use crate::tree::{Node, Value, join};

/// Every contradiction of a configuration.
pub(crate) fn check(config: &Config, tree: &Node) -> Vec<Problem> {
    let mut cross = Cross {
        tree,
        problems: Vec::new(),
    };
    cross.replicas(config);
    cross.resources(config);
    cross.queue(config);
    cross.redis(config);
    cross.ports(config);
    cross.webhook(config);
    cross.local(config);
    cross.names(config);
    cross.cluster(config);
    cross.monitoring(config);
    cross.releases(config);
    cross.images(config);
    cross.problems
}

struct Cross<'a> {
    tree: &'a Node,
    problems: Vec<Problem>,
}

impl Cross<'_> {
    fn replicas(&mut self, config: &Config) {
        let (api, worker) = (&config.api.autoscaling, &config.worker.autoscaling);
        for (name, least, most) in [
            ("api", api.min_replicas, api.max_replicas),
            ("worker", worker.min_replicas, worker.max_replicas),
        ] {
            if least > most {
                let path = ["", name, "autoscaling", "minReplicas"];
                self.add(
                    &path[1..],
                    format!("{least} is more than {name}.autoscaling.maxReplicas, {most}"),
                );
            }
        }
        if worker
            .idle_replicas
            .is_some_and(|idle| idle >= worker.min_replicas)
        {
            self.add(
                &["worker", "autoscaling", "idleReplicas"],
                format!("must be less than minReplicas, {}", worker.min_replicas),
            );
        }
        if worker.activation_list_length > 0
            && worker.min_replicas > 0
            && worker.idle_replicas.is_none()
        {
            self.add(
                &["worker", "autoscaling", "activationListLength"],
                format!("has no effect while minReplicas is {}", worker.min_replicas),
            );
        }
    }

    fn resources(&mut self, config: &Config) {
        for (name, resources) in [
            ("api", &config.api.resources),
            ("worker", &config.worker.resources),
            ("webhook", &config.webhook.resources),
            ("redis", &config.redis.resources),
        ] {
            let amounts = |list: &ResourceList| {
                [
                    list.cpu.clone(),
                    list.memory.clone(),
                    list.ephemeral_storage.clone(),
                ]
            };
            let keys = ["cpu", "memory", "ephemeral-storage"];
            let both = amounts(&resources.requests)
                .into_iter()
                .zip(amounts(&resources.limits));
            for (key, (request, limit)) in keys.into_iter().zip(both) {
                let milli = |text: &Option<String>| text.as_deref().and_then(parse_milli);
                if let (Some(asked), Some(most)) = (milli(&request), milli(&limit))
                    && asked > most
                {
                    let limit = limit.unwrap_or_default();
                    self.add(
                        &[name, "resources", "requests", key],
                        format!("is more than the limit, `{limit}`"),
                    );
                }
            }
        }
        if config.api.resources.requests.cpu.is_none() {
            let message = "a value is needed: api.autoscaling.cpuUtilization is per cent of it";
            self.add(&["api", "resources", "requests", "cpu"], message.into());
        }
    }

    fn queue(&mut self, config: &Config) {
        match (config.queue.kind, &config.queue.list_name) {
            (QueueKind::List, None) => self.add(
                &["queue", "kind"],
                "`list` needs queue.listName, the Redis key that KEDA counts".into(),
            ),
            (QueueKind::Kedactl, Some(_)) => self.add(
                &["queue", "listName"],
                "has an effect for `queue.kind: list` only".into(),
            ),
            _ => {}
        }
        let local = config.provider == Provider::Local;
        let command = !config.worker.command.is_empty() || config.local.programs.worker.is_some();
        if local && config.queue.kind == QueueKind::List && !command {
            self.add(
                &["queue", "kind"],
                "with `provider: local`, `list` needs worker.command: what to run as the worker"
                    .into(),
            );
        }
    }

    fn redis(&mut self, config: &Config) {
        let redis = &config.redis;
        if redis.sentinels == 0 {
            if redis.nodes > 1 {
                let message = format!(
                    "{} servers need Sentinels; redis.sentinels is 0",
                    redis.nodes
                );
                self.add(&["redis", "nodes"], message);
            }
            if !redis.sentinel_addresses.is_empty() {
                let message = "has no effect while redis.sentinels is 0";
                self.add(&["redis", "sentinelAddresses"], message.into());
            }
            if redis.sentinel_username.is_some() {
                let message = "has no effect while redis.sentinels is 0";
                self.add(&["redis", "sentinelUsername"], message.into());
            }
        } else if redis.address.is_some() {
            let message = "has an effect only while redis.sentinels is 0";
            self.add(&["redis", "address"], message.into());
        }
        if redis.min_replicas_to_write >= redis.nodes {
            let message = format!(
                "must be less than redis.nodes, {}, or no write succeeds",
                redis.nodes
            );
            self.add(&["redis", "minReplicasToWrite"], message);
        }
        if config.api.durability != Durability::None && redis.nodes < 2 {
            let message = "needs a replica, and redis.nodes is 1; set it to `none`, or add nodes";
            self.add(&["api", "durability"], message.into());
        }
        if redis.failover_timeout_ms < redis.down_after_ms {
            let message = format!("is less than redis.downAfterMs, {}", redis.down_after_ms);
            self.add(&["redis", "failoverTimeoutMs"], message);
        }
        let bitnami = config
            .release("redis")
            .is_some_and(Release::is_bitnami_redis);
        let same = redis.secret.password_key == redis.secret.sentinel_password_key;
        if same && redis.sentinels > 0 && !bitnami {
            let message = "must differ from redis.secret.passwordKey";
            self.add(&["redis", "secret", "sentinelPasswordKey"], message.into());
        }
    }

    fn ports(&mut self, config: &Config) {
        if config.api.port == config.api.metrics_port {
            let message = format!("is the same as api.port, {}", config.api.port);
            self.add(&["api", "metricsPort"], message);
        }
    }

    fn local(&mut self, config: &Config) {
        let local = &config.local;
        if local.restart.initial_backoff_ms > local.restart.max_backoff_ms {
            let message = format!(
                "is more than maxBackoffMs, {}",
                local.restart.max_backoff_ms
            );
            self.add(&["local", "restart", "initialBackoffMs"], message);
        }
    }

    fn cluster(&mut self, config: &Config) {
        if config.monitoring.namespace == config.namespace {
            let message = "must differ from namespace: pods there may reach every metrics port";
            self.add(&["monitoring", "namespace"], message.into());
        }
        for (name, ways) in [
            ("worker", &config.worker.egress),
            ("webhook", &config.webhook.egress),
            ("tracing", &config.tracing.egress),
        ] {
            let parts = ways
                .iter()
                .flat_map(|way| way.except.iter().map(move |part| (part, &way.cidr)));
            for (part, whole) in parts.filter(|(part, whole)| !strictly_inside(part, whole)) {
                let message = format!("`except: {part}` is not a part of `{whole}`");
                self.add(&[name, "egress"], message);
            }
        }
        // `auto` is decided later, and what it comes to is checked then.
        let other = |than| ![than, Provider::Auto].contains(&config.provider);
        if config.tunnel.mode == TunnelMode::PortMapping {
            if other(Provider::Kind) {
                let message = "`port-mapping` has an effect for the provider `kind` only";
                self.add(&["tunnel", "mode"], message.into());
            }
            if config.api.service_type == ServiceType::ClusterIP {
                let message =
                    "`ClusterIP` has no node port, which `tunnel.mode: port-mapping` needs";
                self.add(&["api", "serviceType"], message.into());
            }
        }
        if config.tunnel.mode == TunnelMode::Minikube && other(Provider::Minikube) {
            let message = "`minikube` has an effect for the provider `minikube` only";
            self.add(&["tunnel", "mode"], message.into());
        }
    }

    fn names(&mut self, config: &Config) {
        for (name, env) in [
            ("api", &config.api.env),
            ("worker", &config.worker.env),
            ("webhook", &config.webhook.env),
        ] {
            for key in env.keys() {
                if secret(key) {
                    let message = "a secret does not belong into the environment: it shows in manifests and `kubectl describe`";
                    self.add(&[name, "env", key], message.into());
                }
                if key.to_ascii_uppercase().ends_with("HEADERS") {
                    let message = "headers often hold a secret, which shows in manifests: name a Secret in tracing.headersSecret";
                    self.add(&[name, "env", key], message.into());
                }
                if config.tracing.endpoint.is_some() && Tracing::VARIABLES.contains(&key.as_str()) {
                    self.add(&[name, "env", key], "is set from `tracing`".into());
                }
                if SET_FROM_VALUES.contains(&key.as_str()) || key.starts_with("KEDACTL_REDIS_") {
                    let message = "is set from the other values";
                    self.add(&[name, "env", key], message.into());
                }
            }
        }
        self.tracing(&config.tracing);
        let labels = [
            (vec!["labels"], &config.labels),
            (vec!["api", "podLabels"], &config.api.pod_labels),
            (vec!["worker", "podLabels"], &config.worker.pod_labels),
            (vec!["webhook", "podLabels"], &config.webhook.pod_labels),
        ];
        for (path, labels) in labels {
            for key in labels
                .keys()
                .filter(|key| key.starts_with("app.kubernetes.io/"))
            {
                let path: Vec<&str> = path.iter().copied().chain([key.as_str()]).collect();
                self.add(
                    &path,
                    "labels of app.kubernetes.io/ are set by kedactl".into(),
                );
            }
        }
    }

    fn add(&mut self, path: &[&str], message: String) {
        self.add_with(path, message, None);
    }

    fn add_with(&mut self, path: &[&str], message: String, hint: Option<String>) {
        let shown = path
            .iter()
            .fold(String::new(), |shown, key| join(&shown, key));
        let origin = Some(place(self.tree, path).origin.clone());
        self.problems.push(Problem {
            origin,
            path: shown,
            message,
            hint,
        });
    }
}

/// Variables that the templates set.
const SET_FROM_VALUES: &[&str] = &[
    "KEDACTL_ALERTMANAGER",
    "KEDACTL_BOT_API",
    "KEDACTL_BOT_TOKEN_FILE",
    "KEDACTL_CONCURRENCY",
    "KEDACTL_DURABILITY",
    "KEDACTL_GRACE_SECONDS",
    "KEDACTL_LISTEN",
    "KEDACTL_METRICS_LISTEN",
    "KEDACTL_POD_NAME",
    "KEDACTL_QUEUE",
    "KEDACTL_QUEUES",
    "KEDACTL_ROUTES_FILE",
    "KEDACTL_TOKENS_FILE",
];

/// A variable whose name says that its value is a secret; `…_FILE` names a file instead.
fn secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    let words = [
        "PASSWORD",
        "PASSWD",
        "SECRET",
        "TOKEN",
        "API_KEY",
        "APIKEY",
        "PRIVATE_KEY",
        "CREDENTIALS",
    ];
    words.iter().any(|word| name.ends_with(word))
}

/// Whether a range of addresses is a part of another, and smaller.
fn strictly_inside(part: &str, whole: &str) -> bool {
    let (Some((v4, bits, length)), Some((whole_v4, whole_bits, whole_length))) =
        (range(part), range(whole))
    else {
        return true;
    };
    let shift = 128 - whole_length;
    let prefix = |bits: u128| bits.checked_shr(shift).unwrap_or(0);
    v4 == whole_v4 && length > whole_length && prefix(bits) == prefix(whole_bits)
}

/// The node at a path, or the nearest one above it.
fn place<'a>(tree: &'a Node, path: &[&str]) -> &'a Node {
    let Some((key, rest)) = path.split_first() else {
        return tree;
    };
    let Value::Map(entries) = &tree.value else {
        return tree;
    };
    match entries.iter().find(|entry| entry.key == *key) {
        Some(entry) => place(&entry.node, rest),
        None => tree,
    }
}
