//! What a stack on a cluster needs of this machine: images, the cluster's and the releases' programs, the tunnel.
//! None of it shows in a manifest, but for the names of images.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Config, QueueKind, Text};

/// Images made from programs of this machine, and their way to the nodes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Images {
    /// What is made; tagged by content, it takes the place of api.image, worker.image, webhook.image, redis.image and
    /// monitoring.images. A later layer that names an image takes it off this list
    pub build: Vec<BuiltImage>,
    /// Registry to push to, `HOST[:PORT]/PATH`
    #[serde(default)]
    #[schemars(extend("format" = "registry"))]
    pub registry: Option<String>,
    /// kind cluster whose nodes get the images; the provider `kind` uses its own
    #[serde(default)]
    #[schemars(extend("format" = "dns-label"))]
    pub kind_cluster: Option<String>,
    /// Program and arguments that get an OCI archive on standard input, once for each image
    #[serde(default)]
    pub load_command: Vec<String>,
    /// Where `bundle create` asks another registry (and folder) in place of one: `docker.io: mirror.example.com/hub`
    #[serde(default)]
    pub mirrors: BTreeMap<String, String>,
    /// The container engine's client
    #[schemars(length(min = 1))]
    pub engine: String,
    /// What images are made from; absent: found beside `kedactl` or on the search path
    #[serde(default)]
    pub programs: ImagePrograms,
    /// Images that are made from something else
    #[serde(default)]
    pub recipes: Recipes,
}

/// What images are made from, in place of kedactl's own programs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Recipes {
    /// The worker's image, for tasks of another framework
    #[serde(default)]
    pub worker: Option<Recipe>,
}

/// What one image consists of: programs with their libraries, an interpreter with its packages, files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Recipe {
    /// Programs of this machine, by name or path; they lie in /usr/bin with all libraries that they need
    #[serde(default)]
    pub programs: Vec<String>,
    /// A Python interpreter of this machine, its standard library, and packages
    #[serde(default)]
    pub python: Option<PythonRecipe>,
    /// Files and folders by their place in the image; a path that is not absolute begins at the project's folder
    #[serde(default)]
    pub files: BTreeMap<String, String>,
    /// Environment of the image; never for secrets
    #[serde(default)]
    #[schemars(extend("x-keys" = "env-name"))]
    pub env: BTreeMap<String, Text>,
    /// Folder in the image that the command starts in; absent: `/`
    #[serde(default)]
    pub working_dir: Option<String>,
    /// Entry point, where worker.command does not replace it; absent: the first program, or the interpreter
    #[serde(default)]
    pub command: Vec<Text>,
    /// Signal that stops the image (`SIGINT`); absent: SIGTERM
    #[serde(default)]
    pub stop_signal: Option<String>,
}

/// Python in an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PythonRecipe {
    /// The interpreter, by name or path
    #[serde(default = "python3")]
    #[schemars(length(min = 1))]
    pub program: String,
    /// File of packages, each pinned with `--hash`; a path that is not absolute begins at the project's folder
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub requirements: Option<String>,
}

fn python3() -> String {
    "python3".to_owned()
}

impl Recipe {
    /// Lets relative paths begin at a folder.
    pub fn rooted(&mut self, folder: &Path) {
        let root = |path: &mut String| {
            let rooted = folder.join(&*path);
            *path = rooted.to_string_lossy().into_owned();
        };
        self.files.values_mut().for_each(root);
        let requirements = self.python.as_mut().and_then(|it| it.requirements.as_mut());
        requirements.into_iter().for_each(root);
    }
}

/// Paths of programs that go into images.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ImagePrograms {
    /// The API
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub api: Option<String>,
    /// The worker
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub worker: Option<String>,
    /// The webhook
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub webhook: Option<String>,
    /// Prometheus
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub prometheus: Option<String>,
    /// Alertmanager
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub alertmanager: Option<String>,
}

/// An image that is made.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum BuiltImage {
    /// From `kedactl-api`.
    Api,
    /// From `kedactl-worker`.
    Worker,
    /// From `kedactl-webhook`.
    Webhook,
    /// From this machine's redis-server, for clusters that can pull nothing.
    Redis,
    /// From this machine's prometheus, likewise.
    Prometheus,
    /// From this machine's prometheus-alertmanager, likewise.
    Alertmanager,
}

