//! Makes objects ready to be applied: namespace, labels, hash, and no field that belongs to an autoscaler.
//! Must not ask the cluster, and must not change what an object means.

use std::collections::{BTreeSet, HashSet};

use k8s_openapi::ByteString;
use serde_json::{Map, Value as Json, json};

use crate::error::Error;
use crate::hash;
use crate::kinds::{Phase, phase};
use crate::names::{HASH_ANNOTATION, MANAGED_BY, MANAGER, ORIGIN_ANNOTATION, STACK_LABEL, Stack};
use crate::object::{ObjectRef, annotation, items, text};

/// One object as it is going to be applied.
#[derive(Debug, Clone)]
pub(crate) struct Prepared {
    pub(crate) reference: ObjectRef,
    /// The object with our labels and the hash of itself.
    pub(crate) body: Json,
    pub(crate) phase: Phase,
    pub(crate) hash: String,
    /// An autoscaler of the same set owns `spec.replicas`.
    pub(crate) autoscaled: bool,
}

impl Prepared {
    /// The body to send, given what is there: a namespace that we create says so on itself, in the same write.
    pub(crate) fn body_over(&self, live: Option<&Json>) -> Json {
        let mut body = self.body.clone();
        let ours = live.is_none_or(|live| annotation(live, ORIGIN_ANNOTATION).is_some());
        if self.reference.kind == "Namespace" && ours {
            body["metadata"]["annotations"][ORIGIN_ANNOTATION] = "created".into();
        }
        body
    }
}

/// Prepares a set. `namespaced` tells the scope of a kind.
pub(crate) fn prepare(
    objects: &[Json],
    stack: &Stack,
    namespaced: impl Fn(&ObjectRef) -> bool,
) -> Result<Vec<Prepared>, Error> {
    let place = |object: &Json| -> Result<ObjectRef, Error> {
        let mut reference = ObjectRef::of(object)?;
        if !namespaced(&reference) {
            reference.namespace = None;
        } else if reference.namespace.is_none() {
            reference.namespace = Some(stack.namespace().to_owned());
        }
        Ok(reference)
    };
    let references = objects.iter().map(place).collect::<Result<Vec<_>, _>>()?;
    let scaled = scaled_targets(objects.iter().zip(&references));
    let mut seen = HashSet::new();
    let mut all = Vec::with_capacity(objects.len());
    for (object, reference) in objects.iter().zip(references) {
        if !seen.insert(reference.clone()) {
            return Err(Error::Malformed {
                what: reference.to_string(),
                problem: "it is there twice".into(),
            });
        }
        all.push(one(object, reference, stack, &scaled));
    }
    Ok(all)
}

fn one(
    object: &Json,
    reference: ObjectRef,
    stack: &Stack,
    scaled: &BTreeSet<ObjectRef>,
) -> Prepared {
    let mut body = object.clone();
    drop_nulls(&mut body);
    if let Some(top) = body.as_object_mut() {
        top.remove("status");
    }
    let metadata = entry(&mut body, "metadata");
    for server_side in [
        "creationTimestamp",
        "managedFields",
        "resourceVersion",
        "uid",
        "generation",
    ] {
        metadata.remove(server_side);
    }
    match &reference.namespace {
        Some(namespace) => metadata.insert("namespace".into(), namespace.as_str().into()),
        None => metadata.remove("namespace"),
    };
    let labels = entry(&mut body["metadata"], "labels");
    labels.insert(MANAGED_BY.into(), MANAGER.into());
    labels.insert(STACK_LABEL.into(), stack.name().into());
    if reference.kind == "Secret" {
        encode_string_data(&mut body);
    }
    let autoscaled = scaled.contains(&reference);
    if autoscaled && let Some(spec) = body.get_mut("spec").and_then(Json::as_object_mut) {
        spec.remove("replicas");
    }
    let hash = hash::of(&body);
    entry(&mut body["metadata"], "annotations")
        .insert(HASH_ANNOTATION.into(), hash.as_str().into());
    Prepared {
        phase: phase(reference.group(), &reference.kind),
        autoscaled,
        reference,
        body,
        hash,
    }
}

/// Targets of the `ScaledObjects` and `HorizontalPodAutoscalers` of a set.
pub(crate) fn scaled_targets<'a>(
    objects: impl Iterator<Item = (&'a Json, &'a ObjectRef)>,
) -> BTreeSet<ObjectRef> {
    objects
        .filter(|(_, it)| matches!(it.kind.as_str(), "ScaledObject" | "HorizontalPodAutoscaler"))
        .filter_map(|(object, it)| {
            let target = object.pointer("/spec/scaleTargetRef")?;
            let or =
                |found: &'a str, default: &'a str| if found.is_empty() { default } else { found };
            Some(ObjectRef::new(
                or(text(target, "/apiVersion"), "apps/v1"),
                or(text(target, "/kind"), "Deployment"),
                it.namespace.as_deref(),
                target.get("name")?.as_str()?,
            ))
        })
        .collect()
}

