//! Everything about some namespaces as texts, for whoever looks when the cluster is gone: objects, pods, events, logs.
//! Must not show a secret: Secrets are masked, and what they hold is taken out of every other text.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value as Json;
use tokio::task::JoinSet;

use super::views::{EventView, PodView, event, pod};
use crate::connect::Cluster;
use crate::error::Error;
use crate::mask::{self, Secrets};
use crate::object::{items, text};

/// What a namespace may have that is worth a look.
const IN_NAMESPACES: &[(&str, &str)] = &[
    ("v1", "Pod"),
    ("v1", "Event"),
    ("v1", "Secret"),
    ("v1", "ConfigMap"),
    ("v1", "Service"),
    ("v1", "ServiceAccount"),
    ("v1", "PersistentVolumeClaim"),
    ("apps/v1", "Deployment"),
    ("apps/v1", "StatefulSet"),
    ("apps/v1", "DaemonSet"),
    ("apps/v1", "ReplicaSet"),
    ("batch/v1", "Job"),
    ("autoscaling/v2", "HorizontalPodAutoscaler"),
    ("networking.k8s.io/v1", "NetworkPolicy"),
    ("networking.k8s.io/v1", "Ingress"),
    ("policy/v1", "PodDisruptionBudget"),
    ("discovery.k8s.io/v1", "EndpointSlice"),
    ("coordination.k8s.io/v1", "Lease"),
    ("keda.sh/v1alpha1", "ScaledObject"),
    ("keda.sh/v1alpha1", "TriggerAuthentication"),
];
const OF_THE_CLUSTER: &[(&str, &str)] = &[
    ("v1", "Node"),
    ("v1", "Namespace"),
    ("v1", "PersistentVolume"),
    ("storage.k8s.io/v1", "StorageClass"),
    ("apiregistration.k8s.io/v1", "APIService"),
];
/// How long one list or log may take.
const WITHIN: Duration = Duration::from_secs(20);
/// Lines and bytes of one container's log.
const LINES: i64 = 20_000;
const BYTES: i64 = 4 << 20;

/// What was seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Picture {
    /// Texts by the path of the file that they make: `objects/keda.json`, `logs/keda/api-7d9/api.log`.
    pub files: Vec<(String, String)>,
    /// Events of all namespaces, oldest first.
    pub events: Vec<EventView>,
    /// What could not be read, and why.
    pub missing: Vec<String>,
}

/// Looks at everything in these namespaces, and at the nodes.
pub async fn picture(cluster: &Cluster, namespaces: &BTreeSet<String>) -> Picture {
    let mut picture = Picture::default();
    let mut tasks = JoinSet::new();
    for namespace in namespaces.iter().map(|it| Some(it.clone())).chain([None]) {
        let kinds = if namespace.is_some() {
            IN_NAMESPACES
        } else {
            OF_THE_CLUSTER
        };
        for (api_version, kind) in kinds {
            let (cluster, namespace) = (cluster.clone(), namespace.clone());
            tasks.spawn(async move {
                let listed = cluster.list(api_version, kind, namespace.as_deref(), None);
                let listed = tokio::time::timeout(WITHIN, listed).await;
                (namespace, *kind, flat(listed))
            });
        }
    }
    let mut all: Vec<(Option<String>, &str, Vec<Json>)> = Vec::new();
    for (namespace, kind, listed) in tasks.join_all().await {
        match listed {
            Ok(objects) => all.push((namespace, kind, objects)),
            Err(why) => {
                let place = namespace.map_or_else(String::new, |it| format!(" of {it}"));
                picture.missing.push(format!("{kind}{place}: {why}"));
            }
        }
    }
    all.sort_by(|a, b| (&a.0, a.1).cmp(&(&b.0, b.1)));
    let secrets = Secrets::of(all.iter().flat_map(|(_, _, objects)| objects));
    for (namespace, kind, objects) in &all {
        add_objects(&mut picture, namespace.as_deref(), kind, objects, &secrets);
    }
    picture.events.sort_by(|a, b| a.last_seen.cmp(&b.last_seen));
    let text = picture.events.iter().map(of_event).collect::<String>();
    picture.files.push(("events.txt".to_owned(), text));
    let pods: Vec<&Json> = all
        .iter()
        .filter(|(_, kind, _)| *kind == "Pod")
        .flat_map(|(_, _, objects)| objects)
        .collect();
    add_logs(&mut picture, cluster, &pods, &secrets).await;
    picture.missing.sort();
    picture
}

/// What came of a question with a limit of time; the error in words.
fn flat<T>(came: Result<Result<T, Error>, tokio::time::error::Elapsed>) -> Result<T, String> {
    match came {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer within {} s", WITHIN.as_secs())),
    }
}

fn add_objects(
    picture: &mut Picture,
    namespace: Option<&str>,
    kind: &str,
    objects: &[Json],
    secrets: &Secrets,
) {
    let place = namespace.unwrap_or("cluster");
    match kind {
        "Event" => {
            let events = objects.iter().map(event).map(|mut it| {
                it.message = secrets.scrub(&it.message);
                it
            });
            picture.events.extend(events);
            return;
        }
        _ if objects.is_empty() => return,
        "Pod" => {
            let pods = objects.iter().map(pod).map(|it| describe(&it));
            let text = secrets.scrub(&pods.collect::<String>());
            picture.files.push((format!("describe/{place}.txt"), text));
        }
        _ => {}
    }
    let shown: Vec<Json> = objects.iter().map(|it| shown(it, secrets)).collect();
    let text = serde_json::to_string_pretty(&shown).unwrap_or_default();
    picture
        .files
        .push((format!("objects/{place}/{kind}.json"), text + "\n"));
}

