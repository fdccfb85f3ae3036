//! Asks everybody at once.
//!
//! Must not let one that is slow or refuses keep the others away.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use kedactl_cluster::{PodView, ReleaseView, WorkloadView};
use kedactl_queue::{Inspector, Survey};
use tokio::time::{Instant, timeout_at};

use super::parts::{self, ReleaseStatus, WorkloadStatus};
use super::{ClusterStatus, QueueStatus, Status};
use crate::{Live, StackError};

/// How long Redis may take, with the way to it. A busy cluster needs a second or two for a port-forward; who asks wants to see it.
const PATIENCE: Duration = Duration::from_secs(3);

/// What is in one namespace.
#[derive(Debug, Default)]
struct Space {
    releases: Vec<ReleaseView>,
    workloads: Vec<WorkloadView>,
    pods: Vec<PodView>,
}

/// One look at a stack.
pub(crate) async fn gather(live: &Live) -> Status {
    let (cluster, home) = (live.cluster(), live.home().tunnel());
    let namespace = &live.record().config.namespace;
    let mapped = async {
        let address = crate::tunnel::mapped(&live.record().config)?;
        Some((address, kedactl_tunnel::answers(address).await))
    };
    let ((spaces, mut gaps), nodes, scaled, autoscalers, (queue, redis), tunnel, mapped) = tokio::join!(
        spaces(live),
        cluster.list("v1", "Node", None, None),
        kedactl_cluster::scalers(cluster, namespace),
        kedactl_cluster::autoscalers(cluster, namespace),
        of_redis(live),
        kedactl_tunnel::status(&home),
        mapped,
    );
    let scaled = or_gap(scaled, "ScaledObjects", &mut gaps);
    let autoscalers = or_gap(autoscalers, "autoscalers", &mut gaps);
    let workloads: Vec<WorkloadView> = all(&spaces, |it| &it.workloads);
    let scalers = parts::scalers(&scaled, &autoscalers, &workloads, now());
    let own = workloads.iter().filter(|it| it.namespace == *namespace);
    let pods = all(&spaces, |it| &it.pods);
    Status {
        // Who may not read nodes is not told of it each time: most users may not.
        lost_nodes: parts::lost_nodes(&nodes.unwrap_or_default(), &pods),
        cluster: ClusterStatus {
            context: cluster.context().to_owned(),
            server: cluster.server().to_owned(),
            uid: cluster.uid().to_owned(),
            version: cluster.version().to_owned(),
        },
        releases: all(&spaces, |it| &it.releases)
            .into_iter()
            .map(|it| ReleaseStatus::of(it, &workloads))
            .collect(),
        workloads: own.map(|it| WorkloadStatus::of(it, &scalers)).collect(),
        scalers,
        pods,
        queue,
        redis,
        tunnel: tunnel.map_err(|error| error.to_string()),
        mapped,
        last_run: live.record().last_run.clone(),
        gaps,
    }
}

/// Every namespace side by side, and what could not be read of them.
async fn spaces(live: &Live) -> (Vec<Space>, Vec<String>) {
    let names: BTreeSet<String> = live.namespaces();
    let looks = names.iter().map(|name| space(live, name));
    let looks = futures_util::future::join_all(looks).await;
    let (spaces, gaps): (Vec<_>, Vec<_>) = looks.into_iter().unzip();
    (spaces, gaps.into_iter().flatten().collect())
}

async fn space(live: &Live, name: &str) -> (Space, Vec<String>) {
    let cluster = live.cluster();
    let (releases, workloads, pods) = tokio::join!(
        kedactl_cluster::releases(cluster, name),
        kedactl_cluster::workloads(cluster, name),
        kedactl_cluster::pods(cluster, name, None),
    );
    let mut gaps = Vec::new();
    let what = |kind: &str| format!("{kind} of namespace {name}");
    let mut space = Space {
        releases: or_gap(releases, &what("releases"), &mut gaps),
        workloads: or_gap(workloads, &what("workloads"), &mut gaps),
        pods: or_gap(pods, &what("pods"), &mut gaps),
    };
    let config = &live.record().config;
    if name != config.namespace && name != config.keda.namespace {
        let declared: Vec<&str> = config
            .wanted_releases()
            .map(|(name, _)| name.as_str())
            .collect();
        let Space {
            pods, workloads, ..
        } = &mut space;
        pods.retain(|pod| is_of_a_release(&pod.name, workloads, &declared));
    }
    (space, gaps)
}

