//! The reader for the logs of CI services: what a step said becomes one folded part of the log when it ends, and on GitHub a failure
//! an annotation.
//!
//! It must not leave a part open: steps run side by side and parts cannot nest, so each is written whole.

use super::events::Reader;
use super::heart::Heart;
use super::lines::line;
use super::{Printer, style};
use kedactl_plan::{Event, Kind, StepId};
use std::collections::HashMap;

/// Whose log it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Service {
    GitHub,
    GitLab,
}

#[derive(Debug)]
pub(super) struct Groups {
    service: Service,
    printer: Printer,
    heart: Heart,
    said: HashMap<StepId, Vec<String>>,
}

impl Reader for Groups {
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

impl Groups {
    /// Groups and annotations of GitHub Actions.
    pub(super) fn actions(printer: Printer) -> Self {
        Self::new(Service::GitHub, printer)
    }

    /// Sections of GitLab.
    pub(super) fn sections(printer: Printer) -> Self {
        Self::new(Service::GitLab, printer)
    }

    fn new(service: Service, printer: Printer) -> Self {
        Self {
            service,
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
                let head = format!("{title}: {note} ({took})");
                lines.extend(self.folded(event, age, &head, said));
            }
            Kind::Failed { error, hint } => {
                if !said.is_empty() {
                    lines.extend(self.folded(event, age, &format!("{title}: failed"), said));
                }
                lines.extend(self.failure(&title, error, hint.as_deref()));
            }
            Kind::Skipped { title, reason } => lines.push(match self.service {
                Service::GitHub => annotation("warning", title, &format!("skipped, {reason}")),
                Service::GitLab => line(&event.kind, title, age).unwrap_or_default(),
            }),
            Kind::Started { .. } | Kind::Progress { .. } | Kind::Waiting { .. } => {}
        }
        lines
    }

    /// What a step said, folded under a head; the head alone where it said nothing.
    fn folded(&self, event: &Event, age: u64, head: &str, said: Vec<String>) -> Vec<String> {
        if said.is_empty() {
            return vec![format!("  {head}")];
        }
        let (first, said, last) = match self.service {
            Service::GitHub => {
                // What a step says must not be taken for a command of the log.
                let said = said.into_iter().map(|line| line.replace("::", ": :"));
                let first = format!("::group::{}", data(head));
                (first, said.collect(), "::endgroup::".to_owned())
            }
            Service::GitLab => {
                let (name, end) = (section(&event.step), event.at / 1000);
                let begin = event.at.saturating_sub(age) / 1000;
                let head = head.replace('\n', " ");
                let first = format!(
                    "\u{1b}[0Ksection_start:{begin}:{name}[collapsed=true]\r\u{1b}[0K  {head}"
                );
                (
                    first,
                    said,
                    format!("\u{1b}[0Ksection_end:{end}:{name}\r\u{1b}[0K"),
                )
            }
        };
        [first].into_iter().chain(said).chain([last]).collect()
    }

    fn failure(&self, title: &str, error: &str, hint: Option<&str>) -> Vec<String> {
        let hint = hint.map_or_else(String::new, |hint| format!("\nhint: {hint}"));
        match self.service {
            Service::GitHub => vec![annotation("error", title, &format!("{error}{hint}"))],
            Service::GitLab => {
                let error = format!("  {} {title}: {error}{hint}", style::bad("!!"));
                error.lines().map(str::to_owned).collect()
            }
        }
    }
}

/// A name that GitLab takes: letters, digits, dots, dashes and lines.
fn section(step: &StepId) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let name = step.0.chars().map(|c| if plain(c) { c } else { '_' });
    format!("kedactl_{}", name.collect::<String>())
}

/// An annotation of GitHub Actions.
pub(crate) fn annotation(kind: &str, title: &str, text: &str) -> String {
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
    use super::Groups;
    use crate::output::Printer;
    use kedactl_plan::{Event, Kind};

    /// What a log shows of two steps that run side by side, one of which fails, and of one that never began.
    fn shown(mut groups: Groups) -> String {
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
                groups.lines(&Event { at, step, kind })
            });
        let shown: Vec<String> = shown.collect();
        shown.join("\n")
    }

    #[test]
    fn steps_that_run_side_by_side_do_not_mix() {
        let shown = shown(Groups::actions(Printer::plain()));
        let plain = anstream::adapter::strip_str(&shown).to_string();
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

    #[test]
    fn a_section_is_opened_and_closed_by_one_name() {
        let shown = shown(Groups::sections(Printer::plain()));
        let bare = shown.replace("\u{1b}[0K", "<ESC>[0K").replace('\r', "<CR>");
        let plain = anstream::adapter::strip_str(&bare).to_string();
        insta::assert_snapshot!(plain, @r"
        <ESC>[0Ksection_start:1:kedactl_app[collapsed=true]<CR><ESC>[0K  the application: failed
          .. the application: waiting for 1 of 2 pods
        <ESC>[0Ksection_end:5:kedactl_app<CR><ESC>[0K
          !! the application: pod api-1: ImagePullBackOff: 100% sure
        hint: load the image
        <ESC>[0Ksection_start:0:kedactl_redis[collapsed=true]<CR><ESC>[0K  redis and sentinels: 3 of 3 (6.00 s)
          .. redis and sentinels: waiting for quorum
        <ESC>[0Ksection_end:6:kedactl_redis<CR><ESC>[0K
          -- the tunnel: skipped, `app` failed
        ");
    }
}
