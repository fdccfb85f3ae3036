//! Pods and events, with the fields that a status screen shows.
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
    /// The image that runs, by digest; empty before it does.
    pub image_id: String,
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
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
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
    /// What the scheduler or the kubelet says about the pod as a whole: no node has room, it was evicted.
    pub reason: String,
    /// Its containers, those that run first before the others.
    pub containers: Vec<ContainerView>,
}

impl PodView {
    /// Restarts of all its containers.
    pub fn restarts(&self) -> u32 {
        self.containers.iter().map(|it| it.restarts).sum()
    }

    /// Why it takes no traffic; empty where it does, and where nothing is known yet.
    pub fn why_not_ready(&self) -> String {
        if self.ready || self.phase == "Terminating" {
            return String::new();
        }
        if !self.reason.is_empty() {
            return self.reason.clone();
        }
        let behind = |it: &&ContainerView| !(it.ready || it.init && it.state == "terminated");
        let Some(it) = self.containers.iter().find(behind) else {
            return String::new();
        };
        let words = match (it.reason.as_str(), it.state.as_str()) {
            ("", "running") => "its probe does not pass yet",
            ("", state) => state,
            (reason, _) => reason,
        };
        let ended = it.last_end.as_ref();
        let ended = ended.map_or_else(String::new, |end| format!(", last ended: {end}"));
        format!("{}: {words}{ended}", it.name)
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
        reason: as_a_whole(it),
        containers: init
            .map(|it| container(it, true))
            .chain(main.map(|it| container(it, false)))
            .collect(),
    }
}

fn as_a_whole(it: &Json) -> String {
    let scheduled = condition(it, "PodScheduled").filter(|it| text(it, "/status") == "False");
    let words = scheduled.map_or_else(
        || [text(it, "/status/reason"), text(it, "/status/message")],
        |it| [text(it, "/reason"), text(it, "/message")],
    );
    let words: Vec<&str> = words.into_iter().filter(|it| !it.is_empty()).collect();
    words.join(": ")
}

fn container(it: &Json, init: bool) -> ContainerView {
    let states = it.get("state").and_then(Json::as_object);
    let state = states.and_then(|it| it.iter().next());
    let last = it.pointer("/lastState/terminated");
    ContainerView {
        name: text(it, "/name").to_owned(),
        image: text(it, "/image").to_owned(),
        image_id: text(it, "/imageID").to_owned(),
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

pub(crate) fn event(it: &Json) -> EventView {
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

#[cfg(test)]
#[path = "views_tests.rs"]
mod tests;
