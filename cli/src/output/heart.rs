//! Which steps run, what each said last, and which of them have been silent for too long.
//!
//! It must not print: the readers for logs do.

use super::style;
use kedactl_plan::{Event, Kind, StepId};
use std::collections::BTreeMap;

/// A step that says nothing for so long, in milliseconds, gets a line all the same.
const SILENCE: u64 = 15_000;

/// The steps that run.
#[derive(Debug, Default)]
pub(super) struct Heart {
    steps: BTreeMap<StepId, Running>,
}

#[derive(Debug)]
struct Running {
    title: String,
    begun: u64,
    heard: u64,
    what: String,
}

impl Heart {
    /// Takes notice of an event.
    pub(super) fn hear(&mut self, event: &Event) {
        let what = match &event.kind {
            Kind::Started { title } => {
                let running = Running {
                    title: title.clone(),
                    begun: event.at,
                    heard: event.at,
                    what: "still at work".to_owned(),
                };
                self.steps.insert(event.step.clone(), running);
                return;
            }
            Kind::Done { .. } | Kind::Failed { .. } | Kind::Skipped { .. } => {
                self.steps.remove(&event.step);
                return;
            }
            Kind::Progress { note, .. } => format!("still at {note}"),
            Kind::Waiting { what } => format!("still waiting for {what}"),
        };
        if let Some(step) = self.steps.get_mut(&event.step) {
            // The same wait said again is silence to whoever reads: it is shown once.
            if step.what != what {
                step.heard = event.at;
                step.what = what;
            }
        }
    }

    /// A line for each step that was silent for too long.
    pub(super) fn beat(&mut self, now: u64) -> Vec<String> {
        let silent = |step: &&mut Running| now.saturating_sub(step.heard) >= SILENCE;
        let line = |step: &mut Running| {
            step.heard = now;
            let age = style::age(now.saturating_sub(step.begun) / 1000);
            format!("  .. {}: {} ({age})", step.title, step.what)
        };
        self.steps.values_mut().filter(silent).map(line).collect()
    }

    /// The title of a step that runs, or its id.
    pub(super) fn title(&self, step: &StepId) -> String {
        let known = self.steps.get(step).map(|step| step.title.clone());
        known.unwrap_or_else(|| step.to_string())
    }

    /// Milliseconds for which the step has run at the time of its event.
    pub(super) fn age(&self, event: &Event) -> u64 {
        let begun = self.steps.get(&event.step).map_or(event.at, |it| it.begun);
        event.at.saturating_sub(begun)
    }
}
