//! Chooses the reader of a job's event stream and runs it beside the job.
//!
//! It must not know what the job does.

use super::{Printer, Progress, bars::Bars, lines::Lines};
use kedactl_plan::{Channel, Event, channel};
use std::thread;

/// How events are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// For people, as the terminal allows.
    People,
    /// One JSON object a line on stdout.
    JsonLines,
}

trait Reader {
    fn read(&mut self, event: &Event);
    fn close(&mut self) {}
}

/// Runs `job` with a sink, while a thread shows what it says; returns what the job returned.
pub(crate) fn follow<T>(printer: Printer, form: Form, job: impl FnOnce(&Channel) -> T) -> T {
    let (sink, events) = channel();
    let reader = thread::spawn(move || {
        let mut reader: Box<dyn Reader> = match (form, printer.progress()) {
            (Form::JsonLines, _) => Box::new(Json(printer)),
            (_, Progress::Live) => Box::new(Bars::default()),
            (_, Progress::Lines) => Box::new(Lines::new(printer)),
            (_, Progress::None) => Box::new(Silent),
        };
        for event in &events {
            reader.read(&event);
        }
        reader.close();
    });
    let result = job(&sink);
    drop(sink);
    // A reader that panicked has already said so; the job's result counts.
    drop(reader.join());
    result
}

struct Silent;

impl Reader for Silent {
    fn read(&mut self, _: &Event) {}
}

struct Json(Printer);

impl Reader for Json {
    fn read(&mut self, event: &Event) {
        if let Ok(line) = serde_json::to_string(event) {
            // The reader of stdout may have gone; the job goes on.
            drop(self.0.data(&line));
        }
    }
}

impl Reader for Lines {
    fn read(&mut self, event: &Event) {
        self.show(event);
    }
}

impl Reader for Bars {
    fn read(&mut self, event: &Event) {
        self.show(event);
    }

    fn close(&mut self) {
        self.finish();
    }
}
