//! What the rules found, with the values that cure it.
//! Merges values; judges nothing.

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::Rule;

/// One broken rule.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    /// The rule.
    pub rule: &'static Rule,
    /// The release.
    pub release: String,
    /// What is wrong there, in lower case, without a full stop.
    pub message: String,
    /// A part of a values file that cures it; `null` where only a person can say what is meant.
    pub patch: Value,
}

impl Finding {
    pub(crate) fn new(
        rule: &'static Rule,
        release: &str,
        message: impl Into<String>,
        patch: Value,
    ) -> Self {
        Self {
            rule,
            release: release.to_owned(),
            message: message.into(),
            patch,
        }
    }

    /// With values of the release itself as the cure.
    pub(crate) fn values(
        rule: &'static Rule,
        release: &str,
        message: impl Into<String>,
        values: &Value,
    ) -> Self {
        let patch = json!({"releases": {release: {"values": values}}});
        Self::new(rule, release, message, patch)
    }
}

/// Lays a patch over others: maps merge, everything else replaces.
pub fn lay(below: &mut Value, over: &Value) {
    let Value::Object(over) = over else {
        if !over.is_null() {
            *below = over.clone();
        }
        return;
    };
    if !below.is_object() {
        *below = Value::Object(Map::new());
    }
    for (key, value) in over {
        if value.is_object() {
            lay(&mut below[key], value);
        } else {
            below[key] = value.clone();
        }
    }
}

/// Values with one at a path of keys.
pub(crate) fn at(path: &[&str], value: Value) -> Value {
    path.iter()
        .rev()
        .fold(value, |inner, key| json!({*key: inner}))
}
