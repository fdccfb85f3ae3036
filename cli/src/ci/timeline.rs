//! What happened when, from all that told of it: steps of the run, events of the cluster, decisions of the autoscalers.
//!
//! It must not judge what caused what: order is all that it gives.

use jiff::Timestamp;
use kedactl_load::RunResult;
use kedactl_plan::{Event, Kind};
use serde::Serialize;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct Moment {
    /// Milliseconds since the Unix epoch.
    pub(crate) at: u64,
    /// Who told of it: `up`, `cluster`, `scaling`.
    pub(crate) source: String,
    pub(crate) text: String,
}

/// Moments in their order.
#[derive(Debug, Default)]
pub(crate) struct Timeline(Vec<Moment>);

impl Timeline {
    pub(crate) fn add(&mut self, at: u64, source: &str, text: String) {
        let source = source.to_owned();
        self.0.push(Moment { at, source, text });
    }

    /// Beginnings and ends of steps, and what they waited for.
    pub(crate) fn add_events(&mut self, phase: &str, events: &[Event]) {
        for event in events {
            let step = &event.step;
            let text = match &event.kind {
                Kind::Started { .. } => format!("{step} begins"),
                Kind::Progress { .. } => continue,
                Kind::Waiting { what } => format!("{step} waits for {what}"),
                Kind::Done { note, .. } => format!("{step} done: {note}"),
                Kind::Failed { error, .. } => format!("{step} failed: {error}"),
                Kind::Skipped { reason, .. } => format!("{step} skipped: {reason}"),
            };
            self.add(event.at, phase, text);
        }
    }

    /// What autoscalers decided under a load.
    pub(crate) fn add_load(&mut self, result: &RunResult) {
        let start = result.started_at_us / 1000;
        for point in &result.timeline {
            let at = start + (point.at_s * 1000.0) as u64;
            for reason in &point.sample.reasons {
                self.add(at, "scaling", reason.clone());
            }
        }
    }

    /// One line a moment.
    pub(crate) fn text(mut self) -> String {
        self.0.sort();
        let mut out = String::new();
        for it in &self.0 {
            let text = it.text.replace('\n', " ");
            out += &format!("{} {:<8} {text}\n", clock(it.at), it.source);
        }
        out
    }
}

/// `2026-11-27T10:15:02.031Z`.
fn clock(at: u64) -> String {
    let time = Timestamp::from_millisecond(at as i64).unwrap_or_default();
    format!("{time:.3}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_of_all_sources_stand_in_their_order() {
        let mut timeline = Timeline::default();
        let event = |at, step: &str, kind| Event {
            at,
            step: step.into(),
            kind,
        };
        let failed = Kind::Failed {
            error: "OOMKilled".to_owned(),
            hint: None,
        };
        let events = [
            event(1_764_238_502_031, "ready", failed),
            event(
                1_764_238_500_000,
                "app",
                Kind::Started {
                    title: "application".to_owned(),
                },
            ),
        ];
        timeline.add_events("up", &events);
        timeline.add(
            1_764_238_501_500,
            "cluster",
            "Pod api-1: Killing:\nstopping".to_owned(),
        );
        insta::assert_snapshot!(timeline.text(), @r"
        2025-11-27T10:15:00.000Z up       app begins
        2025-11-27T10:15:01.500Z cluster  Pod api-1: Killing: stopping
        2025-11-27T10:15:02.031Z up       ready failed: OOMKilled
        ");
    }
}