impl BuiltImage {
    /// Every one.
    pub const ALL: [Self; 6] = [
        Self::Api,
        Self::Worker,
        Self::Webhook,
        Self::Redis,
        Self::Prometheus,
        Self::Alertmanager,
    ];

    /// Its name in `images.build`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Worker => "worker",
            Self::Webhook => "webhook",
            Self::Redis => "redis",
            Self::Prometheus => "prometheus",
            Self::Alertmanager => "alertmanager",
        }
    }

    /// The key of the configuration that it takes the place of.
    pub fn key(self) -> &'static [&'static str] {
        match self {
            Self::Api => &["api", "image"],
            Self::Worker => &["worker", "image"],
            Self::Webhook => &["webhook", "image"],
            Self::Redis => &["redis", "image"],
            Self::Prometheus => &["monitoring", "images", "prometheus"],
            Self::Alertmanager => &["monitoring", "images", "alertmanager"],
        }
    }

    /// Puts the name of an image into the configuration, where pods are told of it.
    pub fn put(self, config: &mut Config, image: String) {
        match self {
            Self::Api => config.api.image = image,
            Self::Worker => config.worker.image = image,
            Self::Webhook => config.webhook.image = image,
            Self::Redis => config.redis.image = Some(image),
            Self::Prometheus => config.monitoring.images.prometheus = Some(image),
            Self::Alertmanager => config.monitoring.images.alertmanager = Some(image),
        }
    }
}

/// How images reach the nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// Into the nodes of the stack's own cluster, whichever provider made it.
    Own,
    /// Into the nodes of a kind cluster that is somebody else's.
    Nodes {
        /// Name of the cluster.
        kind_cluster: String,
    },
    /// By a registry, `HOST[:PORT]/PATH`.
    Registry(String),
    /// By a program with its arguments, which gets an OCI archive on standard input, once for each image.
    Command(Vec<String>),
    /// There is nothing to deliver.
    None,
}

/// The cluster of the provider `kind`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Kind {
    /// The program; absent: `kind`, beside `kedactl` or on the search path
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub program: Option<String>,
    /// Name of the cluster; absent: the stack's
    #[serde(default)]
    #[schemars(extend("format" = "dns-label"))]
    pub cluster: Option<String>,
    /// Image of the nodes; absent: the program's own
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub image: Option<String>,
    /// kind's own configuration file (`kind: Cluster`), for a cluster that is made
    #[serde(default)]
    pub config: Map<String, Value>,
}

/// The cluster of the provider `minikube`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Minikube {
    /// The program; absent: `minikube`, beside `kedactl` or on the search path
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub program: Option<String>,
    /// Name of the profile, which is the cluster's; absent: the stack's
    #[serde(default)]
    #[schemars(extend("format" = "dns-label"))]
    pub profile: Option<String>,
    /// Where the nodes run, as minikube's `--driver` has it; absent: `docker` for a profile that is made, any for one that is there
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub driver: Option<String>,
    /// What runs containers; absent: `containerd` for a profile that is made, any for one that is there
    #[serde(default)]
    pub container_runtime: Option<ContainerRuntime>,
    /// Version of Kubernetes, `v1.34.0`; absent: the program's own
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub kubernetes_version: Option<String>,
    /// Number of nodes; absent: one
    #[serde(default)]
    #[schemars(range(min = 1, max = 20))]
    pub nodes: Option<u32>,
    /// CPUs of each node; absent: as minikube finds fit
    #[serde(default)]
    #[schemars(range(min = 1, max = 1024))]
    pub cpus: Option<u32>,
    /// Memory of each node in MiB; absent: as minikube finds fit
    #[serde(default)]
    #[schemars(range(min = 1024, max = 4_194_304))]
    pub memory_mib: Option<u32>,
    /// Seconds for the components of Kubernetes to be there
    #[schemars(range(min = 30, max = 7200))]
    pub wait_timeout_seconds: u32,
    /// More arguments of `minikube start`
    pub start_args: Vec<String>,
}

/// What runs containers on a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ContainerRuntime {
    /// containerd.
    Containerd,
    /// The Docker engine.
    Docker,
    /// CRI-O.
    CriO,
}

