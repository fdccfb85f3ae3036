//! One object as JSON, and the words by which it is named.
//! Must not know an API server.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::error::Error;

/// Names one object. Two references are the same object when group, kind, namespace and name are equal: the version does not count.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectRef {
    /// `apps/v1`.
    pub api_version: String,
    /// `Deployment`.
    pub kind: String,
    /// Absent for objects of the whole cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// `api`.
    pub name: String,
}

impl ObjectRef {
    /// A reference from its parts.
    pub fn new(api_version: &str, kind: &str, namespace: Option<&str>, name: &str) -> Self {
        Self {
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
            namespace: namespace.map(str::to_owned),
            name: name.to_owned(),
        }
    }

    /// Reads `apiVersion`, `kind` and `metadata` of an object.
    pub fn of(object: &Json) -> Result<Self, Error> {
        let text = |pointer: &str| {
            let found = object.pointer(pointer).and_then(Json::as_str);
            found.filter(|text| !text.is_empty())
        };
        let need = |pointer: &str, field: &str| {
            text(pointer).ok_or_else(|| Error::Malformed {
                what: format!("object {}", brief(object)),
                problem: format!("it has no {field}"),
            })
        };
        Ok(Self {
            api_version: need("/apiVersion", "apiVersion")?.to_owned(),
            kind: need("/kind", "kind")?.to_owned(),
            namespace: text("/metadata/namespace").map(str::to_owned),
            name: need("/metadata/name", "metadata.name")?.to_owned(),
        })
    }

    /// `apps` of `apps/v1`; empty for the core group.
    pub fn group(&self) -> &str {
        self.api_version
            .split_once('/')
            .map_or("", |(group, _)| group)
    }

    /// What makes the object the object that it is.
    pub(crate) fn key(&self) -> (&str, &str, Option<&str>, &str) {
        (
            self.group(),
            &self.kind,
            self.namespace.as_deref(),
            &self.name,
        )
    }
}

impl PartialEq for ObjectRef {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for ObjectRef {}

impl PartialOrd for ObjectRef {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ObjectRef {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

impl std::hash::Hash for ObjectRef {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{} {namespace}/{}", self.kind, self.name),
            None => write!(f, "{} {}", self.kind, self.name),
        }
    }
}

/// A word or two about an object that may lack everything.
fn brief(object: &Json) -> String {
    let word = |pointer: &str| {
        let found = object.pointer(pointer).and_then(Json::as_str);
        found.unwrap_or("?").to_owned()
    };
    format!("{} {}", word("/kind"), word("/metadata/name"))
}

/// The text at a JSON pointer; empty where there is none.
pub(crate) fn text<'a>(object: &'a Json, pointer: &str) -> &'a str {
    object
        .pointer(pointer)
        .and_then(Json::as_str)
        .unwrap_or_default()
}

/// The whole number at a JSON pointer.
pub(crate) fn number(object: &Json, pointer: &str) -> Option<i64> {
    object.pointer(pointer).and_then(Json::as_i64)
}

/// The items of the list at a JSON pointer; none where there is none.
pub(crate) fn items<'a>(object: &'a Json, pointer: &str) -> &'a [Json] {
    object
        .pointer(pointer)
        .and_then(Json::as_array)
        .map_or(&[], Vec::as_slice)
}

/// A time of an object, in seconds since the Unix epoch; `None` where the text is no RFC 3339 time.
pub fn seconds(time: &str) -> Option<u64> {
    let time: k8s_openapi::jiff::Timestamp = time.parse().ok()?;
    u64::try_from(time.as_second()).ok()
}

/// One label of an object.
pub(crate) fn label<'a>(object: &'a Json, name: &str) -> Option<&'a str> {
    object.get("metadata")?.get("labels")?.get(name)?.as_str()
}

/// One annotation of an object.
pub(crate) fn annotation<'a>(object: &'a Json, name: &str) -> Option<&'a str> {
    object
        .get("metadata")?
        .get("annotations")?
        .get(name)?
        .as_str()
}

/// `metadata.resourceVersion`.
pub(crate) fn resource_version(object: &Json) -> &str {
    text(object, "/metadata/resourceVersion")
}

/// The condition of that type, if the object has it.
pub(crate) fn condition<'a>(object: &'a Json, kind: &str) -> Option<&'a Json> {
    items(object, "/status/conditions")
        .iter()
        .find(|it| text(it, "/type") == kind)
}

/// Whether the condition of that type has that status.
pub(crate) fn condition_is(object: &Json, kind: &str, status: &str) -> bool {
    condition(object, kind).is_some_and(|it| text(it, "/status") == status)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_reference_ignores_the_version() {
        let old = ObjectRef::new(
            "autoscaling/v2beta2",
            "HorizontalPodAutoscaler",
            Some("n"),
            "a",
        );
        let new = ObjectRef::new("autoscaling/v2", "HorizontalPodAutoscaler", Some("n"), "a");
        assert_eq!(old, new);
        assert_ne!(new, ObjectRef::new("apps/v1", "Deployment", Some("n"), "a"));
        assert_eq!(new.to_string(), "HorizontalPodAutoscaler n/a");
    }

    #[test]
    fn an_object_without_a_name_is_refused_by_what_it_has() {
        let error = ObjectRef::of(&json!({"apiVersion": "v1", "kind": "Secret"})).unwrap_err();
        assert_eq!(
            error.to_string(),
            "object Secret ? is not usable: it has no metadata.name"
        );
    }
}
