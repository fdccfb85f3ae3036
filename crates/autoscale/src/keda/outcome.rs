//! What a poll decided, and why, as a value and as a sentence.
//!
//! Must not decide.

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// A write to the target's scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Scale {
    /// The new `spec.replicas`.
    pub to: i32,
}

/// The result of one poll.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PollOutcome {
    /// The write to make, if any; where it fails, call `KedaLoop::scale_failed`.
    pub action: Option<Scale>,
    /// Whether the object counts as active.
    pub active: bool,
    /// Whether a trigger failed and no fallback stood in.
    pub failed: bool,
    /// Why this was decided.
    pub reason: KedaReason,
    /// The reason as one sentence.
    pub message: String,
    /// Last activity after this poll.
    pub last_active: Option<Timestamp>,
    /// Value of the formula in thousandths, where there is one.
    pub composite_milli: Option<i64>,
    /// What each external trigger contributed.
    pub triggers: Vec<TriggerView>,
}

/// One external trigger as the poll saw it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TriggerView {
    /// Position in `spec.triggers`.
    pub trigger: usize,
    /// Name under which the metric is served.
    pub metric: String,
    /// Thousandths; absent where it failed.
    pub milli: Option<i64>,
    /// Whether it alone would count as active.
    pub active: bool,
    /// Whether the value is the fallback's.
    pub fallback: bool,
    /// Failures in a row, after this reading.
    pub failures: i32,
    /// What went wrong.
    pub error: Option<String>,
}

/// Why a poll did what it did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum KedaReason {
    /// Paused by annotation; the count is what the annotation wants.
    Paused,
    /// Paused by annotation; the count goes to the annotation's number.
    PausedAt,
    /// Active and at zero (or at idle): up to the minimum, at least 1.
    Activated,
    /// Would have been activated, but `paused-scale-out` forbids it.
    HeldByPausedScaleOut,
    /// Active, above zero: the HPA is in charge.
    Active,
    /// Active, but a trigger failed: nothing is done and the activity is not recorded.
    ActiveWithError,
    /// Inactive, a trigger failed and no fallback is set: nothing is done.
    HeldByError,
    /// Inactive, a trigger failed and a fallback wants pods: nothing is done.
    HeldByFallback,
    /// Inactive for longer than the cooldown: down to zero or idle, from any count.
    Deactivated,
    /// Inactive; the cooldown since the last activity has not passed.
    HeldByCooldown {
        /// The first poll after this point may act.
        until: Timestamp,
    },
    /// Never active; the initial cooldown since the object's creation has not passed.
    HeldByInitialCooldown {
        /// The first poll after this point may act.
        until: Timestamp,
    },
    /// Would have been deactivated, but `paused-scale-in` forbids it.
    HeldByPausedScaleIn,
    /// Inactive and below the minimum: up to it.
    RaisedToMinimum,
    /// Inactive, and already where inactivity leads.
    Inactive,
}

impl KedaReason {
    /// Returns the reason as one sentence, with the clock that holds a scale-in and how long it still does.
    pub fn sentence(self, now: Timestamp, current: i32, to: Option<i32>) -> String {
        let to = to.unwrap_or(current);
        match self {
            Self::Paused => format!("paused by annotation, stays at {current}"),
            Self::PausedAt => format!("paused by annotation at {to}: {current} → {to}"),
            Self::Activated => format!("a trigger is active: {current} → {to}"),
            Self::HeldByPausedScaleOut => {
                format!("a trigger is active, but paused-scale-out keeps {current}")
            }
            Self::Active => format!("active at {current}; the HPA decides"),
            Self::ActiveWithError => {
                format!("active at {current}, but a trigger failed: activity is not recorded")
            }
            Self::HeldByError => {
                format!("a trigger failed and no fallback is set, stays at {current}")
            }
            Self::HeldByFallback => {
                format!("a trigger failed and a fallback is set, stays at {current}")
            }
            Self::Deactivated => format!("inactive for longer than the cooldown: {current} → {to}"),
            Self::HeldByCooldown { until } => format!(
                "inactive, but cooldownPeriod holds {current} until {until} ({} s more)",
                remaining(now, until)
            ),
            Self::HeldByInitialCooldown { until } => format!(
                "inactive, but initialCooldownPeriod holds {current} until {until} ({} s more)",
                remaining(now, until)
            ),
            Self::HeldByPausedScaleIn => format!("inactive, but paused-scale-in keeps {current}"),
            Self::RaisedToMinimum => format!("below minReplicaCount: {current} → {to}"),
            Self::Inactive => format!("inactive, stays at {current}"),
        }
    }
}

/// Seconds left, rounded up so that a hold never reads as over.
fn remaining(now: Timestamp, until: Timestamp) -> i64 {
    -now.secs_since(until)
}
