//! Pods, events, autoscalers and scalers, with the fields that a status screen shows.
//! Must not judge.

use kube::core::params::ListParams;
use serde::Serialize;
use serde_json::Value as Json;

use crate::connect::Cluster;
use crate::error::Error;
use crate::object::{ObjectRef, condition, items, label, number, text};

/// One container of a pod.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ContainerView {
    /// Its name.
    pub name: String,
    /// Its image, as the pod asks for it.
    pub image: String,
    /// Whether it takes traffic.
    pub ready: bool,
    /// It runs before the others.
    pub init: bool,
    /// How often it was started anew.
    pub restarts: u32,
    /// `running`, `waiting`, `terminated`, or `unknown`.
    pub state: String,
    /// Why it waits or ended: `CrashLoopBackOff`, `OOMKilled`.
    pub reason: String,
    /// How the instance before this one ended: reason and exit code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_end: Option<String>,
}

/// One pod.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PodView {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// `api`, from the label `app.kubernetes.io/component`, else `app.kubernetes.io/name` or `app`.
    pub component: String,
    /// `Running`, `Pending`, or `Terminating` while it is being deleted.
    pub phase: String,
    /// Whether it takes traffic.
    pub ready: bool,
    /// The node that it runs on; empty where none does.
    pub node: String,
    /// Its address; empty before it has one.
    pub ip: String,
    /// When it was made, RFC 3339.
    pub created: String,
    /// Its containers, those that run first before the others.
    pub containers: Vec<ContainerView>,
}

impl PodView {
    /// Restarts of all its containers.
    pub fn restarts(&self) -> u32 {
        self.containers.iter().map(|it| it.restarts).sum()
    }
}

/// The pods of a namespace, by label selector, sorted by name.
pub async fn pods(
    cluster: &Cluster,
    namespace: &str,
    selector: Option<&str>,
) -> Result<Vec<PodView>, Error> {
    let found = cluster.list("v1", "Pod", Some(namespace), selector).await?;
    let mut all: Vec<PodView> = found.iter().map(pod).collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(all)
}

pub(crate) fn pod(it: &Json) -> PodView {
    let component = [
        "app.kubernetes.io/component",
        "app.kubernetes.io/name",
        "app",
    ]
    .iter()
    .find_map(|name| label(it, name));
    let leaving = !text(it, "/metadata/deletionTimestamp").is_empty();
    let init = items(it, "/status/initContainerStatuses").iter();
    let main = items(it, "/status/containerStatuses").iter();
    let ready = condition(it, "Ready").is_some_and(|it| text(it, "/status") == "True");
    PodView {
        namespace: text(it, "/metadata/namespace").to_owned(),
        name: text(it, "/metadata/name").to_owned(),
        component: component.unwrap_or_default().to_owned(),
        phase: if leaving {
            "Terminating"
        } else {
            text(it, "/status/phase")
        }
        .to_owned(),
        ready: ready && !leaving,
        node: text(it, "/spec/nodeName").to_owned(),
        ip: text(it, "/status/podIP").to_owned(),
        created: text(it, "/metadata/creationTimestamp").to_owned(),
        containers: init
            .map(|it| container(it, true))
            .chain(main.map(|it| container(it, false)))
            .collect(),
    }
}

fn container(it: &Json, init: bool) -> ContainerView {
    let states = it.get("state").and_then(Json::as_object);
    let state = states.and_then(|it| it.iter().next());
    let last = it.pointer("/lastState/terminated");
    ContainerView {
        name: text(it, "/name").to_owned(),
        image: text(it, "/image").to_owned(),
        ready: it["ready"] == true,
        init,
        restarts: number(it, "/restartCount").unwrap_or(0) as u32,
        state: state.map_or("unknown", |(name, _)| name).to_owned(),
        reason: state.map_or("", |(_, it)| text(it, "/reason")).to_owned(),
        last_end: last.map(|it| {
            let code = number(it, "/exitCode").unwrap_or(-1);
            format!("{} (exit code {code})", text(it, "/reason"))
        }),
    }
}

/// One event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EventView {
    /// `Normal` or `Warning`.
    pub kind: String,
    /// `FailedScheduling`.
    pub reason: String,
    /// What happened.
    pub message: String,
    /// `Pod api-7d9`.
    pub about: String,
    /// When it was last seen, RFC 3339.
    pub last_seen: String,
    /// How often.
    pub count: u32,
}

/// Events of a namespace, or about one object; oldest first.
pub async fn events(
    cluster: &Cluster,
    namespace: &str,
    about: Option<&ObjectRef>,
) -> Result<Vec<EventView>, Error> {
    let mut query = ListParams::default();
    if let Some(it) = about {
        let fields = format!(
            "involvedObject.kind={},involvedObject.name={}",
            it.kind, it.name
        );
        query = query.fields(&fields);
    }
    let found = cluster
        .list_by("v1", "Event", Some(namespace), query)
        .await?;
    let mut all: Vec<EventView> = found.iter().map(event).collect();
    all.sort_by(|a, b| a.last_seen.cmp(&b.last_seen));
    Ok(all)
}

