//! Deployments, `StatefulSets` and the Helm releases behind them, with the fields that a status screen shows.
//! Must not judge, and must not read what a release was made from: that can hold secrets.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value as Json;

use crate::connect::Cluster;
use crate::error::Error;
use crate::names::STACK_LABEL;
use crate::object::{annotation, items, label, number, text};

/// Something that keeps a number of pods.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct WorkloadView {
    /// Its namespace.
    pub namespace: String,
    /// `Deployment` or `StatefulSet`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Pods that there should be.
    pub desired: u32,
    /// Pods that take traffic.
    pub ready: u32,
    /// Images of its containers.
    pub images: Vec<String>,
    /// The Helm release that it came with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub release: Option<String>,
    /// Chart and version that it was made from (`keda-2.20.2`), where its label says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chart: Option<String>,
}

/// The Deployments and `StatefulSets` of a namespace, sorted by name.
pub async fn workloads(cluster: &Cluster, namespace: &str) -> Result<Vec<WorkloadView>, Error> {
    let list = |kind| cluster.list("apps/v1", kind, Some(namespace), None);
    let (deployments, sets) = tokio::try_join!(list("Deployment"), list("StatefulSet"))?;
    let mut all: Vec<WorkloadView> = deployments.iter().chain(&sets).map(workload).collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(all)
}

fn workload(it: &Json) -> WorkloadView {
    let containers = items(it, "/spec/template/spec/containers").iter();
    WorkloadView {
        namespace: text(it, "/metadata/namespace").to_owned(),
        kind: text(it, "/kind").to_owned(),
        name: text(it, "/metadata/name").to_owned(),
        desired: number(it, "/spec/replicas").unwrap_or(1) as u32,
        ready: number(it, "/status/readyReplicas").unwrap_or(0) as u32,
        images: containers.map(|it| text(it, "/image").to_owned()).collect(),
        release: annotation(it, "meta.helm.sh/release-name").map(str::to_owned),
        chart: label(it, "helm.sh/chart").map(str::to_owned),
    }
}

/// The last revision of one Helm release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReleaseView {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Counts its installs, upgrades and rollbacks.
    pub revision: u64,
    /// `deployed`, `failed`, `pending-upgrade`.
    pub status: String,
    /// When that status was written, seconds since the Unix epoch; absent where the record does not say.
    pub updated: Option<u64>,
    /// The stack that made it; absent where that was not kedactl.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stack: Option<String>,
}

impl ReleaseView {
    /// Whether an operation holds it, or did when it was killed.
    pub fn is_locked(&self) -> bool {
        self.status.starts_with("pending-") || self.status == "uninstalling"
    }
}

/// The Helm releases of a namespace, sorted by name: labels of their records alone.
pub async fn releases(cluster: &Cluster, namespace: &str) -> Result<Vec<ReleaseView>, Error> {
    let records = cluster
        .list_names("v1", "Secret", namespace, "owner=helm")
        .await?;
    let mut last: BTreeMap<String, ReleaseView> = BTreeMap::new();
    for it in records.iter().filter_map(release) {
        let known = last.get(&it.name).map_or(0, |it| it.revision);
        if it.revision > known {
            last.insert(it.name.clone(), it);
        }
    }
    Ok(last.into_values().collect())
}

fn release(record: &Json) -> Option<ReleaseView> {
    let of = |name: &str| label(record, name).map(str::to_owned);
    let time = |name: &str| label(record, name).and_then(|it| it.parse().ok());
    Some(ReleaseView {
        namespace: text(record, "/metadata/namespace").to_owned(),
        name: of("name")?,
        revision: label(record, "version")?.parse().ok()?,
        status: of("status")?,
        updated: time("modifiedAt").or_else(|| time("createdAt")),
        stack: of(STACK_LABEL),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_record_of_a_release_is_read_by_its_labels() {
        let record = json!({"metadata": {"namespace": "keda", "labels": {"name": "redis", "owner": "helm", "version": "12",
            "status": "pending-upgrade", "createdAt": "100", "modifiedAt": "160", STACK_LABEL: "demo"}}});
        let it = release(&record).unwrap();
        assert_eq!(
            (it.name.as_str(), it.revision, it.updated),
            ("redis", 12, Some(160))
        );
        assert!(it.is_locked() && it.stack.as_deref() == Some("demo"));
        assert_eq!(
            release(&json!({"metadata": {"labels": {"name": "x"}}})),
            None
        );
    }

    #[test]
    fn a_workload_names_the_release_and_the_chart_that_it_came_from() {
        let it = workload(
            &json!({"kind": "StatefulSet", "metadata": {"name": "redis-node",
                "labels": {"helm.sh/chart": "redis-sentinel-1.0.0"}, "annotations": {"meta.helm.sh/release-name": "redis"}},
            "spec": {"replicas": 3, "template": {"spec": {"containers": [{"image": "redis:8"}]}}}, "status": {"readyReplicas": 2}}),
        );
        assert_eq!((it.desired, it.ready), (3, 2));
        assert_eq!(it.chart.as_deref(), Some("redis-sentinel-1.0.0"));
        assert_eq!(it.images, ["redis:8"]);
    }
}
