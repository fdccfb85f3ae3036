//! A cluster that was just made: what it lacks before pods can be scheduled, and waiting for that.
//! Must not wait otherwise for what another program made: that one is named in the error alone.

use std::time::Duration;

use kedactl_cluster::{Cluster, ObjectRef, ReadyOptions, Target, ready};
use kedactl_config::Config;
use kedactl_plan::Step;
use kedactl_tools::CancellationToken;
use serde_json::Value as Json;
use tokio::time::{Instant, sleep};

use super::Own;
use crate::StackError;
use crate::job::until_stopped;

/// How long a cluster that was just made may take to come to life.
const ALIVE_WITHIN: Duration = Duration::from_mins(5);

/// Waits until a cluster that was just made can run pods: kind's own waiting ends well when its time is up.
pub(super) async fn alive(
    target: &Target,
    own: &Own,
    config: &Config,
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
                name: own.name().to_owned(),
                missing,
                waited_s: start.elapsed().as_secs(),
                look: own.look(config),
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Nothing answers there: the error names the cluster and looks with the words of who made it.
    #[tokio::test(start_paused = true)]
    async fn a_cluster_that_does_not_come_to_life_is_looked_at_with_its_makers_words() {
        let nothing = |_: &std::path::Path, _: u64| Err(std::io::ErrorKind::NotFound.into());
        let config = kedactl_config::load(&kedactl_config::Request::default(), &nothing);
        let mut config = config.unwrap().config;
        config.images.engine = "podman".to_owned();
        let sink = kedactl_plan::Collect::default();
        let step = Step::start(&sink, "connect", "connect");
        let target = Target::new("/no/such/kubeconfig", "demo");
        let never = CancellationToken::new();
        for (own, cure) in [
            (
                Own::Kind("demo".to_owned()),
                "`podman ps` shows its nodes, `podman logs demo-control-plane` what the first one says",
            ),
            (
                Own::Minikube("demo".to_owned()),
                "`minikube status -p demo` shows its nodes, `minikube logs -p demo` what they say",
            ),
        ] {
            let late = alive(&target, &own, &config, &step, &never).await;
            let error = late.unwrap_err();
            let said = error.to_string();
            assert!(
                said.starts_with("cluster demo was not ready after 300 s: "),
                "{said}"
            );
            assert_eq!(error.hint().as_deref(), Some(cure));
        }
        step.done("", false);
    }
}