/// The object without secrets, and without the list of who wrote which field.
fn shown(object: &Json, secrets: &Secrets) -> Json {
    let mut object = mask::object(object);
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.remove("managedFields");
    }
    scrubbed(&mut object, secrets);
    object
}

fn scrubbed(value: &mut Json, secrets: &Secrets) {
    match value {
        Json::String(text) => *text = secrets.scrub(text),
        Json::Array(items) => items.iter_mut().for_each(|it| scrubbed(it, secrets)),
        Json::Object(map) => map.values_mut().for_each(|it| scrubbed(it, secrets)),
        _ => {}
    }
}

fn of_event(it: &EventView) -> String {
    let times = if it.count > 1 {
        format!(" (x{})", it.count)
    } else {
        String::new()
    };
    format!(
        "{} {} {} {}: {}{times}\n",
        it.last_seen,
        it.kind,
        it.about,
        it.reason,
        it.message.replace('\n', " ")
    )
}

/// A pod in a few lines: what it is, why it is not ready, and each of its containers.
fn describe(pod: &PodView) -> String {
    let place = if pod.node.is_empty() {
        "no node".to_owned()
    } else {
        format!("node {}", pod.node)
    };
    let ready = if pod.ready { "ready" } else { "not ready" };
    let mut out = format!(
        "{}/{}: {}, {ready}, on {place}, made {}\n",
        pod.namespace, pod.name, pod.phase, pod.created
    );
    let why = pod.why_not_ready();
    if !why.is_empty() {
        out += &format!("  because {why}\n");
    }
    for it in &pod.containers {
        let kind = if it.init {
            "init container"
        } else {
            "container"
        };
        let reason = if it.reason.is_empty() {
            String::new()
        } else {
            format!(" ({})", it.reason)
        };
        out += &format!(
            "  {kind} {}: {}{reason}, {} restarts, image {}\n",
            it.name, it.state, it.restarts, it.image
        );
        if let Some(end) = &it.last_end {
            out += &format!("    the instance before it ended: {end}\n");
        }
    }
    out
}

/// Logs of every container that ran, and of the instance before it where there was one.
async fn add_logs(picture: &mut Picture, cluster: &Cluster, pods: &[&Json], secrets: &Secrets) {
    let mut tasks = JoinSet::new();
    for it in pods {
        let place = [text(it, "/metadata/namespace"), text(it, "/metadata/name")];
        let [namespace, name] = place.map(str::to_owned);
        let states = ["/status/initContainerStatuses", "/status/containerStatuses"];
        for status in states.iter().flat_map(|at| items(it, at)) {
            let container = text(status, "/name").to_owned();
            let before = status.pointer("/lastState/terminated").is_some();
            let wanted: &[bool] = if before { &[false, true] } else { &[false] };
            for previous in wanted.iter().copied() {
                let (cluster, namespace) = (cluster.clone(), namespace.clone());
                let (name, container) = (name.clone(), container.clone());
                tasks.spawn(async move {
                    let lines =
                        cluster.log(&namespace, &name, &container, previous, (LINES, BYTES));
                    let end = if previous { ".previous.log" } else { ".log" };
                    let path = format!("logs/{namespace}/{name}/{container}{end}");
                    (path, lines.await)
                });
            }
        }
    }
    let mut logs = tasks.join_all().await;
    logs.sort();
    let logs = logs.into_iter().filter(|(_, lines)| !lines.is_empty());
    let logs = logs.map(|(path, lines)| (path, secrets.scrub(&(lines.join("\n") + "\n"))));
    picture.files.extend(logs);
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_a_secret_holds_is_in_no_object() {
        let secret = json!({"kind": "Secret", "metadata": {"name": "redis", "managedFields": [{"manager": "x"}]},
            "data": {"redis-password": "aHVudGVyMg=="}});
        let careless = json!({"kind": "ConfigMap", "data": {"url": "redis://:hunter2@redis"}});
        let secrets = Secrets::of([&secret]);
        let mut picture = Picture::default();
        add_objects(&mut picture, Some("keda"), "Secret", &[secret], &secrets);
        add_objects(
            &mut picture,
            Some("keda"),
            "ConfigMap",
            &[careless],
            &secrets,
        );
        let all = format!("{picture:?}");
        assert!(
            !all.contains("hunter2") && !all.contains("aHVudGVyMg"),
            "{all}"
        );
        assert!(!all.contains("managedFields"), "{all}");
        assert!(all.contains("redis://:***@redis"), "{all}");
    }

    #[test]
    fn a_pod_that_crashes_is_described_with_its_reason() {
        let crashing = pod(
            &json!({"metadata": {"namespace": "keda", "name": "api-1", "creationTimestamp": "2026-01-01T00:00:00Z"},
            "spec": {"nodeName": "one"},
            "status": {"phase": "Running", "containerStatuses": [{"name": "api", "image": "api:1", "ready": false, "restartCount": 3,
                "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                "lastState": {"terminated": {"reason": "Error", "exitCode": 1}}}]}}),
        );
        insta::assert_snapshot!(describe(&crashing), @r"
        keda/api-1: Running, not ready, on node one, made 2026-01-01T00:00:00Z
          because api: CrashLoopBackOff, last ended: Error (exit code 1)
          container api: waiting (CrashLoopBackOff), 3 restarts, image api:1
            the instance before it ended: Error (exit code 1)
        ");
    }
}
