//! What the rules are given: releases as they would be installed, and what is known of the cluster.
//! Must not be filled by guessing: what nobody knows is `None`.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// A release.
#[derive(Debug, Clone, PartialEq)]
pub struct Release {
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Name of its chart, as the chart itself says.
    pub chart: String,
    /// Version of the chart.
    pub version: String,
    /// Versions of the charts inside of it, by name.
    pub parts: BTreeMap<String, String>,
    /// What its chart is told; everything else is the chart's own.
    pub given: Map<String, Value>,
    /// What helm makes of it.
    pub outcome: Outcome,
}

/// What helm makes of a release.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// Its objects.
    Objects(Vec<Value>),
    /// Nothing; its words.
    Refused(String),
}

/// What is known of the place where the releases go.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Around {
    /// Major and minor number of the API server.
    pub kube_version: Option<(u32, u32)>,
    /// Kubelets have certificates of their own making, as on kind and minikube.
    pub own_certificates: bool,
    /// Made by kubeadm as it is, which lets components of the control plane listen on the loopback alone.
    pub kubeadm: bool,
    /// Images are brought to the nodes, and no registry is asked.
    pub loaded_images: bool,
    /// Number of nodes on which pods may run.
    pub nodes: Option<usize>,
    /// Bytes of memory that the largest node has for pods.
    pub memory: Option<u64>,
    /// Who serves APIs of the cluster already.
    pub owners: Vec<Owner>,
    /// The Secret with Redis' passwords, and the key of the servers'.
    pub redis_secret: Option<(String, String)>,
}

/// An `APIService` of the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// `v1beta1.metrics.k8s.io`.
    pub api: String,
    /// The release that made it, `namespace/name`; `None`: no release did.
    pub release: Option<String>,
}

impl Release {
    /// The objects; none where helm refused.
    pub(crate) fn objects(&self) -> &[Value] {
        match &self.outcome {
            Outcome::Objects(objects) => objects,
            Outcome::Refused(_) => &[],
        }
    }

    /// A value that it is given.
    pub(crate) fn given(&self, path: &[&str]) -> Option<&Value> {
        let (first, rest) = path.split_first()?;
        let mut value = self.given.get(*first)?;
        for key in rest {
            value = value.get(key)?;
        }
        Some(value)
    }

    /// Whether a value is given, and is neither empty nor `false`.
    pub(crate) fn has(&self, path: &[&str]) -> bool {
        match self.given(path) {
            None | Some(Value::Null | Value::Bool(false)) => false,
            Some(Value::String(text)) => !text.is_empty(),
            Some(Value::Object(map)) => !map.is_empty(),
            Some(_) => true,
        }
    }

    /// Version of a chart: its own, or that of one inside of it.
    pub(crate) fn version_of(&self, chart: &str) -> Option<&str> {
        if self.chart == chart {
            return Some(&self.version);
        }
        self.parts.get(chart).map(String::as_str)
    }

    /// Where values of a chart stand: at the top, or below its name where it is inside of another.
    pub(crate) fn below<'a>(&self, chart: &'a str) -> Vec<&'a str> {
        if self.chart == chart {
            Vec::new()
        } else {
            vec![chart]
        }
    }
}
