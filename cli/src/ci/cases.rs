//! The parts of a phase, as a report of tests counts them: each node of a job is one.
//!
//! It must not judge: a node failed where its job said so.

use crate::output::Reader;
use kedactl_plan::{Event, Kind, StepId};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// One part, and how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) took: Duration,
    pub(crate) verdict: Verdict,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// With what is there now.
    Passed(String),
    Failed {
        message: String,
        /// What to do about it, and what else is known.
        detail: String,
    },
    Skipped(String),
}

/// Reads the events of all jobs of a run and keeps them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Recorder(Arc<Mutex<Vec<Event>>>);

impl Reader for Recorder {
    fn read(&mut self, event: &Event) {
        self.lock().push(event.clone());
    }
}

impl Recorder {
    /// The events since the last time, oldest first.
    pub(crate) fn take(&self) -> Vec<Event> {
        std::mem::take(&mut self.lock())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Event>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The nodes among the events. A step inside of a node is no case of its own.
pub(crate) fn of_events(events: &[Event]) -> Vec<Case> {
    let mut begun: BTreeMap<&StepId, (u64, &str)> = BTreeMap::new();
    let mut cases = Vec::new();
    for event in events {
        match &event.kind {
            Kind::Started { title } => {
                if !inside(&event.step, begun.keys().copied()) {
                    begun.insert(&event.step, (event.at, title));
                }
            }
            Kind::Skipped { title, reason } => cases.push(Case {
                name: title.clone(),
                took: Duration::ZERO,
                verdict: Verdict::Skipped(reason.clone()),
            }),
            Kind::Done { note, .. } => {
                let verdict = Verdict::Passed(note.clone());
                cases.extend(ended(begun.remove(&event.step), event.at, verdict));
            }
            Kind::Failed { error, hint } => {
                let verdict = Verdict::Failed {
                    message: error.clone(),
                    detail: hint
                        .as_ref()
                        .map_or_else(String::new, |it| format!("hint: {it}")),
                };
                cases.extend(ended(begun.remove(&event.step), event.at, verdict));
            }
            Kind::Progress { .. } | Kind::Waiting { .. } => {}
        }
    }
    // What was broken off never said how it ended.
    cases.extend(begun.into_values().map(|(_, title)| Case {
        name: title.to_owned(),
        took: Duration::ZERO,
        verdict: Verdict::Skipped("broken off".to_owned()),
    }));
    cases
}

/// Whether a step is part of one that runs: its id goes on from that one's.
fn inside<'a>(step: &StepId, mut running: impl Iterator<Item = &'a StepId>) -> bool {
    running.any(|outer| {
        let rest = step.0.strip_prefix(&outer.0);
        rest.is_some_and(|rest| rest.starts_with('/'))
    })
}

fn ended(begun: Option<(u64, &str)>, at: u64, verdict: Verdict) -> Option<Case> {
    let (since, title) = begun?;
    Some(Case {
        name: title.to_owned(),
        took: Duration::from_millis(at.saturating_sub(since)),
        verdict,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(at: u64, step: &str, kind: Kind) -> Event {
        let step = step.into();
        Event { at, step, kind }
    }

    fn started(title: &str) -> Kind {
        let title = title.to_owned();
        Kind::Started { title }
    }

    #[test]
    fn nodes_are_cases_and_their_inner_steps_are_not() {
        let done = |note: &str| Kind::Done {
            note: note.to_owned(),
            changed: true,
        };
        let events = [
            event(0, "release/redis", started("release redis")),
            event(5, "app", started("application")),
            event(10, "release/redis/helm", started("helm")),
            event(20, "release/redis/helm", done("revision 1")),
            event(
                30,
                "release/redis",
                Kind::Failed {
                    error: "pod redis-0: OOMKilled".to_owned(),
                    hint: Some("more memory".to_owned()),
                },
            ),
            event(
                31,
                "tunnel",
                Kind::Skipped {
                    title: "tunnel".to_owned(),
                    reason: "`release/redis` failed".to_owned(),
                },
            ),
        ];
        let cases = of_events(&events);
        let shown: Vec<String> = cases
            .iter()
            .map(|it| format!("{} {} {:?}", it.name, it.took.as_millis(), it.verdict))
            .collect();
        insta::assert_snapshot!(shown.join("\n"), @r#"
        release redis 30 Failed { message: "pod redis-0: OOMKilled", detail: "hint: more memory" }
        tunnel 0 Skipped("`release/redis` failed")
        application 0 Skipped("broken off")
        "#);
    }
}
