//! The typed configuration: what `kedactl.yaml` may say, one struct a section.
//! Holds no defaults (they stand in `values/base.yaml`, so that each has an origin) and reads nothing.

mod cluster;
mod local;
mod monitoring;
mod platform;
mod redis;
mod release;
mod scaling;
mod tracing;
mod webhook;
mod workload;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use cluster::{
    Egress, Ingress, Keda, Monitoring, MonitoringImages, Network, PodSecurity, Strictness,
};
pub use local::{Local, LocalPorts, LocalPrograms, LogFiles, Restart};
pub use monitoring::{
    AlertRoute, AlertRules, Alerts, ApiRules, BudgetRules, LatencyBound, OutboxRules, QueueRules,
    RedisRules, RestartRules, TaskRules, Watchdog,
};
pub use platform::{
    BuiltImage, ContainerRuntime, Delivery, Helm, ImagePrograms, Images, Kind, Minikube,
    PythonRecipe, Recipe, Recipes, TunnelMode, TunnelSettings,
};
pub use redis::{Appendfsync, Redis, RedisSecret, RedisStorage, RedisTls};
pub(crate) use release::is_path;
pub use release::{
    ChartAccess, ChartProblem, ChartSource, Detect, MONITORING_CHART, MadeSecret, NotAName,
    OWN_CHARTS, REDIS_CHART, Release, ReleaseName, is_loopback,
};
pub use scaling::{
    ApiAutoscaling, Behavior, Fallback, FallbackBehavior, PolicyType, ScalingPolicy, ScalingRules,
    SelectPolicy, WorkerAutoscaling,
};
pub use tracing::Tracing;
pub use webhook::{AlertChat, AlertTemplate, SecretKey, Webhook, WebhookRoute};
pub use workload::{
    Api, Durability, ImagePullPolicy, Probe, Probes, ResourceList, Resources, ServiceType, Worker,
};

/// The whole configuration after all layers are merged and checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Config {
    /// Name of the stack; becomes the label `app.kubernetes.io/instance` and the folder of its state
    #[schemars(extend("format" = "dns-label"))]
    pub name: String,
    /// Namespace of the application
    #[schemars(extend("format" = "dns-label"))]
    pub namespace: String,
    /// Where the stack runs
    pub provider: Provider,
    /// Labels added to every object
    #[serde(default)]
    #[schemars(extend("x-keys" = "label-key"))]
    pub labels: BTreeMap<String, LabelValue>,
    /// Annotations added to every object
    #[serde(default)]
    #[schemars(extend("x-keys" = "label-key"))]
    pub annotations: BTreeMap<String, Text>,
    /// The queue that the API fills and the worker drains
    pub queue: Queue,
    /// The service that accepts tasks
    pub api: Api,
    /// The service that runs tasks
    pub worker: Worker,
    /// Redis and its Sentinels
    pub redis: Redis,
    /// How the API is reached from outside through an ingress controller; absent: through its Service alone
    #[serde(default)]
    pub ingress: Option<Ingress>,
    /// What the network policies let through besides the stack's own traffic
    pub network: Network,
    /// Version of the Pod Security Standard that the namespaces enforce: `v1.N`, or `latest`
    #[schemars(extend("format" = "pod-security-version"))]
    pub pod_security_version: String,
    /// The KEDA of the cluster
    pub keda: Keda,
    /// Where the monitoring runs
    pub monitoring: Box<Monitoring>,
    /// Where traces go
    pub tracing: Tracing,
    /// The way of alerts to Telegram
    pub webhook: Box<Webhook>,
    /// Images that kedactl makes itself
    pub images: Images,
    /// The cluster of the provider `kind`
    pub kind: Kind,
    /// The cluster of the provider `minikube`
    pub minikube: Minikube,
    /// The way from this machine into the cluster
    pub tunnel: TunnelSettings,
    /// Settings of the provider `local`
    pub local: Local,
    /// The program that installs `releases`
    pub helm: Helm,
    /// Helm releases by name; `null`: not wanted
    #[serde(default)]
    #[schemars(extend("x-keys" = "release-name"))]
    pub releases: BTreeMap<ReleaseName, Option<Release>>,
}

