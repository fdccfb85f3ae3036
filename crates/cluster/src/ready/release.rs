//! What a Helm release put on a cluster, so that its readiness can be waited for here.
//! Must not ask helm.

use serde_json::Value as Json;

use crate::connect::Cluster;
use crate::error::Error;
use crate::object::{ObjectRef, annotation, label};

const KINDS: [(&str, &str); 5] = [
    ("apps/v1", "Deployment"),
    ("apps/v1", "StatefulSet"),
    ("apps/v1", "DaemonSet"),
    ("apiregistration.k8s.io/v1", "APIService"),
    ("v1", "Service"),
];

/// The objects of a release whose readiness means something: workloads, Services, API services.
pub async fn workloads_of_release(
    cluster: &Cluster,
    namespace: &str,
    release: &str,
) -> Result<Vec<ObjectRef>, Error> {
    let belongs = |it: &Json| {
        annotation(it, "meta.helm.sh/release-name") == Some(release)
            && annotation(it, "meta.helm.sh/release-namespace") == Some(namespace)
    };
    let mut all = Vec::new();
    for (version, kind) in KINDS {
        let within = (kind != "APIService").then_some(namespace);
        let managed = Some("app.kubernetes.io/managed-by=Helm");
        for object in cluster.list(version, kind, within, managed).await? {
            if belongs(&object) {
                all.push(ObjectRef::of(&object)?);
            }
        }
    }
    Ok(all)
}

/// A Helm release that is stored under a name already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRelease {
    /// Its last revision's status: `deployed`, `pending-install`.
    pub status: String,
    /// The stack that its label names; `None` where it was not made by kedactl.
    pub stack: Option<String>,
}

/// Whether a release of that name is stored in the namespace, and whose it is.
pub async fn stored_release(
    cluster: &Cluster,
    namespace: &str,
    release: &str,
) -> Result<Option<StoredRelease>, Error> {
    let selector = format!("owner=helm,name={release}");
    let secrets = cluster
        .list("v1", "Secret", Some(namespace), Some(&selector))
        .await?;
    let revision = |it: &&Json| label(it, "version").and_then(|it| it.parse::<u64>().ok());
    let last = secrets.iter().max_by_key(revision);
    Ok(last.map(|it| StoredRelease {
        status: label(it, "status").unwrap_or_default().to_owned(),
        stack: label(it, crate::names::STACK_LABEL).map(str::to_owned),
    }))
}
