//! What a sync decided: the size, upstream's reasons and conditions word for word, and the steps in between.
//!
//! Must not decide.

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// The result of one sync.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HpaDecision {
    /// The size to have; equal to `current` where nothing is to be written.
    pub desired: i32,
    /// The size as it is (`spec.replicas`).
    pub current: i32,
    /// Upstream's reason for a change: `… above target`, `All metrics below target`, ….
    pub reason: Option<String>,
    /// Events of this sync, in upstream's words.
    pub events: Vec<Event>,
    /// Conditions that this sync set.
    pub conditions: Vec<Condition>,
    /// How the size came about.
    pub trace: Trace,
}

impl HpaDecision {
    /// Says whether the scale must be written; where that fails, call `Hpa::rescale_failed`.
    pub fn rescale(&self) -> bool {
        self.desired != self.current
    }

    /// Returns the condition of a type, if this sync set it.
    pub fn condition(&self, kind: &str) -> Option<&Condition> {
        self.conditions
            .iter()
            .find(|condition| condition.kind == kind)
    }

    /// Sets a condition, replacing an earlier one of the same type.
    pub(super) fn set(
        &mut self,
        kind: &str,
        status: bool,
        reason: &str,
        message: impl Into<String>,
    ) {
        let status = if status {
            ConditionStatus::True
        } else {
            ConditionStatus::False
        };
        let new = Condition {
            kind: kind.to_owned(),
            status,
            reason: reason.to_owned(),
            message: message.into(),
        };
        match self
            .conditions
            .iter_mut()
            .find(|condition| condition.kind == kind)
        {
            Some(old) => *old = new,
            None => self.conditions.push(new),
        }
    }
}

/// A Kubernetes event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Event {
    /// `Normal` or `Warning`.
    #[serde(rename = "type")]
    pub kind: EventType,
    /// Such as `SuccessfulRescale`.
    pub reason: String,
    /// Such as `New size: 4; reason: All metrics below target`.
    pub message: String,
}

/// Type of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EventType {
    /// Told.
    Normal,
    /// Told with worry.
    Warning,
}

/// A condition of the HPA's status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Condition {
    /// `AbleToScale`, `ScalingActive` or `ScalingLimited`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Status.
    pub status: ConditionStatus,
    /// One word.
    pub reason: String,
    /// One sentence.
    pub message: String,
}

/// Status of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConditionStatus {
    /// It holds.
    True,
    /// It does not.
    False,
}

/// The steps from metrics to size.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Trace {
    /// What each metric proposed.
    pub proposals: Vec<ProposalTrace>,
    /// Largest proposal, before windows and rates.
    pub raw: Option<i32>,
    /// After the stabilization window.
    pub stabilized: Option<i32>,
    /// What limited the size after that.
    pub limit: Option<Limit>,
    /// What keeps the size above the proposal, and until when.
    pub hold: Option<Hold>,
    /// All of it as one line.
    pub summary: String,
}

/// One metric's part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProposalTrace {
    /// Upstream's name of the metric.
    pub metric: String,
    /// Pods; absent where it failed.
    pub replicas: Option<i32>,
    /// What was measured: thousandths in all or a pod, or percent for utilization.
    pub measured: Option<i64>,
    /// Thousandths a pod that counted, where `measured` is percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub average: Option<i64>,
    /// What went wrong.
    pub error: Option<String>,
}

/// What limited a size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Limit {
    /// Nothing did.
    DesiredWithinRange,
    /// The upper bound.
    TooManyReplicas,
    /// The lower bound.
    TooFewReplicas,
    /// The rate upwards.
    ScaleUpLimit,
    /// The rate downwards.
    ScaleDownLimit,
}

impl Limit {
    /// Returns upstream's word for it.
    pub fn reason(self) -> &'static str {
        match self {
            Self::DesiredWithinRange => "DesiredWithinRange",
            Self::TooManyReplicas => "TooManyReplicas",
            Self::TooFewReplicas => "TooFewReplicas",
            Self::ScaleUpLimit => "ScaleUpLimit",
            Self::ScaleDownLimit => "ScaleDownLimit",
        }
    }

    /// Returns upstream's sentence for it.
    pub fn message(self) -> &'static str {
        match self {
            Self::DesiredWithinRange => "the desired count is within the acceptable range",
            Self::TooManyReplicas => {
                "the desired replica count is more than the maximum replica count"
            }
            Self::TooFewReplicas => {
                "the desired replica count is less than the minimum replica count"
            }
            Self::ScaleUpLimit => {
                "the desired replica count is increasing faster than the maximum scale rate"
            }
            Self::ScaleDownLimit => {
                "the desired replica count is decreasing faster than the maximum scale rate"
            }
        }
    }
}

/// A remembered proposal that keeps the size up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Hold {
    /// The proposal that counts.
    pub replicas: i32,
    /// When it was made.
    pub since: Timestamp,
    /// When it leaves the window.
    pub until: Timestamp,
}
