//! What only a cluster has: ways in and out, neighbours in other namespaces, how strictly pods are spread.
//! Says what may be set, never how it is rendered.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{AlertRules, Alerts, Text};

/// The `Ingress` `api`. Always with TLS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Ingress {
    /// Host name under which the API is reached
    #[schemars(extend("format" = "dns-name"))]
    pub host: String,
    /// Secret of type `kubernetes.io/tls` with the certificate of the host
    #[schemars(extend("format" = "dns-name"))]
    pub tls_secret: String,
    /// Name of the `IngressClass`; absent: the cluster's default class
    #[serde(default)]
    #[schemars(extend("format" = "dns-name"))]
    pub class_name: Option<String>,
    /// Annotations of the Ingress, such as a certificate issuer's
    #[serde(default)]
    #[schemars(extend("x-keys" = "label-key"))]
    pub annotations: BTreeMap<String, Text>,
}

/// The network around the stack's pods, which may talk to nobody else by default.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Network {
    /// DNS servers besides the pods `kube-dns` of `kube-system`, as CIDRs (`169.254.20.10/32` for a cache on the node)
    #[serde(default)]
    #[schemars(extend("x-items" = "cidr"))]
    pub dns_addresses: Vec<String>,
}

/// A destination that pods may reach.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Egress {
    /// Addresses, such as `0.0.0.0/0` or `10.1.0.0/16`
    #[schemars(extend("format" = "cidr"))]
    pub cidr: String,
    /// Parts of `cidr` that stay closed
    #[serde(default)]
    #[schemars(extend("x-items" = "cidr"))]
    pub except: Vec<String>,
    /// TCP ports; empty: every port
    #[serde(default)]
    pub ports: Vec<u16>,
}

/// KEDA, which serves the whole cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Keda {
    /// Namespace of KEDA's operator; its pods may read the queue's length from Redis
    #[schemars(extend("format" = "dns-label"))]
    pub namespace: String,
}

/// Prometheus and what belongs to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Monitoring {
    /// What is installed: `none`, `minimal` (our own chart), `classic` (loki-stack), `modern` (kube-prometheus-stack, Loki,
    /// Alloy), or a file of the project's, `values/releases/monitoring/<profile>.yaml`
    #[schemars(extend("format" = "dns-label"))]
    pub profile: String,
    /// Pod Security Standard of its namespace
    pub pod_security: PodSecurity,
    /// Namespace of the monitoring, whose pods alone may reach the metrics ports; absent: `<namespace>-monitoring`
    #[schemars(extend("format" = "dns-label"))]
    pub namespace: String,
    /// Version of the Alertmanager that the profile brings: younger fields are left out of its configuration; absent: 0.25
    #[serde(default)]
    #[schemars(extend("x-text" = true, "format" = "version"))]
    pub alertmanager_version: Option<String>,
    /// Images of the profile `minimal` in the place of its own
    #[serde(default)]
    pub images: MonitoringImages,
    /// Thresholds of the alert rules
    pub rules: AlertRules,
    /// How Alertmanager groups, repeats and routes what fires
    pub alerts: Alerts,
}

/// Images that a later layer, or what is made from this machine's programs, puts in the place of the chart's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MonitoringImages {
    /// Prometheus
    #[serde(default)]
    #[schemars(extend("format" = "image"))]
    pub prometheus: Option<String>,
    /// Alertmanager
    #[serde(default)]
    #[schemars(extend("format" = "image"))]
    pub alertmanager: Option<String>,
}

/// The Pod Security Standard that a namespace enforces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PodSecurity {
    /// Everything is allowed: what agents need that read the node's files.
    Privileged,
    /// Known ways to more rights are closed.
    Baseline,
    /// Whatever is not needed is closed.
    Restricted,
}

impl PodSecurity {
    /// Its name on a namespace's label.
    pub fn name(self) -> &'static str {
        match self {
            Self::Privileged => "privileged",
            Self::Baseline => "baseline",
            Self::Restricted => "restricted",
        }
    }
}

/// What happens to a pod for which no node fits a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Strictness {
    /// It runs all the same; what a cluster of one node needs.
    Soft,
    /// It waits.
    Hard,
}
