//! One look at the cluster, as far as readiness asks for it.
//! Must not judge: it finds what belongs together.

use serde_json::Value as Json;

use crate::apply::Live;
use crate::object::{ObjectRef, annotation, items, text};

/// What one look saw.
#[derive(Debug, Default)]
pub(crate) struct World {
    /// The objects that are waited for.
    pub(crate) objects: Live,
    pub(crate) pods: Vec<Json>,
    pub(crate) replica_sets: Vec<Json>,
    pub(crate) events: Vec<Json>,
    pub(crate) claims: Vec<Json>,
    pub(crate) autoscalers: Vec<Json>,
    /// `None` where they may not be read.
    pub(crate) classes: Option<Vec<Json>>,
    /// The API service of KEDA's metrics; `None` where it was not asked for or may not be read.
    pub(crate) external_metrics: Option<Json>,
    /// Pods, events and the rest were read, not only the objects.
    pub(crate) deep: bool,
}

fn uid(object: &Json) -> &str {
    text(object, "/metadata/uid")
}

fn controlled_by(object: &Json, owner: &str) -> bool {
    items(object, "/metadata/ownerReferences")
        .iter()
        .any(|it| it["controller"] == true && text(it, "/uid") == owner)
}

impl World {
    /// The controller that makes the pods: the newest `ReplicaSet` of a Deployment, else the object itself.
    pub(crate) fn maker<'a>(&'a self, object: &'a Json) -> &'a Json {
        if text(object, "/kind") != "Deployment" {
            return object;
        }
        let revision = |it: &Json| {
            let text = annotation(it, "deployment.kubernetes.io/revision");
            text.and_then(|it| it.parse::<i64>().ok()).unwrap_or(0)
        };
        self.replica_sets
            .iter()
            .filter(|it| controlled_by(it, uid(object)))
            .max_by_key(|it| revision(it))
            .unwrap_or(object)
    }

    /// The pods of an object that are not being deleted; of a Deployment those of its newest version.
    pub(crate) fn pods_of(&self, object: &Json) -> Vec<&Json> {
        let maker = uid(self.maker(object));
        let pod_itself = text(object, "/kind") == "Pod";
        self.pods
            .iter()
            .filter(|it| controlled_by(it, maker) || (pod_itself && uid(it) == maker))
            .filter(|it| text(it, "/metadata/deletionTimestamp").is_empty())
            .collect()
    }

    /// The claims that a pod mounts.
    pub(crate) fn claims_of(&self, pod: &Json) -> Vec<&Json> {
        let namespace = text(pod, "/metadata/namespace");
        items(pod, "/spec/volumes")
            .iter()
            .map(|it| text(it, "/persistentVolumeClaim/claimName"))
            .filter(|name| !name.is_empty())
            .filter_map(|name| {
                self.claims.iter().find(|it| {
                    text(it, "/metadata/name") == name
                        && text(it, "/metadata/namespace") == namespace
                })
            })
            .collect()
    }

    /// Events about an object, oldest first.
    pub(crate) fn events_of(&self, object: &Json) -> Vec<&Json> {
        let about = uid(object);
        let mut all: Vec<&Json> = self
            .events
            .iter()
            .filter(|it| !about.is_empty() && text(it, "/involvedObject/uid") == about)
            .collect();
        all.sort_by_key(|it| event_time(it));
        all
    }

    /// The last event about an object that warns.
    pub(crate) fn last_warning(&self, object: &Json) -> Option<&Json> {
        let all = self.events_of(object);
        all.into_iter()
            .rev()
            .find(|it| text(it, "/type") == "Warning")
    }

    /// Whether a horizontal pod autoscaler of that name is there.
    pub(crate) fn has_autoscaler(&self, namespace: Option<&str>, name: &str) -> bool {
        self.autoscalers.iter().any(|it| {
            text(it, "/metadata/name") == name && Some(text(it, "/metadata/namespace")) == namespace
        })
    }

    /// The object of that name.
    pub(crate) fn object(&self, reference: &ObjectRef) -> Option<&Json> {
        self.objects.get(reference)
    }
}

/// When an event was last seen: RFC 3339 in UTC, which sorts as text.
pub(crate) fn event_time(event: &Json) -> String {
    let times = [
        "/series/lastObservedTime",
        "/lastTimestamp",
        "/eventTime",
        "/metadata/creationTimestamp",
    ];
    let found = times
        .iter()
        .map(|it| text(event, it))
        .find(|it| !it.is_empty());
    // Fractions would sort before the bare second otherwise.
    found.unwrap_or_default().replace('Z', "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn owned(name: &str, own: &str, owner: &str) -> Json {
        json!({"metadata": {"name": name, "uid": own, "ownerReferences": [{"controller": true, "uid": owner}]}})
    }

    #[test]
    fn a_deployments_pods_are_those_of_its_newest_version() {
        let deployment = json!({"kind": "Deployment", "metadata": {"uid": "d"}});
        let set = |own: &str, revision: &str| {
            let mut it = owned(own, own, "d");
            it["metadata"]["annotations"] = json!({"deployment.kubernetes.io/revision": revision});
            it
        };
        let mut leaving = owned("p3", "p3", "r10");
        leaving["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
        let world = World {
            replica_sets: vec![set("r9", "9"), set("r10", "10")],
            pods: vec![owned("p1", "p1", "r9"), owned("p2", "p2", "r10"), leaving],
            ..World::default()
        };
        let names: Vec<&str> = world
            .pods_of(&deployment)
            .iter()
            .map(|it| text(it, "/metadata/name"))
            .collect();
        assert_eq!(names, ["p2"]);
    }

    #[test]
    fn the_last_warning_is_the_last_by_any_of_the_time_fields() {
        let event = |reason: &str, field: &str, time: &str| json!({"type": "Warning", "reason": reason, field: time, "involvedObject": {"uid": "p"}});
        let world = World {
            events: vec![
                event("B", "eventTime", "2026-01-01T00:00:02.5Z"),
                event("A", "lastTimestamp", "2026-01-01T00:00:02Z"),
                event("Z", "lastTimestamp", "2026-01-01T00:00:01Z"),
            ],
            ..World::default()
        };
        let pod = json!({"metadata": {"uid": "p"}});
        assert_eq!(world.last_warning(&pod).unwrap()["reason"], "B");
    }
}
