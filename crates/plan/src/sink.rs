//! Where events go: a synchronous, cheap seam, and a channel for readers on another thread.
//! Must not block the job that speaks: a sink that cannot keep up drops nothing and waits for nobody.

use std::fmt;
use std::sync::{Mutex, PoisonError, mpsc};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::event::{Event, Kind, StepId};

/// Receives the events of a job. Called from any thread, often: it must return at once.
pub trait Sink: Send + Sync {
    /// Takes one event.
    fn emit(&self, event: Event);
}

/// Throws every event away.
#[derive(Debug, Clone, Copy, Default)]
pub struct Discard;

impl Sink for Discard {
    fn emit(&self, _: Event) {}
}

/// Keeps every event, for tests and for jobs that report at their end.
#[derive(Debug, Default)]
pub struct Collect(Mutex<Vec<Event>>);

impl Collect {
    /// The events so far, oldest first; they are taken out.
    pub fn take(&self) -> Vec<Event> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Sink for Collect {
    fn emit(&self, event: Event) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(event);
    }
}

/// The sending half of an unbounded channel of events.
#[derive(Debug, Clone)]
pub struct Channel(mpsc::Sender<Event>);

impl Sink for Channel {
    fn emit(&self, event: Event) {
        // The reader went away: the job goes on, unseen.
        drop(self.0.send(event));
    }
}

/// A sink and the receiver that its events come out of; the receiver ends when the last clone of the sink is dropped.
pub fn channel() -> (Channel, mpsc::Receiver<Event>) {
    let (sender, receiver) = mpsc::channel();
    (Channel(sender), receiver)
}

/// One running step: says `Started` when made, and keeps the step's name for what follows.
pub struct Step<'a> {
    sink: &'a dyn Sink,
    id: StepId,
}

impl fmt::Debug for Step<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Step").field(&self.id).finish()
    }
}

impl<'a> Step<'a> {
    /// Begins a step.
    pub fn start(sink: &'a dyn Sink, id: impl Into<StepId>, title: impl Into<String>) -> Self {
        let step = Self {
            sink,
            id: id.into(),
        };
        step.say(Kind::Started {
            title: title.into(),
        });
        step
    }

    /// Says how far the step is.
    pub fn progress(&self, done: u64, total: Option<u64>, note: impl Into<String>) {
        self.say(Kind::Progress {
            done,
            total,
            note: note.into(),
        });
    }

    /// Says what the step waits for.
    pub fn waiting(&self, what: impl Into<String>) {
        self.say(Kind::Waiting { what: what.into() });
    }

    /// Ends the step well.
    pub fn done(self, note: impl Into<String>, changed: bool) {
        self.say(Kind::Done {
            note: note.into(),
            changed,
        });
    }

    /// Ends the step badly: the error with its sources, and the cure where one is known.
    pub fn failed(self, error: &dyn std::error::Error, hint: Option<String>) {
        self.say_failed(error, hint);
    }

    pub(crate) fn say_failed(&self, error: &dyn std::error::Error, hint: Option<String>) {
        self.say(Kind::Failed {
            error: chain(error),
            hint,
        });
    }

    pub(crate) fn say(&self, kind: Kind) {
        say(self.sink, &self.id, kind);
    }
}

pub(crate) fn say(sink: &dyn Sink, step: &StepId, kind: Kind) {
    sink.emit(Event {
        at: now_ms(),
        step: step.clone(),
        kind,
    });
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        source = inner.source();
    }
    text
}

fn now_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_says_its_beginning_and_its_end() {
        let sink = Collect::default();
        let step = Step::start(&sink, "redis", "redis and sentinels");
        step.waiting("quorum");
        step.done("3 of 3", true);
        let kinds: Vec<bool> = sink.take().iter().map(|e| e.kind.is_last()).collect();
        assert_eq!(kinds, [false, false, true]);
    }

    #[test]
    fn a_channel_ends_with_its_last_sink() {
        let (sink, events) = channel();
        Step::start(&sink, "a", "a").done("ok", false);
        drop(sink);
        assert_eq!(events.iter().count(), 2);
    }
}
