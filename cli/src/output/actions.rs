//! The reader for GitHub Actions: what a step said becomes a folded group when it ends, a failure an annotation.
//!
//! It must not leave a group open: steps run side by side and groups cannot nest, so a group is written whole.

use super::events::Reader;
use super::heart::Heart;
use super::lines::line;
use super::{Printer, style};
use kedactl_plan::{Event, Kind, StepId};
use std::collections::HashMap;

#[derive(Debug)]
pub(super) struct Actions {
    printer: Printer,
    heart: Heart,
    said: HashMap<StepId, Vec<String>>,
}

impl Reader for Actions {
    fn read(&mut self, event: &Event) {
        for line in self.lines(event) {
            self.printer.say(&line);
        }
    }

    fn beat(&mut self, now: u64) {
        for line in self.heart.beat(now) {
            self.printer.say(&line);
        }
    }
}

impl Actions {
    pub(super) fn new(printer: Printer) -> Self {
        Self {
            printer,
            heart: Heart::default(),
            said: HashMap::new(),
        }
    }

    fn lines(&mut self, event: &Event) -> Vec<String> {
        let (title, age) = (self.heart.title(&event.step), self.heart.age(event));
        self.heart.hear(event);
        if !event.kind.is_last() {
            let said = self.said.entry(event.step.clone()).or_default();
            let new = line(&event.kind, &title, age);
            said.extend(new.filter(|new| said.last() != Some(new)));
            return Vec::new();
        }
        let said = self.said.remove(&event.step).unwrap_or_default();
        let mut lines = Vec::new();
        match &event.kind {
            Kind::Done { note, .. } => {
                let took = style::millis(age as f64);
                lines.extend(group(&format!("{title}: {note} ({took})"), said));
            }
            Kind::Failed { error, hint } => {
                if !said.is_empty() {
                    lines.extend(group(&format!("{title}: failed"), said));
                }
                let hint = hint
                    .as_ref()
                    .map_or_else(String::new, |hint| format!("\nhint: {hint}"));
                lines.push(annotation("error", &title, &format!("{error}{hint}")));
            }
            Kind::Skipped { title, reason } => {
                lines.push(annotation("warning", title, &format!("skipped, {reason}")));
            }
            Kind::Started { .. } | Kind::Progress { .. } | Kind::Waiting { .. } => {}
        }
        lines
    }
}

fn group(title: &str, said: Vec<String>) -> Vec<String> {
    if said.is_empty() {
        return vec![format!("  {title}")];
    }
    let first = format!("::group::{}", data(title));
    let end = "::endgroup::".to_owned();
    // What a step says must not be taken for a command of the log.
    let said = said.into_iter().map(|line| line.replace("::", ": :"));
    [first].into_iter().chain(said).chain([end]).collect()
}

fn annotation(kind: &str, title: &str, text: &str) -> String {
    let title = data(title).replace(':', "%3A").replace(',', "%2C");
    format!("::{kind} title={title}::{}", data(text))
}

/// A value of a workflow command: one line, with the characters escaped that end it.
fn data(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

#[cfg(test)]
mod tests {
    use super::Actions;
    use crate::output::Printer;
    use kedactl_plan::{Event, Kind};

    #[test]
    fn steps_that_run_side_by_side_do_not_mix() {
        let mut actions = Actions::new(Printer::plain());
        let started = |title: &str| Kind::Started {
            title: title.to_owned(),
        };
        let wait = |what: &str| Kind::Waiting {
            what: what.to_owned(),
        };
        let events = [
            ("redis", started("redis and sentinels")),
            ("app", started("the application")),
            ("redis", wait("quorum")),
            ("app", wait("1 of 2 pods")),
            ("redis", wait("quorum")),
            (
                "app",
                Kind::Failed {
                    error: "pod api-1: ImagePullBackOff: 100% sure".to_owned(),
                    hint: Some("load the image".to_owned()),
                },
            ),
            (
                "redis",
                Kind::Done {
                    note: "3 of 3".to_owned(),
                    changed: true,
                },
            ),
            (
                "tunnel",
                Kind::Skipped {
                    title: "the tunnel".to_owned(),
                    reason: "`app` failed".to_owned(),
                },
            ),
        ];
        let shown = events
            .into_iter()
            .enumerate()
            .flat_map(|(at, (step, kind))| {
                let (at, step) = (at as u64 * 1000, step.into());
                actions.lines(&Event { at, step, kind })
            });
        let shown: Vec<String> = shown.collect();
        let plain = anstream::adapter::strip_str(&shown.join("\n")).to_string();
        insta::assert_snapshot!(plain, @r"
        ::group::the application: failed
          .. the application: waiting for 1 of 2 pods
        ::endgroup::
        ::error title=the application::pod api-1: ImagePullBackOff: 100%25 sure%0Ahint: load the image
        ::group::redis and sentinels: 3 of 3 (6.00 s)
          .. redis and sentinels: waiting for quorum
        ::endgroup::
        ::warning title=the tunnel::skipped, `app` failed
        ");
    }
}