/// A namespace that is shared with others (kube-system) shows what our releases have in it, and nothing else.
fn is_of_a_release(pod: &str, workloads: &[WorkloadView], declared: &[&str]) -> bool {
    workloads.iter().any(|it| {
        let made_it = pod
            .strip_prefix(&it.name)
            .is_some_and(|rest| rest.starts_with('-'));
        let release = it.release.as_deref();
        made_it && release.is_some_and(|name| declared.contains(&name))
    })
}

fn or_gap<T>(
    read: Result<Vec<T>, kedactl_cluster::Error>,
    what: &str,
    gaps: &mut Vec<String>,
) -> Vec<T> {
    read.unwrap_or_else(|error| {
        gaps.push(format!("{what}: {}", in_full(&error)));
        Vec::new()
    })
}

/// An error with its causes in one line.
pub fn in_full(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let words = inner.to_string();
        if !text.contains(&words) {
            text += &format!(": {words}");
        }
        cause = inner.source();
    }
    text
}

fn all<T: Clone>(spaces: &[Space], part: impl Fn(&Space) -> &Vec<T>) -> Vec<T> {
    spaces.iter().flat_map(|it| part(it).clone()).collect()
}

/// The queue's numbers and Redis itself, each for itself.
async fn of_redis(live: &Live) -> (Result<QueueStatus, String>, Result<Survey, String>) {
    let until = Instant::now() + PATIENCE;
    let late = || "Redis did not answer in time".to_owned();
    let reached = match timeout_at(until, live.redis()).await {
        Ok(Ok(reached)) => reached,
        Ok(Err(error)) => return (Err(in_full(&error)), Err(in_full(&error))),
        Err(_) => return (Err(late()), Err(late())),
    };
    let survey = kedactl_queue::survey(reached.config());
    let (queue, redis) = tokio::join!(timeout_at(until, numbers(live)), timeout_at(until, survey));
    // Why a pod was not reached says more than what came of it.
    let why = |said: String| reached.troubles().into_iter().next().unwrap_or(said);
    let redis = redis.map_or_else(|_| Err(late()), |it| it.map_err(|error| in_full(&error)));
    let queue = queue.unwrap_or_else(|_| Err(late()));
    (queue.map_err(why), redis.map_err(why))
}

async fn numbers(live: &Live) -> Result<QueueStatus, String> {
    let read = async {
        let (inspector, queue) = (Inspector::new(live.handle().await?), live.queue()?);
        let counted = live.record().config.list_name();
        let (stats, keda) = tokio::join!(inspector.stats(&queue), inspector.keda_value(&counted));
        Ok::<_, StackError>(QueueStatus {
            name: queue.to_string(),
            stats: stats?,
            keda: keda?,
        })
    };
    read.await.map_err(|error| in_full(&error))
}

/// Seconds since the Unix epoch.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shared_namespace_shows_the_pods_of_our_releases_alone() {
        let workload = |name: &str, release: Option<&str>| WorkloadView {
            name: name.to_owned(),
            release: release.map(str::to_owned),
            ..WorkloadView::default()
        };
        let all = [
            workload("metrics-server", Some("metrics-server")),
            workload("coredns", None),
            workload("cilium-operator", Some("cilium")),
        ];
        let shown = |pod: &str| is_of_a_release(pod, &all, &["metrics-server"]);
        assert!(shown("metrics-server-76f4cd7679-qftvw"));
        for other in [
            "metrics-serverless-1",
            "coredns-5-x",
            "cilium-operator-1",
            "etcd-node",
        ] {
            assert!(!shown(other), "{other}");
        }
    }
}
