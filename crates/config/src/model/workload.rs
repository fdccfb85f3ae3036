//! The two Deployments: `api` and `worker`.
//! Says what may be set, never how it is rendered.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ApiAutoscaling, Egress, LabelValue, Strictness, Text, WorkerAutoscaling};

/// The service that accepts tasks over HTTP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Api {
    /// Container image, by tag or digest
    #[schemars(extend("format" = "image"))]
    pub image: String,
    /// When the node pulls the image
    pub image_pull_policy: ImagePullPolicy,
    /// HTTP port of the pods and of the Service `api`; the local provider serves 127.0.0.1 on it
    #[schemars(range(min = 1024))]
    pub port: u16,
    /// Port of metrics and probes; never exposed outside
    #[schemars(range(min = 1024))]
    pub metrics_port: u16,
    /// Type of the Service `api`
    pub service_type: ServiceType,
    /// Port of every node that leads to the Service; absent: the cluster chooses one
    #[serde(default)]
    #[schemars(range(min = 30000, max = 32767))]
    pub node_port: Option<u16>,
    /// What a 202 promises: on how many replicas a task is stored when it is sent
    pub durability: Durability,
    /// CPU, memory and disk of one pod
    pub resources: Resources,
    /// Environment of the container; never for secrets
    #[serde(default)]
    #[schemars(extend("x-keys" = "env-name"))]
    pub env: BTreeMap<String, Text>,
    /// Arguments appended to the program's command line
    #[serde(default)]
    pub extra_args: Vec<Text>,
    /// Seconds between SIGTERM and SIGKILL
    #[schemars(range(min = 6, max = 86400))]
    pub termination_grace_period_seconds: u32,
    /// Start, liveness and readiness
    pub probes: Probes,
    /// Pods that may be missing at a time while nodes are drained: a number, or per cent of the pods (`25%`)
    #[schemars(extend("x-text" = true, "format" = "count-or-percent"))]
    pub max_unavailable: String,
    /// Even spread over nodes. `hard`: no node has two pods more than another, or the pod waits
    pub spread: Strictness,
    /// Labels added to the pods
    #[serde(default)]
    #[schemars(extend("x-keys" = "label-key"))]
    pub pod_labels: BTreeMap<String, LabelValue>,
    /// Annotations added to the pods
    #[serde(default)]
    #[schemars(extend("x-keys" = "label-key"))]
    pub pod_annotations: BTreeMap<String, Text>,
    /// The `HorizontalPodAutoscaler` `api`
    pub autoscaling: ApiAutoscaling,
}

/// The service that runs tasks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Worker {
    /// Container image, by tag or digest
    #[schemars(extend("format" = "image"))]
    pub image: String,
    /// When the node pulls the image
    pub image_pull_policy: ImagePullPolicy,
    /// Replaces the image's entry point; for images of your own (the local provider runs it as well)
    #[serde(default)]
    pub command: Vec<Text>,
    /// Command run in the container before the stop signal; for images that stop gracefully on another one. It must wait
    /// for the end: the stop signal follows as soon as it returns
    #[serde(default)]
    pub pre_stop_command: Vec<Text>,
    /// The container's program is not process 1, which drops signals that it has no handler for yet: for programs whose
    /// start takes a while, as interpreters' does
    #[serde(default)]
    pub share_process_namespace: bool,
    /// Port of metrics and probes
    #[schemars(range(min = 1024))]
    pub metrics_port: u16,
    /// Tasks that one pod runs at a time
    #[schemars(range(min = 1, max = 10000))]
    pub concurrency: u32,
    /// CPU, memory and disk of one pod
    pub resources: Resources,
    /// Environment of the container; never for secrets
    #[serde(default)]
    #[schemars(extend("x-keys" = "env-name"))]
    pub env: BTreeMap<String, Text>,
    /// Arguments appended to the program's command line
    #[serde(default)]
    pub extra_args: Vec<Text>,
    /// Seconds between SIGTERM and SIGKILL; longer than the longest task
    #[schemars(range(min = 6, max = 86400))]
    pub termination_grace_period_seconds: u32,
    /// Start, liveness and readiness, for `queue.kind: kedactl`; a foreign image serves no probes of ours
    pub probes: Probes,
    /// Pods that may be missing at a time while nodes are drained: a number, or per cent of the pods (`25%`)
    #[schemars(extend("x-text" = true, "format" = "count-or-percent"))]
    pub max_unavailable: String,
    /// Even spread over nodes. `hard`: no node has two pods more than another, or the pod waits
    pub spread: Strictness,
    /// Destinations that tasks may reach besides Redis and DNS; empty: none
    #[serde(default)]
    pub egress: Vec<Egress>,
    /// Labels added to the pods
    #[serde(default)]
    #[schemars(extend("x-keys" = "label-key"))]
    pub pod_labels: BTreeMap<String, LabelValue>,
    /// Annotations added to the pods
    #[serde(default)]
    #[schemars(extend("x-keys" = "label-key"))]
    pub pod_annotations: BTreeMap<String, Text>,
    /// The `ScaledObject` `worker`
    pub autoscaling: WorkerAutoscaling,
}

/// When the node pulls an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ImagePullPolicy {
    /// At every start of a pod.
    Always,
    /// Only where the node lacks it; what images loaded into a laptop's cluster need.
    IfNotPresent,
    /// Never.
    Never,
}

/// Type of a Kubernetes Service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ServiceType {
    /// Reachable from outside through a load balancer, or a tunnel on a laptop.
    LoadBalancer,
    /// Reachable in the cluster only.
    ClusterIP,
    /// Reachable on a port of every node.
    NodePort,
}

/// On how many replicas a task is stored before the API answers 202.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// On the master only: a fail-over may lose it.
    None,
    /// On at least one replica as well.
    One,
    /// On every replica.
    All,
}

/// Requests and limits of one container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Resources {
    /// What the scheduler reserves; the HPA's per cent are of `cpu` here
    #[serde(default)]
    pub requests: ResourceList,
    /// What the container may not exceed
    #[serde(default)]
    pub limits: ResourceList,
}

/// Amounts of one container, as Kubernetes quantities (`100m`, `128Mi`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ResourceList {
    /// Processor time
    #[serde(default)]
    #[schemars(extend("x-text" = true, "format" = "quantity"))]
    pub cpu: Option<String>,
    /// Memory
    #[serde(default)]
    #[schemars(extend("x-text" = true, "format" = "quantity"))]
    pub memory: Option<String>,
    /// Disk of the node that logs and temporary files take
    #[serde(default)]
    #[schemars(extend("x-text" = true, "format" = "quantity"))]
    pub ephemeral_storage: Option<String>,
}

/// The probes of one container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Probes {
    /// `/healthz` until it succeeds once; the other probes wait for it. Absent: they do not
    #[serde(default)]
    pub startup: Option<Probe>,
    /// `/healthz`; a failure restarts the container
    pub liveness: Probe,
    /// `/readyz`; a failure takes the pod out of its Services
    pub readiness: Probe,
}

/// Timing of one probe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Probe {
    /// Seconds from the start to the first probe
    #[schemars(range(max = 3600))]
    pub initial_delay_seconds: u32,
    /// Seconds between probes
    #[schemars(range(min = 1, max = 3600))]
    pub period_seconds: u32,
    /// Seconds until a probe counts as failed
    #[schemars(range(min = 1, max = 3600))]
    pub timeout_seconds: u32,
    /// Failures in a row that count
    #[schemars(range(min = 1, max = 100))]
    pub failure_threshold: u32,
}