impl ContainerRuntime {
    /// As minikube spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Containerd => "containerd",
            Self::Docker => "docker",
            Self::CriO => "cri-o",
        }
    }
}

/// The tunnel from this machine to the Services of type `LoadBalancer`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TunnelSettings {
    /// Whether `up` starts one
    pub enabled: bool,
    /// The way that connections take
    pub mode: TunnelMode,
    /// Port of this machine that leads to the API; absent: `api.port`
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub port: Option<u16>,
}

/// The way from this machine to a Service's pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TunnelMode {
    /// The node port while a node answers on it, else through the API server.
    Auto,
    /// The node port alone.
    NodePort,
    /// Through the API server alone.
    PortForward,
    /// A port mapping of the node, which kind makes with the cluster: no process is needed.
    PortMapping,
    /// `minikube tunnel`, which adds a route and needs root; for the provider `minikube` alone.
    Minikube,
}

/// The program that installs releases.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Helm {
    /// The program; absent: `helm`, beside `kedactl` or on the search path
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub program: Option<String>,
    /// Folder that `kedactl charts pull --to` wrote; a chart that is in it is not fetched
    #[serde(default)]
    pub vendored: Option<PathBuf>,
}

impl Config {
    /// kind's configuration for a cluster that is made, with the port that leads to the API where that was asked for.
    pub fn kind_config(&self) -> Map<String, Value> {
        let mut config = self.kind.config.clone();
        let (TunnelMode::PortMapping, Some(node)) = (self.tunnel.mode, self.api.node_port) else {
            return config;
        };
        let mapping = serde_json::json!({
            "hostPort": self.api_port_here(), "containerPort": node, "listenAddress": "127.0.0.1", "protocol": "TCP",
        });
        let nodes = config
            .entry("nodes")
            .or_insert_with(|| serde_json::json!([{"role": "control-plane"}]));
        let first = nodes.as_array_mut().and_then(|nodes| nodes.first_mut());
        if let Some(first) = first.and_then(Value::as_object_mut) {
            let mappings = first
                .entry("extraPortMappings")
                .or_insert_with(|| Value::Array(Vec::new()));
            if let Some(mappings) = mappings.as_array_mut() {
                mappings.push(mapping);
            }
        }
        config
    }

    /// Port of this machine that leads to the API of a cluster.
    pub fn api_port_here(&self) -> u16 {
        self.tunnel.port.unwrap_or(self.api.port)
    }

    /// How the images that are made reach the nodes. Asked for by what puts a stack on a cluster: rendering does without.
    ///
    /// # Errors
    /// Where no way is given, with what to set.
    pub fn delivery(&self) -> Result<Delivery, String> {
        if self.images.build.is_empty() || !self.provider.is_cluster() {
            return Ok(Delivery::None);
        }
        let images = &self.images;
        let own = images.build.contains(&BuiltImage::Worker) && images.recipes.worker.is_none();
        if self.queue.kind == QueueKind::List && own {
            return Err("images.build makes kedactl's own worker, and with `queue.kind: list` the worker is an image \
                 of yours: name it with worker.image, or say in images.recipes.worker what it is made from"
                .into());
        }
        self.way_for_images()
    }

    /// How images that are at hand reach the nodes, whoever made them.
    ///
    /// # Errors
    /// Where no way is given, with what to set.
    pub fn way_for_images(&self) -> Result<Delivery, String> {
        let images = &self.images;
        if let Some(registry) = &images.registry {
            return Ok(Delivery::Registry(registry.clone()));
        }
        if !images.load_command.is_empty() {
            return Ok(Delivery::Command(images.load_command.clone()));
        }
        if self.provider.makes_a_cluster() {
            return Ok(Delivery::Own);
        }
        match images.kind_cluster.clone() {
            Some(kind_cluster) => Ok(Delivery::Nodes { kind_cluster }),
            None => Err(format!(
                "nothing says how the images that images.build makes reach the nodes of the provider `{}`: set \
                 images.registry (pushed there), images.kindCluster (into its nodes) or images.loadCommand (a program \
                 that gets an OCI archive on standard input), or name images of your own and set `images.build: []`",
                self.provider.environment()
            )),
        }
    }
}
