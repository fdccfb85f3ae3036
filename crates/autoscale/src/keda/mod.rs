//! The operator's loop over one `ScaledObject`: poll the triggers, take the steps that the HPA cannot take.
//!
//! Must not wait, read a trigger or write a scale: readings come in, an action and its reason go out.

mod composite;
mod executor;
mod fallback;
mod machine;
mod outcome;
mod served;
mod trigger;

pub use machine::KedaLoop;
pub use outcome::{KedaReason, PollOutcome, Scale, TriggerView};
pub use served::{ServeInput, ServedMetric};
pub use trigger::{TriggerError, TriggerSpec, TriggerTarget, metric_name};

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// Name of the metric that a formula is served as.
pub const COMPOSITE_METRIC: &str = "composite-metric";

/// Which operator is modelled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum KedaVersion {
    /// 2.20: every poll reads every trigger.
    #[default]
    V2_20,
    /// 2.21 and later: where the loop cannot act (minimum above 0, no idle count, no cached metric, no
    /// formula) it reuses what the HPA saw (kedacore/keda#7999).
    V2_21,
}

/// What the loop must know beside the object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KedaOptions {
    /// Which operator is modelled.
    #[serde(default)]
    pub version: KedaVersion,
    /// When the `ScaledObject` was created; `initialCooldownPeriod` counts from here.
    pub created: Timestamp,
}

/// One trigger's answer. A trigger that was not asked, or that gave none, is simply absent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Reading {
    /// Index of the trigger in `spec.triggers`.
    pub trigger: usize,
    /// What it said.
    pub result: ReadingResult,
}

impl Reading {
    /// A value, in thousandths.
    pub fn milli(trigger: usize, milli: i64) -> Self {
        Self {
            trigger,
            result: ReadingResult::Value {
                milli,
                active: None,
            },
        }
    }

    /// A whole number, such as the length of a list; saturates.
    pub fn count(trigger: usize, count: u64) -> Self {
        let milli = i64::try_from(count)
            .unwrap_or(i64::MAX)
            .saturating_mul(1000);
        Self::milli(trigger, milli)
    }

    /// A failure, after the scaler's one immediate retry.
    pub fn failed(trigger: usize, error: impl Into<String>) -> Self {
        Self {
            trigger,
            result: ReadingResult::Failed {
                error: error.into(),
            },
        }
    }
}

/// What one trigger said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum ReadingResult {
    /// A value.
    Value {
        /// Thousandths.
        milli: i64,
        /// The scaler's own word on activity, where it is not `value > activation` (cron).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        active: Option<bool>,
    },
    /// No value.
    Failed {
        /// One line.
        error: String,
    },
}

/// Everything a poll looks at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PollInput {
    /// `spec.replicas` of the target.
    pub current_replicas: i32,
    /// Ready pods of the target; only fallbacks of `Value` metrics need it.
    pub ready_replicas: i32,
    /// Answers of the external triggers.
    pub readings: Vec<Reading>,
}

/// What the loop remembers; the operator keeps it in the object's status, so it survives a restart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KedaState {
    /// Whole second of the last activity; `None` where a target was never active.
    #[serde(default)]
    pub last_active: Option<Timestamp>,
    /// Failures in a row, by metric name.
    #[serde(default)]
    pub failures: BTreeMap<String, i32>,
    /// What each trigger said last: for cached metrics, and for operators that do not poll.
    #[serde(default)]
    pub observed: BTreeMap<usize, ReadingResult>,
}
