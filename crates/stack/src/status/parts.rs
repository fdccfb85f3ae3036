//! The parts of a status that are put together from several kinds of objects.
//!
//! Must not ask anybody: what was read is handed in.

use kedactl_cluster::{AutoscalerView, PodView, ReleaseView, ScalerView, WorkloadView};
use serde::Serialize;
use serde_json::Value as Json;

use super::LostNode;
use super::why::{self, Reading};

/// A Helm release and what it put there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReleaseStatus {
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// The chart, where an object of the release names it.
    pub chart: Option<String>,
    /// The version of the chart.
    pub version: Option<String>,
    /// Counts its installs, upgrades and rollbacks.
    pub revision: u64,
    /// `deployed`, `failed`, `pending-upgrade`.
    pub status: String,
    /// Seconds since the Unix epoch.
    pub updated: Option<u64>,
    /// The stack that made it; absent where that was not kedactl.
    pub stack: Option<String>,
    /// Pods that are ready.
    pub ready: u32,
    /// Pods that there should be.
    pub desired: u32,
}

impl ReleaseStatus {
    pub(super) fn of(it: ReleaseView, workloads: &[WorkloadView]) -> Self {
        let own = workloads.iter().filter(|workload| {
            workload.namespace == it.namespace && workload.release.as_deref() == Some(&it.name)
        });
        let own: Vec<&WorkloadView> = own.collect();
        let label = own.iter().find_map(|workload| workload.chart.as_deref());
        let (chart, version) = label.map_or((None, None), split);
        Self {
            chart,
            version,
            ready: own.iter().map(|it| it.ready).sum(),
            desired: own.iter().map(|it| it.desired).sum(),
            name: it.name,
            namespace: it.namespace,
            revision: it.revision,
            status: it.status,
            updated: it.updated,
            stack: it.stack,
        }
    }

    pub(super) fn unready(&self) -> Option<String> {
        let Self {
            name,
            status,
            ready,
            desired,
            ..
        } = self;
        if status != "deployed" {
            return Some(format!("release {name} is {status}"));
        }
        (ready < desired).then(|| format!("release {name}: {ready} of {desired} pods are ready"))
    }
}

/// `redis-sentinel-1.2.0-rc.1` is chart `redis-sentinel` of version `1.2.0-rc.1`.
fn split(label: &str) -> (Option<String>, Option<String>) {
    let version = |rest: &str| {
        let numbers = rest.trim_start_matches('v').split(['-', '+']).next();
        let numbers = numbers.unwrap_or_default();
        numbers.contains('.') && numbers.split('.').all(|it| it.parse::<u64>().is_ok())
    };
    let mut dashes = label.match_indices('-');
    match dashes.find(|(at, _)| version(&label[at + 1..])) {
        Some((at, _)) => (
            Some(label[..at].to_owned()),
            Some(label[at + 1..].to_owned()),
        ),
        None => (Some(label.to_owned()), None),
    }
}

/// Something that keeps a number of pods.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WorkloadStatus {
    /// `Deployment` or `StatefulSet`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Pods that there should be.
    pub desired: u32,
    /// Pods that are ready.
    pub ready: u32,
    /// `ScaledObject/worker`, `HorizontalPodAutoscaler/api`; absent where nothing scales it.
    pub scaled_by: Option<String>,
    /// Why it has that size.
    pub why: String,
}

impl WorkloadStatus {
    pub(super) fn of(it: &WorkloadView, scalers: &[ScalerStatus]) -> Self {
        let target = format!("{} {}", it.kind, it.name);
        // A ScaledObject comes before the autoscaler that it has: it says more.
        let scaler = scalers.iter().find(|scaler| scaler.target == target);
        Self {
            kind: it.kind.clone(),
            name: it.name.clone(),
            desired: it.desired,
            ready: it.ready,
            scaled_by: scaler.map(|it| format!("{}/{}", it.kind, it.name)),
            why: scaler.map(|it| it.why.clone()).unwrap_or_default(),
        }
    }

