//! Reads what is there, in few requests: one list a kind and namespace, side by side, then what no list had.
//! Must not read one object after the other.

use std::collections::{BTreeSet, HashMap};

use serde_json::Value as Json;
use tokio::task::JoinSet;

use crate::connect::Cluster;
use crate::error::Error;
use crate::names::Stack;
use crate::object::ObjectRef;

/// Objects by reference.
pub(crate) type Live = HashMap<ObjectRef, Json>;

/// Everything of the given references that exists, whoever it belongs to.
pub(crate) async fn read_live(
    cluster: &Cluster,
    stack: &Stack,
    wanted: &[ObjectRef],
) -> Result<Live, Error> {
    let mut live = listed(cluster, stack, wanted).await?;
    let missing: Vec<ObjectRef> = wanted
        .iter()
        .filter(|it| !live.contains_key(it))
        .cloned()
        .collect();
    live.extend(fetched(cluster, missing).await?);
    Ok(live)
}

/// What carries the stack's label.
async fn listed(cluster: &Cluster, stack: &Stack, wanted: &[ObjectRef]) -> Result<Live, Error> {
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
        let (cluster, selector) = (cluster.clone(), stack.selector());
        tasks.spawn(async move {
            let namespace = namespace.as_deref();
            cluster
                .list(&api_version, &kind, namespace, Some(&selector))
                .await
        });
    }
    let mut live = Live::new();
    for outcome in tasks.join_all().await {
        for object in outcome? {
            live.insert(ObjectRef::of(&object)?, object);
        }
    }
    Ok(live)
}

/// What no list had: absent, or somebody else's.
pub(crate) async fn fetched(cluster: &Cluster, wanted: Vec<ObjectRef>) -> Result<Live, Error> {
    let mut tasks = JoinSet::new();
    for reference in wanted {
        let cluster = cluster.clone();
        tasks.spawn(async move {
            match cluster.get(&reference).await {
                Ok(found) => Ok((reference, found)),
                // Its definition comes with this very run, or later.
                Err(Error::KindMissing { .. }) => Ok((reference, None)),
                Err(error) => Err(error),
            }
        });
    }
    let mut live = Live::new();
    for outcome in tasks.join_all().await {
        if let (reference, Some(object)) = outcome? {
            live.insert(reference, object);
        }
    }
    Ok(live)
}
