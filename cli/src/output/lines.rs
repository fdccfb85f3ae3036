//! The plain reader of events: one line each, for logs and CI.
//!
//! It must not repeat itself: a wait is said once until its reason changes, and again after a long silence.

use super::events::Reader;
use super::heart::Heart;
use super::{Printer, style};
use kedactl_plan::{Event, Kind, StepId};
use std::collections::HashMap;

#[derive(Debug)]
pub(super) struct Lines {
    printer: Printer,
    heart: Heart,
    waits: HashMap<StepId, String>,
}

impl Reader for Lines {
    fn read(&mut self, event: &Event) {
        if let Some(line) = self.line(event) {
            self.printer.say(&line);
        }
    }

    fn beat(&mut self, now: u64) {
        for line in self.heart.beat(now) {
            self.printer.say(&line);
        }
    }
}

impl Lines {
    pub(super) fn new(printer: Printer) -> Self {
        Self {
            printer,
            heart: Heart::default(),
            waits: HashMap::new(),
        }
    }

    fn line(&mut self, event: &Event) -> Option<String> {
        let (title, age) = (self.heart.title(&event.step), self.heart.age(event));
        self.heart.hear(event);
        if let Kind::Waiting { what } = &event.kind {
            let known = self.waits.insert(event.step.clone(), what.clone());
            if known.as_ref() == Some(what) {
                return None;
            }
        }
        line(&event.kind, &title, age)
    }
}

/// An event in one line; a beginning has none.
pub(super) fn line(kind: &Kind, title: &str, age: u64) -> Option<String> {
    Some(match kind {
        Kind::Started { .. } => return None,
        Kind::Progress { note, .. } => format!("     {title}: {note}"),
        Kind::Waiting { what } => format!("  .. {title}: waiting for {what}"),
        Kind::Done { note, changed } => {
            let took = if *changed {
                format!(" ({})", style::millis(age as f64))
            } else {
                String::new()
            };
            format!("  {} {title}: {note}{took}", style::good("ok"))
        }
        Kind::Failed { error, .. } => format!("  {} {title}: {error}", style::bad("!!")),
        Kind::Skipped { title, reason } => {
            format!("  {} {title}: skipped, {reason}", style::warn("--"))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::Lines;
    use crate::output::Printer;
    use kedactl_plan::{Event, Kind};

    /// What is shown of events that come 1.5 s apart, and of the beats between them.
    fn lines(kinds: Vec<Kind>, silence: u64) -> String {
        let mut lines = Lines::new(Printer::plain());
        let mut shown = Vec::new();
        let mut at = 0;
        for kind in kinds {
            let step = "redis".into();
            shown.extend(lines.line(&Event { at, step, kind }));
            for second in 0..silence {
                shown.extend(lines.heart.beat(at + second * 1000));
            }
            at += 1500 + silence * 1000;
        }
        anstream::adapter::strip_str(&shown.join("\n")).to_string()
    }

    fn started() -> Kind {
        let title = "redis and sentinels".to_owned();
        Kind::Started { title }
    }

    fn wait(what: &str) -> Kind {
        let what = what.to_owned();
        Kind::Waiting { what }
    }

    fn done() -> Kind {
        let note = "master on 6379".to_owned();
        Kind::Done {
            note,
            changed: true,
        }
    }

    #[test]
    fn a_wait_is_said_once_until_its_reason_changes() {
        let kinds = vec![
            started(),
            wait("quorum"),
            wait("quorum"),
            wait("replicas"),
            done(),
        ];
        insta::assert_snapshot!(lines(kinds, 0), @r"
          .. redis and sentinels: waiting for quorum
          .. redis and sentinels: waiting for replicas
          ok redis and sentinels: master on 6379 (6.00 s)
        ");
    }

    #[test]
    fn a_silent_step_is_heard_of_every_fifteen_seconds() {
        insta::assert_snapshot!(lines(vec![started(), wait("quorum"), wait("quorum"), done()], 40), @r"
          .. redis and sentinels: still at work (15s)
          .. redis and sentinels: still at work (30s)
          .. redis and sentinels: waiting for quorum
          .. redis and sentinels: still waiting for quorum (56s)
          .. redis and sentinels: still waiting for quorum (1m11s)
          .. redis and sentinels: still waiting for quorum (1m27s)
          .. redis and sentinels: still waiting for quorum (1m42s)
          .. redis and sentinels: still waiting for quorum (1m57s)
          ok redis and sentinels: master on 6379 (2m04s)
        ");
    }

    #[test]
    fn what_never_began_says_why() {
        let skipped = Kind::Skipped {
            title: "the tunnel".to_owned(),
            reason: "`redis` failed".to_owned(),
        };
        insta::assert_snapshot!(lines(vec![skipped], 0), @"  -- the tunnel: skipped, `redis` failed");
    }
}
