//! Reads what one look at the cluster needs, and the log behind a failure.
//! Must not read pods and events while everything is ready.

use std::collections::BTreeSet;

use kube::core::params::ListParams;
use serde_json::Value as Json;
use tokio::task::JoinSet;

use super::failure::Failure;
use super::world::World;
use crate::api::ApiError;
use crate::apply::Live;
use crate::connect::Cluster;
use crate::error::Error;
use crate::mask::Secrets;
use crate::object::ObjectRef;

/// The objects alone: one list a kind and namespace.
pub(crate) async fn look(cluster: &Cluster, wanted: &[ObjectRef]) -> Result<World, Error> {
    let lists: BTreeSet<(String, String, Option<String>)> = wanted
        .iter()
        .map(|it| {
            (
                it.api_version.clone(),
                it.kind.clone(),
                it.namespace.clone(),
            )
        })
        .collect();
    let mut tasks = JoinSet::new();
    for (api_version, kind, namespace) in lists {
        let cluster = cluster.clone();
        let one = match wanted
            .iter()
            .filter(|it| it.kind == kind)
            .collect::<Vec<_>>()
            .as_slice()
        {
            [one] => Some(one.name.clone()),
            _ => None,
        };
        tasks.spawn(async move {
            let mut query = ListParams::default();
            if let Some(name) = one {
                query = query.fields(&format!("metadata.name={name}"));
            }
            cluster
                .list_by(&api_version, &kind, namespace.as_deref(), query)
                .await
        });
    }
    let mut objects = Live::new();
    for outcome in tasks.join_all().await {
        for object in outcome? {
            objects.insert(ObjectRef::of(&object)?, object);
        }
    }
    Ok(World {
        objects,
        ..World::default()
    })
}

/// Everything around the objects: what may not be read is taken for absent, because it only explains.
pub(crate) async fn look_around(
    cluster: &Cluster,
    world: &mut World,
    unready: &[&ObjectRef],
    scalers: bool,
) -> Result<(), Error> {
    let namespaces: BTreeSet<&str> = unready
        .iter()
        .filter_map(|it| it.namespace.as_deref())
        .collect();
    for namespace in namespaces {
        let list = |version: &'static str, kind: &'static str| {
            readable(cluster, version, kind, Some(namespace))
        };
        let (pods, replica_sets, events, claims, autoscalers) = tokio::try_join!(
            list("v1", "Pod"),
            list("apps/v1", "ReplicaSet"),
            list("v1", "Event"),
            list("v1", "PersistentVolumeClaim"),
            list("autoscaling/v2", "HorizontalPodAutoscaler"),
        )?;
        world.pods.extend(pods.unwrap_or_default());
        world.replica_sets.extend(replica_sets.unwrap_or_default());
        world.events.extend(events.unwrap_or_default());
        world.claims.extend(claims.unwrap_or_default());
        world.autoscalers.extend(autoscalers.unwrap_or_default());
    }
    let pending = |it: &Json| crate::object::text(it, "/status/phase") == "Pending";
    if world.claims.iter().any(pending) {
        world.classes = readable(cluster, "storage.k8s.io/v1", "StorageClass", None).await?;
    }
    if scalers {
        let service = ObjectRef::new(
            "apiregistration.k8s.io/v1",
            "APIService",
            None,
            "v1beta1.external.metrics.k8s.io",
        );
        world.external_metrics = match cluster.get(&service).await {
            // Not there at all is as good as not available.
            Ok(found) => Some(found.unwrap_or_default()),
            Err(Error::Api { source, .. }) if source.is_forbidden() => None,
            Err(error) => return Err(error),
        };
    }
    world.deep = true;
    Ok(())
}

async fn readable(
    cluster: &Cluster,
    api_version: &str,
    kind: &str,
    namespace: Option<&str>,
) -> Result<Option<Vec<Json>>, Error> {
    match cluster.list(api_version, kind, namespace, None).await {
        Ok(found) => Ok(Some(found)),
        Err(Error::Api { source, .. }) if ApiError::is_forbidden(&source) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Puts the end of the log beside a failure of a container, without the secrets that are known.
pub(crate) async fn with_log(
    cluster: &Cluster,
    mut failure: Failure,
    secrets: &Secrets,
) -> Failure {
    if let (Some(pod), Some(container), Some(namespace)) =
        (&failure.pod, &failure.container, &failure.object.namespace)
    {
        let mut lines = Vec::new();
        // The instance that ended said more than the one that was just started.
        for previous in [true, false] {
            lines = cluster
                .log_tail(namespace, pod, container, previous, 20)
                .await;
            if !lines.is_empty() {
                break;
            }
        }
        failure.log = lines.iter().map(|it| secrets.scrub(it)).collect();
    }
    failure.detail = secrets.scrub(&failure.detail);
    failure.event = failure.event.map(|it| secrets.scrub(&it));
    failure
}
