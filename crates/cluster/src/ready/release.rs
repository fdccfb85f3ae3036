//! What Helm releases put on a cluster, so that readiness can be waited for and leftovers can be found here.
//! Must not ask helm, and must not read what a release's record holds: values and Secrets.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use crate::connect::Cluster;
use crate::error::Error;
use crate::names::{STACK_LABEL, Stack};
use crate::object::{ObjectRef, annotation, label, text};

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

/// A Helm release that is stored on the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRelease {
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Its last revision.
    pub revision: u64,
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
    Ok(last_revisions(&secrets).pop())
}

/// Every release that carries the stack's label, in every namespace.
pub async fn stored_releases(
    cluster: &Cluster,
    stack: &Stack,
) -> Result<Vec<StoredRelease>, Error> {
    let selector = format!("owner=helm,{}", stack.selector());
    let secrets = cluster
        .list("v1", "Secret", None, Some(&selector))
        .await?;
    Ok(last_revisions(&secrets))
}

/// The last revision of each release among the Secrets that helm keeps, in the order of namespaces and names.
fn last_revisions(secrets: &[Json]) -> Vec<StoredRelease> {
    let mut last: BTreeMap<(String, String), StoredRelease> = BTreeMap::new();
    for secret in secrets {
        let release = StoredRelease {
            name: label(secret, "name").unwrap_or_default().to_owned(),
            namespace: text(secret, "/metadata/namespace").to_owned(),
            revision: label(secret, "version")
                .and_then(|it| it.parse().ok())
                .unwrap_or_default(),
            status: label(secret, "status").unwrap_or_default().to_owned(),
            stack: label(secret, STACK_LABEL).map(str::to_owned),
        };
        let key = (release.namespace.clone(), release.name.clone());
        let newer = last.get(&key).is_none_or(|known| known.revision < release.revision);
        if newer {
            last.insert(key, release);
        }
    }
    last.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn secret(namespace: &str, name: &str, version: &str, status: &str) -> Json {
        json!({"metadata": {"namespace": namespace,
            "labels": {"name": name, "version": version, "status": status, STACK_LABEL: "demo"}}})
    }

    #[test]
    fn the_last_revision_of_each_release_counts() {
        let found = last_revisions(&[
            secret("keda", "redis", "9", "superseded"),
            secret("keda", "redis", "10", "pending-upgrade"),
            secret("keda-system", "keda", "1", "deployed"),
        ]);
        let seen: Vec<_> = found
            .iter()
            .map(|it| (it.name.as_str(), it.revision, it.status.as_str()))
            .collect();
        assert_eq!(
            seen,
            [("redis", 10, "pending-upgrade"), ("keda", 1, "deployed")]
        );
        assert_eq!(found[0].stack.as_deref(), Some("demo"));
    }
}
