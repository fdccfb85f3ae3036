//! The plain reader of events: one line each, for logs and CI.
//!
//! It must not repeat itself: a wait is said once until its reason changes.

use super::{Printer, style};
use kedactl_plan::{Event, Kind, StepId};
use std::collections::HashMap;

#[derive(Debug)]
pub(super) struct Lines {
    printer: Printer,
    titles: HashMap<StepId, String>,
    waits: HashMap<StepId, String>,
    begun: HashMap<StepId, u64>,
}

impl Lines {
    pub(super) fn new(printer: Printer) -> Self {
        Self {
            printer,
            titles: HashMap::new(),
            waits: HashMap::new(),
            begun: HashMap::new(),
        }
    }

    pub(super) fn show(&mut self, event: &Event) {
        if let Some(line) = self.line(event) {
            self.printer.say(&line);
        }
    }

    fn line(&mut self, event: &Event) -> Option<String> {
        let step = &event.step;
        match &event.kind {
            Kind::Started { title } => {
                self.titles.insert(step.clone(), title.clone());
                self.begun.insert(step.clone(), event.at);
                None
            }
            Kind::Progress { note, .. } => Some(format!("     {}: {note}", self.title(step))),
            Kind::Waiting { what } => {
                let known = self.waits.insert(step.clone(), what.clone());
                (known.as_ref() != Some(what))
                    .then(|| format!("  .. {}: waiting for {what}", self.title(step)))
            }
            Kind::Done { note, changed } => {
                let took = event
                    .at
                    .saturating_sub(self.begun.get(step).copied().unwrap_or(event.at));
                let took = if *changed {
                    format!(" ({})", style::millis(took as f64))
                } else {
                    String::new()
                };
                Some(format!(
                    "  {} {}: {note}{took}",
                    style::good("ok"),
                    self.title(step)
                ))
            }
            Kind::Failed { error, .. } => Some(format!(
                "  {} {}: {error}",
                style::bad("!!"),
                self.title(step)
            )),
        }
    }

    fn title(&self, step: &StepId) -> String {
        self.titles
            .get(step)
            .cloned()
            .unwrap_or_else(|| step.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::Lines;
    use crate::output::Printer;
    use clap::Parser as _;
    use kedactl_plan::{Event, Kind};

    fn lines(kinds: Vec<Kind>) -> String {
        let cli = crate::args::Cli::parse_from(["kedactl", "doctor"]);
        let mut lines = Lines::new(Printer::new(&cli.global, &crate::env::Env::default()));
        let events = kinds.into_iter().enumerate().map(|(i, kind)| Event {
            at: i as u64 * 1500,
            step: "redis".into(),
            kind,
        });
        let shown: Vec<String> = events.filter_map(|event| lines.line(&event)).collect();
        anstream::adapter::strip_str(&shown.join("\n")).to_string()
    }

    #[test]
    fn a_wait_is_said_once_until_its_reason_changes() {
        let wait = |what: &str| Kind::Waiting {
            what: what.to_owned(),
        };
        insta::assert_snapshot!(lines(vec![
            Kind::Started { title: "redis and sentinels".to_owned() },
            wait("quorum"),
            wait("quorum"),
            wait("replicas"),
            Kind::Done { note: "master on 6379".to_owned(), changed: true },
        ]), @r"
          .. redis and sentinels: waiting for quorum
          .. redis and sentinels: waiting for replicas
          ok redis and sentinels: master on 6379 (6.00 s)
        ");
    }
}
