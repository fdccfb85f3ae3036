//! The terminal's reader of events: a spinner for each step that runs, a line for each that ended.
//!
//! It must not decide what a step means.

use super::events::Reader;
use super::style;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use kedactl_plan::{Event, Kind, StepId};
use std::collections::HashMap;
use std::time::Duration;

#[derive(Debug, Default)]
pub(super) struct Bars {
    area: MultiProgress,
    steps: HashMap<StepId, (ProgressBar, String)>,
}

impl Reader for Bars {
    fn read(&mut self, event: &Event) {
        match &event.kind {
            Kind::Started { title } => self.start(&event.step, title),
            Kind::Progress { done, total, note } => {
                self.tell(&event.step, &progress(*done, *total, note));
            }
            Kind::Waiting { what } => self.tell(&event.step, &format!("waiting for {what}")),
            Kind::Done { note, .. } => self.end(&event.step, &style::good("✓"), note),
            Kind::Failed { error, .. } => self.end(&event.step, &style::bad("✗"), error),
            Kind::Skipped { title, reason } => {
                self.line(&format!(
                    "  {} {title}: skipped, {reason}",
                    style::warn("-")
                ));
            }
        }
    }

    /// Takes away what is still spinning: the job ended without a word about it.
    fn close(&mut self) {
        for (_, (bar, _)) in self.steps.drain() {
            bar.finish_and_clear();
        }
    }
}

impl Bars {
    fn start(&mut self, step: &StepId, title: &str) {
        let bar = self.area.add(ProgressBar::new_spinner());
        if let Ok(style) = ProgressStyle::with_template("  {spinner} {prefix} {msg} {elapsed:.dim}")
        {
            bar.set_style(style);
        }
        bar.set_prefix(title.to_owned());
        bar.enable_steady_tick(Duration::from_millis(120));
        self.steps.insert(step.clone(), (bar, title.to_owned()));
    }

    fn tell(&self, step: &StepId, note: &str) {
        if let Some((bar, _)) = self.steps.get(step) {
            bar.set_message(style::dim(note));
        }
    }

    fn end(&mut self, step: &StepId, mark: &str, note: &str) {
        let Some((bar, title)) = self.steps.remove(step) else {
            return;
        };
        bar.finish_and_clear();
        self.line(&format!("  {mark} {title}: {note}"));
    }

    fn line(&self, text: &str) {
        // Without a terminal to draw on there is nobody to tell.
        drop(self.area.println(text));
    }
}

fn progress(done: u64, total: Option<u64>, note: &str) -> String {
    total.map_or_else(
        || format!("{done} {note}"),
        |total| format!("{done}/{total} {note}"),
    )
}

#[cfg(test)]
mod tests {
    use super::Bars;
    use crate::output::events::Reader as _;
    use indicatif::{InMemoryTerm, MultiProgress, ProgressDrawTarget};
    use kedactl_plan::{Event, Kind};
    use std::collections::HashMap;

    #[test]
    fn ended_steps_stand_above_those_that_run() {
        let screen = InMemoryTerm::new(10, 80);
        let target = ProgressDrawTarget::term_like(Box::new(screen.clone()));
        let mut bars = Bars {
            area: MultiProgress::with_draw_target(target),
            steps: HashMap::new(),
        };
        let mut say = |step: &str, kind: Kind| {
            let step = step.into();
            bars.read(&Event { at: 0, step, kind });
        };
        let started = |title: &str| Kind::Started {
            title: title.to_owned(),
        };
        say("redis", started("redis and sentinels"));
        say("app", started("the application"));
        say(
            "app",
            Kind::Progress {
                done: 1,
                total: Some(2),
                note: "pods".to_owned(),
            },
        );
        say(
            "redis",
            Kind::Done {
                note: "3 of 3".to_owned(),
                changed: true,
            },
        );
        say(
            "tunnel",
            Kind::Skipped {
                title: "the tunnel".to_owned(),
                reason: "the job was stopped before".to_owned(),
            },
        );
        let shown = screen.contents();
        let lines: Vec<&str> = shown.lines().map(str::trim).collect();
        assert_eq!(lines[0], "✓ redis and sentinels: 3 of 3");
        assert_eq!(
            lines[1],
            "- the tunnel: skipped, the job was stopped before"
        );
        assert!(lines[2].contains("the application 1/2 pods"), "{shown}");
        bars.close();
        assert!(
            !screen.contents().contains("1/2 pods"),
            "{}",
            screen.contents()
        );
    }
}