/// `stringData` is write-only: its fields would belong to us under another name than the one in which they are stored.
fn encode_string_data(body: &mut Json) {
    let Some(Json::Object(plain)) = body.as_object_mut().and_then(|it| it.remove("stringData"))
    else {
        return;
    };
    let data = entry(body, "data");
    for (key, value) in plain {
        let bytes = ByteString(value.as_str().unwrap_or_default().as_bytes().to_vec());
        data.insert(key, json!(bytes));
    }
}

fn entry<'a>(object: &'a mut Json, key: &str) -> &'a mut Map<String, Json> {
    if !object[key].is_object() {
        object[key] = json!({});
    }
    match &mut object[key] {
        Json::Object(map) => map,
        _ => unreachable!("it was just made an object"),
    }
}

fn drop_nulls(value: &mut Json) {
    match value {
        Json::Object(map) => {
            map.retain(|_, value| !value.is_null());
            map.values_mut().for_each(drop_nulls);
        }
        Json::Array(list) => list.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

/// Whether a definition of this set brings a kind, and whether its objects live in a namespace.
pub(crate) fn defined_here(objects: &[Json], reference: &ObjectRef) -> Option<bool> {
    objects
        .iter()
        .filter(|it| text(it, "/kind") == "CustomResourceDefinition")
        .find(|it| {
            text(it, "/spec/group") == reference.group()
                && text(it, "/spec/names/kind") == reference.kind
                && items(it, "/spec/versions")
                    .iter()
                    .any(|version| reference.api_version.ends_with(text(version, "/name")))
        })
        .map(|it| text(it, "/spec/scope") != "Cluster")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prepared(objects: &[Json]) -> Vec<Prepared> {
        let stack = Stack::new("demo", "keda").unwrap();
        prepare(objects, &stack, |it| it.kind != "Namespace").unwrap()
    }

    fn worker() -> Json {
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "worker", "creationTimestamp": null},
            "spec": {"replicas": 3, "template": {}}, "status": {"replicas": 1}})
    }

    fn scaler(kind: Option<&str>) -> Json {
        let mut target = json!({"name": "worker"});
        if let Some(kind) = kind {
            target["kind"] = kind.into();
        }
        json!({"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": {"name": "worker"},
            "spec": {"scaleTargetRef": target}})
    }

    #[test]
    fn labels_namespace_and_hash_are_put_on() {
        let all = prepared(&[worker()]);
        let metadata = &all[0].body["metadata"];
        assert_eq!(metadata["namespace"], "keda");
        assert_eq!(metadata["labels"][STACK_LABEL], "demo");
        assert_eq!(metadata["labels"][MANAGED_BY], "kedactl");
        assert_eq!(
            metadata["annotations"][HASH_ANNOTATION],
            all[0].hash.as_str()
        );
        assert!(all[0].body.get("status").is_none() && metadata.get("creationTimestamp").is_none());
        assert_eq!(all[0].body["spec"]["replicas"], 3, "nobody scales it");
    }

    #[test]
    fn replicas_of_a_scaled_target_are_never_claimed() {
        for kind in [None, Some("Deployment")] {
            let all = prepared(&[worker(), scaler(kind)]);
            assert!(all[0].autoscaled && all[0].body["spec"].get("replicas").is_none());
        }
        let all = prepared(&[worker(), scaler(Some("StatefulSet"))]);
        assert!(!all[0].autoscaled);
    }

    #[test]
    fn the_hash_follows_the_content_and_nothing_else() {
        let one = &prepared(&[worker()])[0].hash;
        let mut other = worker();
        other["status"] = json!({"replicas": 9});
        assert_eq!(one, &prepared(&[other])[0].hash);
        let mut other = worker();
        other["spec"]["replicas"] = 4.into();
        assert_ne!(one, &prepared(&[other])[0].hash);
    }

    #[test]
    fn string_data_is_encoded() {
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"a": "hi"}});
        let all = prepared(&[secret]);
        assert_eq!(all[0].body["data"]["a"], "aGk=");
        assert!(all[0].body.get("stringData").is_none());
    }

    #[test]
    fn the_same_object_twice_is_refused() {
        let stack = Stack::new("demo", "keda").unwrap();
        let error = prepare(&[worker(), worker()], &stack, |_| true).unwrap_err();
        assert!(
            error.to_string().contains("Deployment keda/worker"),
            "{error}"
        );
    }

    #[test]
    fn a_namespace_remembers_who_made_it() {
        let all = prepared(&[
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}}),
        ]);
        let created = |live: Option<&Json>| {
            let body = all[0].body_over(live);
            annotation(&body, ORIGIN_ANNOTATION).is_some()
        };
        assert!(created(None));
        assert!(!created(Some(&json!({"metadata": {"name": "n"}}))));
        let ours = json!({"metadata": {"annotations": {ORIGIN_ANNOTATION: "created"}}});
        assert!(created(Some(&ours)));
    }

    #[test]
    fn a_definition_in_the_set_tells_the_scope() {
        let definition = json!({"kind": "CustomResourceDefinition", "spec": {"group": "example.org", "scope": "Cluster",
            "names": {"kind": "Widget"}, "versions": [{"name": "v1"}]}});
        let widget = ObjectRef::new("example.org/v1", "Widget", None, "w");
        assert_eq!(defined_here(&[definition], &widget), Some(false));
        assert_eq!(defined_here(&[], &widget), None);
    }
}
