//! What a handler knows of its task, and how it hears of a cancellation and reports progress.
//!
//! It must not let a handler end its task: that is the worker's, when the handler returns.

use std::sync::Arc;

use kedactl_queue::{QueueName, TaskId, Ticket};
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::sync::mpsc::Sender;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::trace::TraceContext;

/// Progress on its way to Redis.
#[derive(Debug)]
pub(crate) struct Progress {
    pub(crate) ticket: Ticket,
    pub(crate) value: Box<RawValue>,
}

/// The task as its handler sees it; cheap to clone.
#[derive(Debug, Clone)]
pub struct Context(pub(crate) Arc<Facts>);

/// The parts of [`Context`].
#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) ticket: Ticket,
    pub(crate) queue: QueueName,
    pub(crate) kind: String,
    pub(crate) attempt: u32,
    pub(crate) crashes: u32,
    /// What the handler's own calls follow; nothing where nobody traces.
    pub(crate) trace: Option<TraceContext>,
    pub(crate) traceparent: Option<String>,
    pub(crate) deadline: Instant,
    pub(crate) cancel: CancellationToken,
    pub(crate) progress: Sender<Progress>,
}

impl Context {
    /// Returns the task's id: the same over all attempts.
    pub fn id(&self) -> TaskId {
        self.0.ticket.id()
    }

    /// Returns the queue's name.
    pub fn queue(&self) -> &str {
        self.0.queue.as_str()
    }

    /// Returns the task's type.
    pub fn kind(&self) -> &str {
        &self.0.kind
    }

    /// Returns which attempt this is, from 1; attempts that a crash ended are not among them.
    pub fn attempt(&self) -> u32 {
        self.0.attempt
    }

    /// Returns how many workers died while they ran this task.
    pub fn crashes(&self) -> u32 {
        self.0.crashes
    }

    /// Returns the W3C trace context to send with requests to others: this attempt's where the worker sends traces, else that
    /// of whoever enqueued the task.
    pub fn traceparent(&self) -> Option<&str> {
        self.0.traceparent.as_deref()
    }

    /// Returns the `tracestate` that goes with [`Self::traceparent`].
    pub fn tracestate(&self) -> Option<&str> {
        self.0.trace.as_ref()?.tracestate()
    }

    /// Returns when the attempt is cut off.
    pub fn deadline(&self) -> Instant {
        self.0.deadline
    }

    /// Waits until the task shall stop: cancelled, taken over by another worker, or the process ends. A handler that
    /// returns within 5 s of it ends cleanly; one that does not is dropped at its next `await`.
    pub async fn cancelled(&self) {
        self.0.cancel.cancelled().await;
    }

    /// Returns whether the task shall stop: for loops that do not await.
    pub fn is_cancelled(&self) -> bool {
        self.0.cancel.is_cancelled()
    }

    /// Publishes how far the task is; any JSON value, shown by `GET /v1/tasks/{id}`. Never waits: values that come
    /// faster than Redis takes them are skipped.
    pub fn progress(&self, value: &impl Serialize) {
        let Ok(value) = serde_json::value::to_raw_value(value) else {
            return;
        };
        let progress = Progress {
            ticket: self.0.ticket.clone(),
            value,
        };
        if self.0.progress.try_send(progress).is_err() {
            tracing::debug!(target: "task", task_id = %self.id(), "skipped a progress value");
        }
    }
}