fn event(it: &Json) -> EventView {
    let times = [
        "/series/lastObservedTime",
        "/lastTimestamp",
        "/eventTime",
        "/metadata/creationTimestamp",
    ];
    let time = times
        .iter()
        .map(|at| text(it, at))
        .find(|it| !it.is_empty());
    let count = number(it, "/series/count").or_else(|| number(it, "/count"));
    EventView {
        kind: text(it, "/type").to_owned(),
        reason: text(it, "/reason").to_owned(),
        message: text(it, "/message").to_owned(),
        about: format!(
            "{} {}",
            text(it, "/involvedObject/kind"),
            text(it, "/involvedObject/name")
        ),
        last_seen: time.unwrap_or_default().to_owned(),
        count: count.unwrap_or(1) as u32,
    }
}

/// One horizontal pod autoscaler.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AutoscalerView {
    /// Its name.
    pub name: String,
    /// `Deployment api`.
    pub target: String,
    /// Fewest replicas.
    pub min: u32,
    /// Most replicas.
    pub max: u32,
    /// Replicas as it saw them last.
    pub current: u32,
    /// Replicas that it wants.
    pub desired: u32,
    /// What it reads now, as the API writes it (`currentMetrics`).
    pub metrics: Json,
    /// Conditions that say that it does not work as it should, `type: reason: message`.
    pub problems: Vec<String>,
}

/// The autoscalers of a namespace, sorted by name.
pub async fn autoscalers(cluster: &Cluster, namespace: &str) -> Result<Vec<AutoscalerView>, Error> {
    let found = cluster
        .list(
            "autoscaling/v2",
            "HorizontalPodAutoscaler",
            Some(namespace),
            None,
        )
        .await?;
    let mut all: Vec<AutoscalerView> = found.iter().map(autoscaler).collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(all)
}

fn autoscaler(it: &Json) -> AutoscalerView {
    let count = |at: &str, default: i64| number(it, at).unwrap_or(default) as u32;
    AutoscalerView {
        name: text(it, "/metadata/name").to_owned(),
        target: target(it, "/spec/scaleTargetRef"),
        min: count("/spec/minReplicas", 1),
        max: count("/spec/maxReplicas", 1),
        current: count("/status/currentReplicas", 0),
        desired: count("/status/desiredReplicas", 0),
        metrics: it
            .pointer("/status/currentMetrics")
            .cloned()
            .unwrap_or_default(),
        problems: problems(it, &["AbleToScale", "ScalingActive"]),
    }
}

fn target(it: &Json, at: &str) -> String {
    let kind = text(it, &format!("{at}/kind"));
    let kind = if kind.is_empty() { "Deployment" } else { kind };
    format!("{kind} {}", text(it, &format!("{at}/name")))
}

fn problems(it: &Json, good: &[&str]) -> Vec<String> {
    let conditions = items(it, "/status/conditions").iter();
    conditions
        .filter(|it| good.contains(&text(it, "/type")) && text(it, "/status") == "False")
        .map(|it| {
            format!(
                "{}: {}: {}",
                text(it, "/type"),
                text(it, "/reason"),
                text(it, "/message")
            )
        })
        .collect()
}

/// One `ScaledObject`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ScalerView {
    /// Its name.
    pub name: String,
    /// `Deployment worker`.
    pub target: String,
    /// Its autoscaler's name.
    pub autoscaler: String,
    /// Whether KEDA accepted it.
    pub ready: bool,
    /// Whether there is work (replicas above zero are wanted).
    pub active: bool,
    /// Whether somebody paused it.
    pub paused: bool,
    /// Whether a trigger cannot be read and the fallback counts.
    pub fallback: bool,
    /// When a trigger was last active, RFC 3339.
    pub last_active: String,
    /// Conditions that say that it does not work as it should.
    pub problems: Vec<String>,
}

/// The `ScaledObjects` of a namespace, sorted by name; none where KEDA is not installed.
pub async fn scalers(cluster: &Cluster, namespace: &str) -> Result<Vec<ScalerView>, Error> {
    let found = cluster
        .list("keda.sh/v1alpha1", "ScaledObject", Some(namespace), None)
        .await?;
    let mut all: Vec<ScalerView> = found.iter().map(scaler).collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(all)
}

/// Every `ScaledObject` and `ScaledJob` of the cluster: who needs KEDA.
pub async fn scalers_everywhere(cluster: &Cluster) -> Result<Vec<ObjectRef>, Error> {
    let mut all = Vec::new();
    for kind in ["ScaledObject", "ScaledJob"] {
        for object in cluster.list("keda.sh/v1alpha1", kind, None, None).await? {
            all.push(ObjectRef::of(&object)?);
        }
    }
    Ok(all)
}

fn scaler(it: &Json) -> ScalerView {
    let is = |kind: &str| condition(it, kind).is_some_and(|it| text(it, "/status") == "True");
    ScalerView {
        name: text(it, "/metadata/name").to_owned(),
        target: target(it, "/spec/scaleTargetRef"),
        autoscaler: text(it, "/status/hpaName").to_owned(),
        ready: is("Ready"),
        active: is("Active"),
        paused: is("Paused"),
        fallback: is("Fallback"),
        last_active: text(it, "/status/lastActiveTime").to_owned(),
        problems: problems(it, &["Ready"]),
    }
}

#[cfg(test)]
#[path = "views_tests.rs"]
mod tests;
