//! A cluster that was just made: what it lacks before pods can be scheduled, and waiting for that.
//! Must not ask who made it.

use std::time::Duration;

use kedactl_cluster::{Cluster, ObjectRef, ReadyOptions, Target, ready};
use kedactl_plan::Step;
use kedactl_tools::CancellationToken;
use serde_json::Value as Json;
use tokio::time::{Instant, sleep};

use crate::StackError;
use crate::job::until_stopped;

/// How long a cluster that was just made may take to come to life.
const ALIVE_WITHIN: Duration = Duration::from_mins(5);

/// Waits until a cluster that was just made can run pods: kind's own waiting ends well when its time is up.
pub(super) async fn alive(
    target: &Target,
    name: &str,
    step: &Step<'_>,
    stop: &CancellationToken,
) -> Result<Cluster, StackError> {
    let start = Instant::now();
    let mut said = String::new();
    loop {
        let missing = match Cluster::connect(target).await {
            Ok(cluster) => match missing(&cluster).await {
                Ok(None) => {
                    let dns =
                        ObjectRef::new("apps/v1", "Deployment", Some("kube-system"), "coredns");
                    let rest = ALIVE_WITHIN.saturating_sub(start.elapsed());
                    let options = ReadyOptions::within(rest);
                    let dns = [dns];
                    let answered = ready(&cluster, &dns, &options, step);
                    until_stopped(stop, async { Ok(Box::pin(answered).await?) }).await?;
                    return Ok(cluster);
                }
                Ok(Some(missing)) => missing,
                Err(error) => error.to_string(),
            },
            Err(error) => error.to_string(),
        };
        if start.elapsed() > ALIVE_WITHIN {
            return Err(StackError::ClusterNotReady {
                name: name.to_owned(),
                missing,
                waited_s: start.elapsed().as_secs(),
            });
        }
        if missing != said {
            step.waiting(missing.clone());
            said = missing;
        }
        tokio::select! {
            () = stop.cancelled() => return Err(StackError::Stopped),
            () = sleep(Duration::from_millis(500)) => {}
        }
    }
}

/// What a young cluster lacks before pods can be scheduled, in words.
async fn missing(cluster: &Cluster) -> Result<Option<String>, StackError> {
    let account = ObjectRef::new("v1", "ServiceAccount", Some("default"), "default");
    let (nodes, account, classes) = tokio::try_join!(
        cluster.list("v1", "Node", None, None),
        cluster.get(&account),
        cluster.list("storage.k8s.io/v1", "StorageClass", None, None),
    )?;
    let ready = |node: &&Json| {
        let conditions = node["status"]["conditions"].as_array();
        conditions
            .into_iter()
            .flatten()
            .any(|it| it["type"] == "Ready" && it["status"] == "True")
    };
    let unready = nodes.iter().find(|node| !ready(node));
    Ok(if nodes.is_empty() {
        Some("a node".to_owned())
    } else if let Some(node) = unready {
        let name = node["metadata"]["name"].as_str().unwrap_or_default();
        Some(format!("node {name} to be ready"))
    } else if account.is_none() {
        Some("the service account default".to_owned())
    } else if classes.is_empty() {
        Some("a StorageClass".to_owned())
    } else {
        None
    })
}