    pub(super) fn unready(&self) -> Option<String> {
        let Self {
            kind,
            name,
            ready,
            desired,
            ..
        } = self;
        (ready < desired).then(|| format!("{kind} {name}: {ready} of {desired} pods are ready"))
    }
}

/// A `ScaledObject` or an autoscaler.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ScalerStatus {
    /// `ScaledObject` or `HorizontalPodAutoscaler`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// `Deployment worker`.
    pub target: String,
    /// Fewest replicas.
    pub min: u32,
    /// Most replicas.
    pub max: u32,
    /// Replicas that there are.
    pub current: u32,
    /// Replicas that are wanted.
    pub desired: u32,
    /// `ScaledObject`: whether a trigger is active.
    pub active: Option<bool>,
    /// `ScaledObject`: whether somebody paused it.
    pub paused: bool,
    /// `ScaledObject`: whether the fallback counts because a trigger cannot be read.
    pub fallback: bool,
    /// What was read.
    pub readings: Vec<Reading>,
    /// Why it wants what it wants, in one line.
    pub why: String,
    /// What keeps it from doing its work.
    pub problem: Option<String>,
    /// When it last changed the number, seconds since the Unix epoch.
    pub scaled_at: Option<u64>,
    /// `ScaledObject`: when a trigger was last active, seconds since the Unix epoch.
    pub last_active_at: Option<u64>,
}

/// Every scaler, those of KEDA first. `now` is seconds since the Unix epoch.
pub(super) fn scalers(
    scaled: &[ScalerView],
    autoscalers: &[AutoscalerView],
    workloads: &[WorkloadView],
    now: u64,
) -> Vec<ScalerStatus> {
    let of_keda = scaled.iter().map(|it| {
        let autoscaler = autoscalers
            .iter()
            .find(|hpa| hpa.name == it.autoscaler || hpa.made_for.as_deref() == Some(&it.name));
        scaler(it, autoscaler, workloads, now)
    });
    of_keda.chain(autoscalers.iter().map(autoscaler)).collect()
}

fn scaler(
    it: &ScalerView,
    autoscaler: Option<&AutoscalerView>,
    workloads: &[WorkloadView],
    now: u64,
) -> ScalerStatus {
    let target = workloads
        .iter()
        .find(|workload| format!("{} {}", workload.kind, workload.name) == it.target);
    let orphan = (it.ready && autoscaler.is_none() && !it.paused)
        .then(|| format!("its autoscaler {} does not exist", it.autoscaler));
    let failing = it.fallback.then(|| why::of_scaler(it, autoscaler, now));
    let problem = it.problems().into_iter().next().or(orphan).or(failing);
    ScalerStatus {
        kind: "ScaledObject".to_owned(),
        name: it.name.clone(),
        target: it.target.clone(),
        min: it.min,
        max: it.max,
        current: target.map_or(0, |it| it.ready),
        desired: target.map_or(0, |it| it.desired),
        active: Some(it.active),
        paused: it.paused,
        fallback: it.fallback,
        readings: Vec::new(),
        why: problem
            .clone()
            .unwrap_or_else(|| why::of_scaler(it, autoscaler, now)),
        problem,
        scaled_at: autoscaler.and_then(|it| kedactl_cluster::seconds(&it.last_scaled)),
        last_active_at: kedactl_cluster::seconds(&it.last_active),
    }
}

fn autoscaler(it: &AutoscalerView) -> ScalerStatus {
    ScalerStatus {
        kind: "HorizontalPodAutoscaler".to_owned(),
        name: it.name.clone(),
        target: it.target.clone(),
        min: it.min,
        max: it.max,
        current: it.current,
        desired: it.desired,
        active: None,
        paused: false,
        fallback: false,
        readings: why::readings(it),
        why: why::of_autoscaler(it),
        problem: it.problems().into_iter().next(),
        scaled_at: kedactl_cluster::seconds(&it.last_scaled),
        last_active_at: None,
    }
}

