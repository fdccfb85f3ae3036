//! The parts of a cluster that a stack leans on: storage, and objects that cannot go away.
//! Must not judge, and must not mend.

use serde::Serialize;
use serde_json::Value as Json;

use crate::connect::Cluster;
use crate::error::Error;
use crate::object::{ObjectRef, annotation, condition, items, text};

/// A class of storage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StorageClassView {
    /// Its name.
    pub name: String,
    /// Whether claims that name no class get it.
    pub default: bool,
    /// Who makes its volumes.
    pub provisioner: String,
}

/// The classes of storage, sorted by name.
pub async fn storage_classes(cluster: &Cluster) -> Result<Vec<StorageClassView>, Error> {
    let found = cluster
        .list("storage.k8s.io/v1", "StorageClass", None, None)
        .await?;
    let view = |it: &Json| {
        let default = annotation(it, "storageclass.kubernetes.io/is-default-class");
        StorageClassView {
            name: text(it, "/metadata/name").to_owned(),
            default: default == Some("true"),
            provisioner: text(it, "/provisioner").to_owned(),
        }
    };
    let mut all: Vec<StorageClassView> = found.iter().map(view).collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(all)
}

/// A claim on a volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ClaimView {
    /// Its name.
    pub name: String,
    /// `Bound`, `Pending`, `Lost`.
    pub phase: String,
    /// The class that it names; absent where it takes the default one.
    pub class: Option<String>,
}

/// The claims of a namespace, sorted by name.
pub async fn claims(cluster: &Cluster, namespace: &str) -> Result<Vec<ClaimView>, Error> {
    let found = cluster
        .list("v1", "PersistentVolumeClaim", Some(namespace), None)
        .await?;
    let view = |it: &Json| ClaimView {
        name: text(it, "/metadata/name").to_owned(),
        phase: text(it, "/status/phase").to_owned(),
        class: it
            .pointer("/spec/storageClassName")
            .and_then(Json::as_str)
            .map(str::to_owned),
    };
    let mut all: Vec<ClaimView> = found.iter().map(view).collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(all)
}

/// An object that is being deleted and waits for somebody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LeavingView {
    /// The object.
    pub object: ObjectRef,
    /// Since when, RFC 3339.
    pub since: String,
    /// Who has to agree before it goes.
    pub finalizers: Vec<String>,
}

/// Objects of a kind that are being deleted and are held by finalizers. None where the kind is not served.
pub async fn leaving(
    cluster: &Cluster,
    api_version: &str,
    kind: &str,
    namespace: &str,
) -> Result<Vec<LeavingView>, Error> {
    let found = cluster
        .list(api_version, kind, Some(namespace), None)
        .await?;
    Ok(found.iter().filter_map(held).collect())
}

fn held(it: &Json) -> Option<LeavingView> {
    let since = text(it, "/metadata/deletionTimestamp");
    let finalizers = items(it, "/metadata/finalizers").iter();
    let finalizers: Vec<String> = finalizers
        .filter_map(Json::as_str)
        .map(str::to_owned)
        .collect();
    if since.is_empty() || finalizers.is_empty() {
        return None;
    }
    Some(LeavingView {
        object: ObjectRef::of(it).ok()?,
        since: since.to_owned(),
        finalizers,
    })
}

/// An API that another program serves behind the API server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ApiServiceView {
    /// Whether requests reach it.
    pub available: SaysView,
    /// `namespace/name` of the Service that serves it; empty where the API server does.
    pub service: String,
}

/// An `APIService` by its name (`v1beta1.external.metrics.k8s.io`); `None` where nobody registered it.
pub async fn api_service(cluster: &Cluster, name: &str) -> Result<Option<ApiServiceView>, Error> {
    let object = ObjectRef::new("apiregistration.k8s.io/v1", "APIService", None, name);
    let found = cluster.get(&object).await?;
    Ok(found.map(|it| {
        let part = |field: &str| text(&it, &format!("/spec/service/{field}")).to_owned();
        let service = match part("namespace") {
            namespace if namespace.is_empty() => String::new(),
            namespace => format!("{namespace}/{}", part("name")),
        };
        ApiServiceView {
            available: told(&it, "Available"),
            service,
        }
    }))
}

/// What one object says of itself: whether a condition holds, in its words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SaysView {
    /// Whether it holds.
    pub holds: bool,
    /// Reason and message.
    pub words: String,
}

/// A condition of one object; `None` where the object is not there or its kind is not served.
pub async fn says(
    cluster: &Cluster,
    object: &ObjectRef,
    kind: &str,
) -> Result<Option<SaysView>, Error> {
    let found = match cluster.get(object).await {
        Err(Error::KindMissing { .. }) => None,
        found => found?,
    };
    Ok(found.map(|it| told(&it, kind)))
}

fn told(it: &Json, kind: &str) -> SaysView {
    let Some(it) = condition(it, kind) else {
        return SaysView {
            holds: false,
            words: format!("condition {kind} is not there yet"),
        };
    };
    let words = [text(it, "/reason"), text(it, "/message")];
    let words: Vec<&str> = words.into_iter().filter(|it| !it.is_empty()).collect();
    SaysView {
        holds: text(it, "/status") == "True",
        words: words.join(": "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_what_is_deleted_and_held_is_leaving() {
        let object = |meta: Json| json!({"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": meta});
        let it = held(&object(
            json!({"name": "w", "namespace": "n", "deletionTimestamp": "2026-01-01T00:00:00Z",
            "finalizers": ["finalizer.keda.sh"]}),
        ))
        .unwrap();
        assert_eq!(it.object.to_string(), "ScaledObject n/w");
        assert_eq!(
            held(&object(json!({"name": "w", "finalizers": ["x"]}))),
            None
        );
        assert_eq!(
            held(&object(
                json!({"name": "w", "deletionTimestamp": "2026-01-01T00:00:00Z"})
            )),
            None
        );
    }

    #[test]
    fn a_condition_is_told_with_reason_and_message() {
        let it = json!({"status": {"conditions": [{"type": "Available", "status": "False", "reason": "MissingEndpoints", "message": "no pod"}]}});
        let words = |kind| told(&it, kind);
        assert_eq!(words("Available").words, "MissingEndpoints: no pod");
        assert!(!words("Available").holds);
        assert_eq!(words("Ready").words, "condition Ready is not there yet");
    }
}