/// Where a stack runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Provider {
    /// The recorded stack's provider, else the best one that this machine has.
    Auto,
    /// Supervised processes on this machine; no cluster.
    Local,
    /// A kind cluster of this machine.
    Kind,
    /// A minikube cluster of this machine.
    Minikube,
    /// An existing cluster.
    Context,
}

impl Provider {
    /// Whether it runs the stack in Kubernetes.
    pub fn is_cluster(self) -> bool {
        matches!(self, Self::Kind | Self::Minikube | Self::Context)
    }

    /// Whether the cluster is the stack's own, made where it is not there.
    pub fn makes_a_cluster(self) -> bool {
        matches!(self, Self::Kind | Self::Minikube)
    }

    /// Name of the environment that belongs to it: `values/env/<name>.yaml`.
    pub fn environment(self) -> &'static str {
        match self {
            Self::Auto | Self::Local => "local",
            Self::Kind => "kind",
            Self::Minikube => "minikube",
            Self::Context => "context",
        }
    }
}

/// The queue that KEDA counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Queue {
    /// Name of the queue; part of its Redis keys
    #[schemars(extend("format" = "queue-name"))]
    pub name: String,
    /// `kedactl`: our own queue and worker. `list`: a key of another queue library, worked by an image of yours
    pub kind: QueueKind,
    /// The Redis key that KEDA counts (list, set, sorted set or hash); for `kind: list` only
    #[serde(default)]
    #[schemars(length(min = 1, max = 512))]
    pub list_name: Option<String>,
}

/// Who owns the queue's keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum QueueKind {
    /// Our queue core; KEDA counts `kq:{name}:live`, waiting and running together.
    Kedactl,
    /// A foreign queue (Huey, Celery, RQ, `BullMQ` …); KEDA counts `queue.listName`.
    List,
}

/// Any text. A number or a boolean is taken as it is spelt in the file (`1.10` stays `1.10`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(extend("x-text" = true))]
pub struct Text(pub String);

/// The value of a Kubernetes label: at most 63 of `[A-Za-z0-9._-]`, first and last alphanumeric.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(extend("x-text" = true, "format" = "label-value"))]
pub struct LabelValue(pub String);

impl std::ops::Deref for Text {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl std::ops::Deref for LabelValue {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl Config {
    /// The Redis key whose length KEDA reads, and the local provider with it.
    pub fn list_name(&self) -> String {
        match (&self.queue.list_name, self.queue.kind) {
            (Some(list), QueueKind::List) => list.clone(),
            _ => format!("kq:{{{}}}:live", self.queue.name),
        }
    }

    /// The releases that are wanted, by name.
    pub fn wanted_releases(&self) -> impl Iterator<Item = (&ReleaseName, &Release)> {
        self.releases
            .iter()
            .filter_map(|(name, release)| Some((name, release.as_ref()?)))
    }

    /// The wanted release of that name.
    pub fn release(&self, name: &str) -> Option<&Release> {
        self.wanted_releases()
            .find(|(known, _)| known.as_str() == name)
            .map(|(_, release)| release)
    }

    /// Whether the values name a Redis that runs elsewhere, and not the pods of the release `redis`.
    pub fn outside_redis(&self) -> bool {
        if self.redis.sentinels == 0 {
            self.redis.address.is_some()
        } else {
            !self.redis.sentinel_addresses.is_empty()
        }
    }

    /// Tasks that one worker pod should have: `worker.autoscaling.listLength`, else its concurrency.
    pub fn list_length(&self) -> u32 {
        self.worker
            .autoscaling
            .list_length
            .unwrap_or(self.worker.concurrency)
    }
}
