//! What a long job says while it runs.
//! Must not say how it looks on a screen: an event is data, with a stable JSON form.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Names one step of a job (`redis`, `workload/api`). Stable between runs, so that readers may key on it.
#[derive(
    Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct StepId(pub String);

impl fmt::Display for StepId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&str> for StepId {
    fn from(value: &str) -> Self {
        Self(value.to_owned())
    }
}

impl From<String> for StepId {
    fn from(value: String) -> Self {
        Self(value)
    }
}

/// One thing that happened in one step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Event {
    /// Milliseconds since the Unix epoch.
    pub at: u64,
    /// The step that speaks.
    pub step: StepId,
    /// What it says.
    #[serde(flatten)]
    pub kind: Kind,
}

/// What a step can say. `Started` comes first and `Done` or `Failed` last, each once; `Skipped` stands alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Kind {
    /// The step began.
    Started {
        /// What a user would call it: "redis and sentinels".
        title: String,
    },
    /// It moved on.
    Progress {
        /// Units done so far.
        done: u64,
        /// Units in all, where known.
        total: Option<u64>,
        /// What the units are, or what just happened.
        note: String,
    },
    /// It waits for a condition outside of its control.
    Waiting {
        /// The condition, as the end of the sentence "waiting for …".
        #[serde(rename = "for")]
        what: String,
    },
    /// It ended well.
    Done {
        /// What is there now.
        note: String,
        /// Whether anything was written, started or stopped.
        changed: bool,
    },
    /// It ended badly. The error itself travels in the job's own `Result`; this is for the readers.
    Failed {
        /// The error and its sources, in one line.
        error: String,
        /// What to do about it.
        hint: Option<String>,
    },
    /// It never began.
    Skipped {
        /// What a user would call it.
        title: String,
        /// Why: "`cluster` failed".
        reason: String,
    },
}

impl Kind {
    /// Whether no further event of the step follows.
    pub fn is_last(&self) -> bool {
        matches!(
            self,
            Self::Done { .. } | Self::Failed { .. } | Self::Skipped { .. }
        )
    }
}

/// The JSON schema of one [`Event`], for readers in other languages.
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(Event).to_value()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_flat_json_object() {
        let event = Event {
            at: 7,
            step: "redis".into(),
            kind: Kind::Waiting {
                what: "quorum".into(),
            },
        };
        let text = serde_json::to_string(&event).unwrap();
        assert_eq!(
            text,
            r#"{"at":7,"step":"redis","event":"waiting","for":"quorum"}"#
        );
        assert_eq!(serde_json::from_str::<Event>(&text).unwrap(), event);
    }
}
