//! What a running node is given, and how a whole job is asked to end.
//! Must not decide for the node: it is told that it should stop, and ends when it can.

use std::fmt;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::event::{Event, StepId};
use crate::sink::{Sink, Step};

/// How a job is stopped from outside: first asked, then broken off.
#[derive(Debug, Clone, Default)]
pub struct Control {
    /// No further node starts; running ones are told, and are waited for.
    pub stop: CancellationToken,
    /// Running nodes are dropped where they stand.
    pub abort: CancellationToken,
}

impl Control {
    /// The next stage, as one more SIGINT asks for it: first stop, then abort.
    pub fn escalate(&self) {
        if self.stop.is_cancelled() {
            self.abort.cancel();
        } else {
            self.stop.cancel();
        }
    }
}

/// A node's way to the outside while it runs.
#[derive(Debug, Clone)]
pub struct Run<'a> {
    pub(crate) step: Arc<Step<'a>>,
    pub(crate) stop: CancellationToken,
    pub(crate) inner: Arc<Inner<'a>>,
}

impl<'a> Run<'a> {
    /// Says how far the node is.
    pub fn progress(&self, done: u64, total: Option<u64>, note: impl Into<String>) {
        self.step.progress(done, total, note);
    }

    /// Says what the node waits for.
    pub fn waiting(&self, what: impl Into<String>) {
        self.step.waiting(what);
    }

    /// Cancelled when the job is to stop: begin nothing new, bring what was begun to an end, and return.
    pub fn stop(&self) -> &CancellationToken {
        &self.stop
    }

    /// For a library that speaks in steps of its own: they appear as `node/step`.
    pub fn sink(&self) -> &(dyn Sink + 'a) {
        &*self.inner
    }
}

/// Puts the node's id before the ids of its inner steps.
pub(crate) struct Inner<'a> {
    pub(crate) sink: &'a dyn Sink,
    pub(crate) id: StepId,
}

impl fmt::Debug for Inner<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Inner").field(&self.id).finish()
    }
}

impl Sink for Inner<'_> {
    fn emit(&self, mut event: Event) {
        event.step = StepId(format!("{}/{}", self.id, event.step));
        self.sink.emit(event);
    }
}
