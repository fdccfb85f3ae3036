//! The terminal's reader of events: a spinner for each step that runs, a line for each that ended.
//!
//! It must not decide what a step means.

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

impl Bars {
    pub(super) fn show(&mut self, event: &Event) {
        match &event.kind {
            Kind::Started { title } => self.start(&event.step, title),
            Kind::Progress { done, total, note } => {
                self.tell(&event.step, &progress(*done, *total, note));
            }
            Kind::Waiting { what } => self.tell(&event.step, &format!("waiting for {what}")),
            Kind::Done { note, .. } => self.end(&event.step, &style::good("✓"), note),
            Kind::Failed { error, .. } => self.end(&event.step, &style::bad("✗"), error),
        }
    }

    /// Takes away what is still spinning: the job ended without a word about it.
    pub(super) fn finish(&mut self) {
        for (_, (bar, _)) in self.steps.drain() {
            bar.finish_and_clear();
        }
    }

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
        // Without a terminal to draw on there is nobody to tell.
        drop(self.area.println(format!("  {mark} {title}: {note}")));
    }
}

fn progress(done: u64, total: Option<u64>, note: &str) -> String {
    total.map_or_else(
        || format!("{done} {note}"),
        |total| format!("{done}/{total} {note}"),
    )
}
