//! `desired.json`: what `up` asked for, in the form that a supervisor needs to obey it alone.
//! Must not change anything: two requests that mean the same have the same hash.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::ConfigMap;
use kedactl_autoscale::api::{ScaledObject, TriggerAuthentication};
use kedactl_config::Config;
use kedactl_render::{Manifests, Object};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::monitoring::Monitoring;
use crate::state::STATE_VERSION;

/// What `up` is asked to do.
#[derive(Debug, Clone)]
pub struct Request {
    /// State directory of the stack: `<state root>/local/<name>/`.
    pub dir: PathBuf,
    /// What should run.
    pub desired: Desired,
    /// How to run this program's hidden helpers: `[kedactl, __local]`; a role and the directory are appended.
    pub helper: Vec<OsString>,
    /// How long everything may take to become ready.
    pub within: Duration,
}

/// How `up` ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpOutcome {
    /// Whether anything was started, stopped or changed.
    pub changed: bool,
    /// The API's address for users: `http://127.0.0.1:8000`.
    pub api_url: String,
    /// The metrics' address.
    pub metrics_url: String,
    /// Prometheus and Alertmanager, where they belong to the stack.
    pub prometheus_url: Option<String>,
    pub alertmanager_url: Option<String>,
}

/// The whole desired state of one stack.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Desired {
    /// [`STATE_VERSION`].
    pub version: u32,
    /// Whether the stack should run; `false` tells a watchdog to leave it alone.
    #[serde(default)]
    pub running: bool,
    /// How to run the hidden helpers, as in [`Request::helper`].
    #[serde(default)]
    pub helper: Vec<OsString>,
    /// The merged configuration.
    pub config: Config,
    /// The Deployments.
    pub deployments: Vec<Deployment>,
    /// Files that they mount.
    #[serde(default)]
    pub config_maps: Vec<ConfigMap>,
    /// The HPAs that are not KEDA's.
    pub autoscalers: Vec<HorizontalPodAutoscaler>,
    /// The `ScaledObjects`.
    pub scaled_objects: Vec<ScaledObject>,
    /// The credentials that their triggers name.
    pub authentications: Vec<TriggerAuthentication>,
    /// What Prometheus and Alertmanager are given, where they belong to the stack.
    #[serde(default)]
    pub monitoring: Option<Monitoring>,
}

impl Desired {
    /// An empty stack of this configuration; add the objects to its fields.
    pub fn new(config: Config) -> Self {
        Self {
            version: STATE_VERSION,
            running: true,
            helper: Vec::new(),
            config,
            deployments: Vec::new(),
            config_maps: Vec::new(),
            autoscalers: Vec::new(),
            scaled_objects: Vec::new(),
            authentications: Vec::new(),
            monitoring: None,
        }
    }

    /// The desired state of rendered manifests. Objects that mean nothing without a cluster (namespaces, accounts, Services,
    /// policies) are left out: the service proxy knows its ports.
    pub fn of(config: Config, manifests: &Manifests) -> Self {
        let mut desired = Self::new(config);
        for rendered in &manifests.objects {
            match &rendered.object {
                Object::Deployment(deployment) => {
                    desired.deployments.push((**deployment).clone());
                }
                Object::ConfigMap(map) => desired.config_maps.push((**map).clone()),
                Object::HorizontalPodAutoscaler(hpa) => desired.autoscalers.push((**hpa).clone()),
                Object::ScaledObject(object) => desired.scaled_objects.push((**object).clone()),
                Object::TriggerAuthentication(object) => {
                    desired.authentications.push((**object).clone());
                }
                _ => {}
            }
        }
        desired
    }

    /// What one pod of a workload requests of a processor, in thousandths of a core.
    pub(crate) fn cpu_request(&self, workload: &str) -> Option<i64> {
        let deployment = self
            .deployments
            .iter()
            .find(|found| found.metadata.name.as_deref() == Some(workload))?;
        let pod = deployment.spec.as_ref()?.template.spec.as_ref()?;
        let requests = pod
            .containers
            .first()?
            .resources
            .as_ref()?
            .requests
            .as_ref()?;
        kedactl_autoscale::quantity::to_milli(requests.get("cpu")?).ok()
    }

    /// Hash of what should run, 16 hex digits; the way in which helpers are started does not count.
    pub fn hash(&self) -> String {
        let mut plain = self.clone();
        plain.helper.clear();
        plain.running = true;
        digest(&plain)
    }
}

/// Hash of anything with a stable JSON form, 16 hex digits.
pub(crate) fn digest<T: Serialize>(value: &T) -> String {
    let bytes = serde_json::to_vec(value).unwrap_or_default();
    hex(&Sha256::digest(bytes)[..8])
}

/// Lower-case hex digits, two a byte.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string does not fail.
        let _written = write!(text, "{byte:02x}");
        text
    })
}
