//! What became of one applied object.
//! Must not hold values of Secrets.

use serde::Serialize;
use serde_json::Value as Json;

use crate::diff::{clean, fields};
use crate::mask;
use crate::object::{ObjectRef, resource_version};

/// What an apply did to an object, told from its `resourceVersion`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum Change {
    /// It was not there.
    Created,
    /// It was there and is different now.
    Changed {
        /// The fields that differ; empty where only bookkeeping does.
        fields: Vec<String>,
    },
    /// It was as it should be; nothing was stored.
    Unchanged,
}

/// One applied object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Applied {
    /// The object.
    pub object: ObjectRef,
    /// What was done to it.
    #[serde(flatten)]
    pub change: Change,
    /// Its `resourceVersion` now.
    pub resource_version: String,
    /// What the API server warned of.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Fields that were put back from a hand edit, on request.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reverted: Vec<String>,
}

impl Applied {
    /// Whether anything was stored.
    pub fn changed(&self) -> bool {
        self.change != Change::Unchanged
    }
}

/// Tells what happened from the object before and after.
pub(crate) fn change(before: Option<&Json>, after: &Json, autoscaled: bool) -> Change {
    let Some(before) = before else {
        return Change::Created;
    };
    if resource_version(before) == resource_version(after) {
        return Change::Unchanged;
    }
    let shown = |it: &Json| clean(&mask::object(it), autoscaled);
    let fields = fields::changes(&shown(before), &shown(after));
    Change::Changed {
        fields: fields.into_iter().map(|it| it.path).collect(),
    }
}