/// Nodes with pods of the stack whose condition `Ready` is not `True`.
pub(super) fn lost_nodes(nodes: &[Json], pods: &[PodView]) -> Vec<LostNode> {
    let lost = |node: &Json| {
        let name = node["metadata"]["name"].as_str()?;
        let conditions = node["status"]["conditions"].as_array()?;
        let ready = conditions.iter().find(|it| it["type"] == "Ready")?;
        let on_it = pods.iter().filter(|it| it.node == name).count();
        if ready["status"] == "True" || on_it == 0 {
            return None;
        }
        let said = |key: &str| ready[key].as_str().unwrap_or_default();
        Some(LostNode {
            name: name.to_owned(),
            pods: on_it,
            why: format!("{}: {}", said("reason"), said("message")),
        })
    };
    nodes.iter().filter_map(lost).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn workload(name: &str, desired: u32, ready: u32) -> WorkloadView {
        WorkloadView {
            namespace: "keda-system".to_owned(),
            kind: "Deployment".to_owned(),
            name: name.to_owned(),
            desired,
            ready,
            images: Vec::new(),
            release: Some("keda".to_owned()),
            chart: Some("keda-2.20.2".to_owned()),
        }
    }

    #[test]
    fn a_chart_and_its_version_are_parted_at_the_version() {
        let parted = |label: &str| {
            let (chart, version) = split(label);
            (chart.unwrap(), version.unwrap_or_default())
        };
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(parted("keda-2.20.2"), pair("keda", "2.20.2"));
        assert_eq!(
            parted("redis-sentinel-1.2.0-rc.1"),
            pair("redis-sentinel", "1.2.0-rc.1")
        );
        assert_eq!(parted("k8s-2-go-1.0"), pair("k8s-2-go", "1.0"));
        assert_eq!(parted("plain"), pair("plain", ""));
    }

    #[test]
    fn a_node_that_does_not_answer_counts_where_pods_of_the_stack_are_on_it() {
        let node = |name: &str, ready: &str| {
            json!({"metadata": {"name": name}, "status": {"conditions": [
                {"type": "MemoryPressure", "status": "Unknown"},
                {"type": "Ready", "status": ready, "reason": "NodeStatusUnknown", "message": "Kubelet stopped posting node status."}]}})
        };
        let nodes = [node("a", "True"), node("b", "Unknown"), node("c", "False")];
        let pod = |node: &str| PodView {
            node: node.to_owned(),
            ..PodView::default()
        };
        let lost = lost_nodes(&nodes, &[pod("a"), pod("b"), pod("b")]);
        assert_eq!(lost.len(), 1, "nothing of ours is on c");
        assert_eq!(
            lost[0].to_string(),
            "node b with 2 pods is not ready: NodeStatusUnknown: Kubelet stopped posting node status."
        );
    }

    #[test]
    fn a_release_counts_its_own_pods_and_says_what_is_wrong() {
        let view = |status: &str| ReleaseView {
            namespace: "keda-system".to_owned(),
            name: "keda".to_owned(),
            revision: 3,
            status: status.to_owned(),
            updated: None,
            stack: None,
        };
        let mut other = workload("web", 5, 5);
        other.release = None;
        let all = [workload("operator", 1, 1), workload("metrics", 2, 1), other];
        let it = ReleaseStatus::of(view("deployed"), &all);
        assert_eq!((it.ready, it.desired), (2, 3));
        assert_eq!(it.version.as_deref(), Some("2.20.2"));
        assert_eq!(it.unready().unwrap(), "release keda: 2 of 3 pods are ready");
        let it = ReleaseStatus::of(view("pending-upgrade"), &all[..1]);
        assert_eq!(it.unready().unwrap(), "release keda is pending-upgrade");
        assert_eq!(
            ReleaseStatus::of(view("deployed"), &all[..1]).unready(),
            None
        );
    }
}
