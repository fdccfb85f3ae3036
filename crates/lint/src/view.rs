//! A value inside a document together with its path, read without ever failing: what is not there is `null`.
//! Decides nothing.

use serde_json::Value as Json;

static NULL: Json = Json::Null;

/// One place in a document.
#[derive(Clone, Debug)]
pub(crate) struct At<'a> {
    pub(crate) path: String,
    pub(crate) value: &'a Json,
}

impl<'a> At<'a> {
    /// The document itself.
    pub(crate) fn root(value: &'a Json) -> Self {
        Self {
            path: String::new(),
            value,
        }
    }

    /// The value of one key, whatever characters the key has.
    pub(crate) fn key(&self, key: &str) -> Self {
        let word = key
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
        let path = match (self.path.as_str(), word) {
            ("", true) => key.to_owned(),
            (path, true) => format!("{path}.{key}"),
            (path, false) => format!("{path}[{key:?}]"),
        };
        Self {
            path,
            value: self.value.get(key).unwrap_or(&NULL),
        }
    }

    /// The value at a dotted path of plain keys.
    pub(crate) fn dig(&self, path: &str) -> Self {
        path.split('.').fold(self.clone(), |at, key| at.key(key))
    }

    /// The entries of a list.
    pub(crate) fn items(&self) -> Vec<Self> {
        let entry = |(at, value)| Self {
            path: format!("{}[{at}]", self.path),
            value,
        };
        let items = self.value.as_array().into_iter().flatten();
        items.enumerate().map(entry).collect()
    }

    /// The entries of a map.
    pub(crate) fn entries(&self) -> Vec<(&'a str, Self)> {
        let map = self.value.as_object().into_iter().flatten();
        map.map(|(key, _)| (key.as_str(), self.key(key))).collect()
    }

    pub(crate) fn exists(&self) -> bool {
        !self.value.is_null()
    }

    pub(crate) fn text(&self) -> Option<&'a str> {
        self.value.as_str()
    }

    /// A boolean as the API server reads it: YAML 1.1 has more words for it than 1.2.
    pub(crate) fn flag(&self) -> Option<bool> {
        match self.value {
            Json::Bool(value) => Some(*value),
            Json::String(text) => match text.to_ascii_lowercase().as_str() {
                "yes" | "on" | "true" => Some(true),
                "no" | "off" | "false" => Some(false),
                _ => None,
            },
            _ => None,
        }
    }

    pub(crate) fn whole(&self) -> Option<i64> {
        self.value.as_i64()
    }

    /// A scalar as text.
    pub(crate) fn shown(&self) -> String {
        match self.value {
            Json::String(text) => text.clone(),
            other => other.to_string(),
        }
    }
}
