//! What a comparison found: each decision of the real controllers beside the computed one.
//!
//! Must not compare.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// Everything a recording shows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The namespace that was recorded.
    pub namespace: String,
    /// When the recording began; other times are shown relative to it.
    pub start: Timestamp,
    /// When it ended.
    pub end: Timestamp,
    /// One for each HPA and each `ScaledObject`.
    pub comparisons: Vec<Comparison>,
    /// Sizes that a controller wrote although none of its decisions that were seen says so.
    pub unclaimed: Vec<Change>,
    /// Sizes that somebody else wrote.
    pub foreign: Vec<Change>,
    /// Objects that could not be read, in one sentence each.
    pub unread: Vec<String>,
}

/// One controller's decisions about one target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Comparison {
    /// Which controller.
    pub controller: Controller,
    /// The HPA or the `ScaledObject`.
    pub object: String,
    /// The Deployment.
    pub target: String,
    /// In order of time.
    pub steps: Vec<Step>,
}

/// Who decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Controller {
    /// The HPA controller.
    Hpa,
    /// KEDA's loop.
    Keda,
}

/// One sync or poll.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    /// When its outcome was seen; where it left no trace, when it must have been.
    pub at: Timestamp,
    /// Whether it left a trace. A sync or poll that changes nothing leaves none.
    pub seen: bool,
    /// Size before.
    pub current: i32,
    /// Size that the real controller decided.
    pub real: i32,
    /// Sizes that the readings allow, ascending; one where they are exact.
    pub predicted: Vec<i32>,
    /// What was read.
    pub reading: String,
    /// The result.
    pub verdict: Verdict,
}

/// What the comparison of one step says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Every reading that is possible leads to the real decision, its conditions and their words.
    Equal,
    /// Some possible reading does; the cause says why several are possible.
    Within(Cause),
    /// None does.
    Different(String),
}

/// Why a step cannot be computed exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// The status shows the metric rounded up to a thousandth a pod.
    Rounding,
    /// Something it read changed about the time at which it looked.
    Between,
    /// The edge of a window, period or cooldown lies where its time is not known better.
    Edge,
    /// It depends on what happened before the recording began.
    Before,
    /// The watch was interrupted here.
    Interrupted,
    /// No reading is known for this time.
    NoReading,
    /// The real controller could not write the size.
    NotWritten,
}

impl Cause {
    /// Returns the cause as a short phrase.
    pub fn phrase(self) -> &'static str {
        match self {
            Self::Rounding => "the status shows the metric rounded",
            Self::Between => "a reading changed as it looked",
            Self::Edge => "the edge of a window lies within its time's uncertainty",
            Self::Before => "it depends on what was before the recording",
            Self::Interrupted => "the watch was interrupted",
            Self::NoReading => "no reading is known",
            Self::NotWritten => "the real controller could not write the size",
        }
    }
}

/// A size that was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// When it was seen.
    pub at: Timestamp,
    /// The Deployment.
    pub target: String,
    /// Before.
    pub from: i32,
    /// After.
    pub to: i32,
    /// The field manager that wrote it; empty where nobody says.
    pub writer: String,
}

/// How many steps had which result.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// Steps that left a trace.
    pub seen: usize,
    /// Steps that left none.
    pub unseen: usize,
    /// Steps that changed the size.
    pub changes: usize,
    /// Exactly the same.
    pub equal: usize,
    /// Explained, by cause.
    pub within: BTreeMap<Cause, usize>,
    /// Not explained.
    pub different: usize,
}

impl Counts {
    fn add(&mut self, step: &Step) {
        *(if step.seen {
            &mut self.seen
        } else {
            &mut self.unseen
        }) += 1;
        self.changes += usize::from(step.real != step.current);
        match &step.verdict {
            Verdict::Equal => self.equal += 1,
            Verdict::Within(cause) => *self.within.entry(*cause).or_default() += 1,
            Verdict::Different(_) => self.different += 1,
        }
    }

    /// Returns the number of steps.
    pub fn compared(&self) -> usize {
        self.seen + self.unseen
    }
}

impl Comparison {
    /// Counts its steps.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        self.steps.iter().for_each(|step| counts.add(step));
        counts
    }

    /// Returns the sizes that the real controller decided, one after the other without repetition.
    pub fn sizes(&self) -> Vec<i32> {
        let mut sizes: Vec<i32> = self.steps.iter().map(|step| step.real).collect();
        sizes.dedup();
        sizes
    }
}

impl Report {
    /// Counts all steps.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        let steps = self.comparisons.iter().flat_map(|it| &it.steps);
        steps.for_each(|step| counts.add(step));
        counts
    }

    /// Returns the steps that nothing explains.
    pub fn differences(&self) -> impl Iterator<Item = (&Comparison, &Step)> {
        let each = |it| Comparison::differences(it).map(move |step| (it, step));
        self.comparisons.iter().flat_map(each)
    }

    /// Says whether everything that was seen is equal or explained. An empty recording proves nothing.
    pub fn holds(&self) -> bool {
        self.counts().compared() > 0
            && self.differences().next().is_none()
            && self.unclaimed.is_empty()
            && self.unread.is_empty()
    }

    /// Returns the comparison for one object.
    pub fn of(&self, controller: Controller, object: &str) -> Option<&Comparison> {
        self.comparisons
            .iter()
            .find(|it| it.controller == controller && it.object == object)
    }
}

impl Comparison {
    /// Returns the steps that nothing explains.
    pub fn differences(&self) -> impl Iterator<Item = &Step> {
        self.steps
            .iter()
            .filter(|step| matches!(step.verdict, Verdict::Different(_)))
    }
}
