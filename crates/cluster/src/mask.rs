//! Shows that a secret changed without showing it.
//! Must never let a value of a Secret through, nor more of its hash than tells two values apart.

use std::collections::BTreeSet;

use k8s_openapi::ByteString;
use serde_json::Value as Json;

use crate::hash::sha256;
use crate::object::text;

/// `***(44 B, sha256:ab12)`.
pub(crate) fn masked(bytes: &[u8]) -> String {
    let hash = sha256(bytes);
    format!("***({} B, sha256:{})", bytes.len(), &hash[..4])
}

/// The object with every value of a Secret masked. Other kinds come back as they are.
pub(crate) fn object(value: &Json) -> Json {
    let mut shown = value.clone();
    if text(value, "/kind") == "Secret" {
        for field in ["data", "stringData"] {
            let Some(map) = shown.get_mut(field).and_then(Json::as_object_mut) else {
                continue;
            };
            for value in map.values_mut() {
                *value = masked(&decoded(value, field == "data")).into();
            }
        }
        // `kubectl apply` keeps a copy of the whole Secret in an annotation.
        let annotations = shown.pointer_mut("/metadata/annotations");
        if let Some(map) = annotations.and_then(Json::as_object_mut) {
            let last = map.get_mut("kubectl.kubernetes.io/last-applied-configuration");
            if let Some(value) = last {
                *value = masked(value.as_str().unwrap_or_default().as_bytes()).into();
            }
        }
    }
    shown
}

fn decoded(value: &Json, base64: bool) -> Vec<u8> {
    let plain = value.as_str().unwrap_or_default().as_bytes().to_vec();
    if !base64 {
        return plain;
    }
    serde_json::from_value::<ByteString>(value.clone()).map_or(plain, |it| it.0)
}

/// Known secrets, to be taken out of texts that others wrote (logs, events).
#[derive(Clone, Default)]
pub struct Secrets(BTreeSet<String>);

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Secrets({})", self.0.len())
    }
}

impl Secrets {
    /// Every value of every Secret among the objects. Values under six characters are not looked for: they would hit anywhere.
    pub fn of<'a>(objects: impl IntoIterator<Item = &'a Json>) -> Self {
        let mut all = Self::default();
        for object in objects {
            if text(object, "/kind") != "Secret" {
                continue;
            }
            for field in ["data", "stringData"] {
                let map = object.get(field).and_then(Json::as_object);
                for value in map.into_iter().flat_map(serde_json::Map::values) {
                    let bytes = decoded(value, field == "data");
                    all.add(&String::from_utf8_lossy(&bytes));
                }
            }
        }
        all
    }

    /// One more secret.
    pub fn add(&mut self, secret: &str) {
        let secret = secret.trim();
        if secret.len() >= 6 && !secret.contains('\n') {
            self.0.insert(secret.to_owned());
        }
    }

    /// The text without the secrets.
    pub fn scrub(&self, text: &str) -> String {
        // Longer ones first: a secret may contain another.
        let mut known: Vec<&String> = self.0.iter().collect();
        known.sort_by_key(|it| std::cmp::Reverse(it.len()));
        let mut text = text.to_owned();
        for secret in known {
            if text.contains(secret.as_str()) {
                text = text.replace(secret.as_str(), "***");
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_secret_shows_its_size_and_four_digits() {
        let secret = json!({"kind": "Secret", "data": {"password": "aHVudGVyMg=="}, "stringData": {"x": "hunter2"}});
        let shown = object(&secret);
        assert_eq!(shown["data"]["password"], "***(7 B, sha256:f52f)");
        assert_eq!(shown["stringData"]["x"], "***(7 B, sha256:f52f)");
        let map = json!({"kind": "ConfigMap", "data": {"a": "b"}});
        assert_eq!(object(&map), map);
    }

    #[test]
    fn known_secrets_leave_no_trace_in_texts() {
        let mut secrets = Secrets::of([
            &json!({"kind": "Secret", "data": {"p": "aHVudGVyMg==", "short": "YWI="}}),
        ]);
        secrets.add("hunter2hunter2");
        assert_eq!(
            secrets.scrub("AUTH hunter2hunter2 and hunter2, ab"),
            "AUTH *** and ***, ab"
        );
        assert_eq!(format!("{secrets:?}"), "Secrets(2)");
    }
}
