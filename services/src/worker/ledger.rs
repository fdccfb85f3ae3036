//! What this worker runs: which ticket belongs to which slot, until when, and how it ended.
//!
//! It must not wait for anything.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use kedactl_queue::{Claimed, Consumer, Outcome, Retry, TaskId, Ticket};
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::mpsc::Sender;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::builder::Handlers;
use super::context::{Context, Facts, Progress};
use super::handler::{Failure, Then};
use super::metrics::WorkerMetrics;
use super::slots::{Ended, Job, Report, Slots};
use super::trace;
use crate::events::{AttemptEnded, AttemptStarted, SlotLost};
use crate::trace::{Span, TraceContext, Tracer};

/// How long after its time limit a handler may take to give its thread back.
const OVERDUE: Duration = Duration::from_secs(2);

/// One attempt on a slot.
struct Attempt {
    ticket: Ticket,
    context: Context,
    /// The type's name in metrics.
    label: Arc<str>,
    started: Instant,
    /// Reported as timed out although its thread has not come back.
    lost: bool,
    span: Option<Span>,
    _place: OwnedSemaphorePermit,
}

/// Every attempt of this process.
pub(crate) struct Ledger {
    handlers: Handlers,
    slots: Slots,
    consumer: Consumer,
    metrics: Arc<WorkerMetrics>,
    tracer: Tracer,
    progress: Sender<Progress>,
    time_limit: Duration,
    attempts: HashMap<u64, Attempt>,
    last_key: u64,
}

impl Ledger {
    pub(crate) fn new(
        handlers: Handlers,
        slots: Slots,
        consumer: Consumer,
        metrics: Arc<WorkerMetrics>,
        tracer: Tracer,
        progress: Sender<Progress>,
        time_limit: Duration,
    ) -> Self {
        let attempts = HashMap::new();
        Self {
            handlers,
            slots,
            consumer,
            metrics,
            tracer,
            progress,
            time_limit,
            attempts,
            last_key: 0,
        }
    }

    /// Returns how many attempts run.
    pub(crate) fn running(&self) -> usize {
        self.attempts.values().filter(|a| !a.lost).count()
    }

    /// Gives a claimed task to a slot; a type without a handler fails, as another worker may know it.
    pub(crate) fn start(&mut self, claimed: Claimed, place: OwnedSemaphorePermit) {
        let Claimed { ticket, task } = claimed;
        let span = trace::process(&self.tracer, &task);
        let trace = trace::place(span.as_ref(), &task);
        AttemptStarted {
            queue: task.queue.as_str(),
            kind: &task.kind,
            id: task.id,
            trace: trace.as_ref(),
            attempt: task.attempt,
            crashes: task.crashes,
        }
        .emit(&self.metrics);
        let known = self.handlers.get_key_value(task.kind.as_str());
        let started = Instant::now();
        let context = Context(Arc::new(Facts {
            ticket: ticket.clone(),
            queue: task.queue,
            kind: task.kind,
            attempt: task.attempt,
            crashes: task.crashes,
            traceparent: trace.as_ref().map(TraceContext::traceparent),
            trace,
            deadline: started + task.timeout.unwrap_or(self.time_limit),
            cancel: CancellationToken::new(),
            progress: self.progress.clone(),
        }));
        let label = known.map_or_else(|| "unknown".into(), |(kind, _)| Arc::clone(kind));
        let handler = known.map(|(_, handler)| Arc::clone(handler));
        let mut attempt = Attempt {
            ticket,
            context: context.clone(),
            label,
            started,
            lost: false,
            span,
            _place: place,
        };
        let Some(handler) = handler else {
            let message = format!("no handler for type `{}` here", context.kind());
            return self.close(&mut attempt, Ended::Answered(Err(Failure::retry(message))));
        };
        self.last_key += 1;
        let key = self.last_key;
        self.attempts.insert(key, attempt);
        self.slots.give(Job {
            key,
            handler,
            payload: task.payload,
            context,
        });
    }

    /// Takes back the slot of an attempt and reports its end.
    pub(crate) fn ended(&mut self, report: Report) {
        if let Some(mut attempt) = self.attempts.remove(&report.key)
            && !attempt.lost
        {
            self.close(&mut attempt, report.ended);
        }
    }

    /// Asks the attempts of a task to stop.
    pub(crate) fn cancel(&self, id: TaskId) {
        self.attempts
            .values()
            .filter(|a| a.ticket.id() == id)
            .for_each(|a| a.context.0.cancel.cancel());
    }

    /// Reports attempts whose thread did not come back after the time limit; returns whether there are any.
    pub(crate) fn find_lost(&mut self) -> bool {
        let now = Instant::now();
        let late = |a: &Attempt| !a.lost && a.context.deadline() + OVERDUE < now;
        let keys: Vec<u64> = self
            .attempts
            .iter()
            .filter(|(_, a)| late(a))
            .map(|(key, _)| *key)
            .collect();
        for key in &keys {
            let Some(mut attempt) = self.attempts.remove(key) else {
                continue;
            };
            SlotLost {
                kind: &attempt.label,
                id: attempt.ticket.id(),
            }
            .emit(&self.metrics);
            self.close(&mut attempt, Ended::TimedOut);
            attempt.context.0.cancel.cancel();
            attempt.lost = true;
            self.attempts.insert(*key, attempt);
        }
        !keys.is_empty()
    }

    /// Hands back whatever still runs; returns how many.
    pub(crate) fn release_all(&mut self) -> u64 {
        let mut released = 0;
        let all: Vec<Attempt> = self.attempts.drain().map(|(_, a)| a).collect();
        for mut attempt in all.into_iter().filter(|a| !a.lost) {
            attempt.context.0.cancel.cancel();
            self.report(&mut attempt, Outcome::Released, "released");
            released += 1;
        }
        released
    }

    fn close(&self, attempt: &mut Attempt, ended: Ended) {
        let cancelled = attempt.context.is_cancelled();
        let (outcome, name) = outcome(ended, cancelled);
        self.report(attempt, outcome, name);
    }

    fn report(&self, attempt: &mut Attempt, outcome: Outcome, name: &'static str) {
        let error = match &outcome {
            Outcome::Failed { error, .. } => Some(error.clone()),
            _ => None,
        };
        let fate = self.consumer.finish(&attempt.ticket, outcome);
        trace::ended(attempt.span.take(), name, error.as_deref());
        AttemptEnded {
            queue: attempt.context.queue(),
            kind: &attempt.label,
            id: attempt.ticket.id(),
            trace: attempt.context.0.trace.as_ref(),
            attempt: attempt.context.attempt(),
            outcome: name,
            fate,
            error: error.as_deref(),
            took: attempt.started.elapsed(),
        }
        .emit(&self.metrics);
    }
}

/// Returns what to tell the queue, and the outcome's name in metrics.
fn outcome(ended: Ended, cancelled: bool) -> (Outcome, &'static str) {
    let failed = |error: String, retry| Outcome::Failed { error, retry };
    match ended {
        Ended::Answered(Ok(result)) => (Outcome::Done(result), "done"),
        // Whatever a cancelled handler answers in its haste, the task was cancelled.
        Ended::Cancelled | Ended::Answered(Err(_)) if cancelled => {
            (Outcome::Cancelled, "cancelled")
        }
        Ended::Cancelled => (Outcome::Cancelled, "cancelled"),
        Ended::Answered(Err(Failure { message, then })) => match then {
            Then::Retry => (failed(message, Retry::Backoff), "retry"),
            Then::RetryAfter(pause) => (failed(message, Retry::After(pause)), "retry"),
            Then::Dead => (failed(message, Retry::Never), "dead"),
        },
        Ended::Panicked(text) => (
            failed(format!("the handler panicked: {text}"), Retry::Backoff),
            "panic",
        ),
        Ended::TimedOut => (
            failed(
                "the time limit of the attempt has passed".to_owned(),
                Retry::Backoff,
            ),
            "timeout",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(ended: Ended, cancelled: bool) -> &'static str {
        outcome(ended, cancelled).1
    }

    #[test]
    fn a_cancelled_handler_is_cancelled_unless_it_finished() {
        assert_eq!(name(Ended::Answered(Ok(None)), true), "done");
        assert_eq!(
            name(Ended::Answered(Err(Failure::retry("x"))), true),
            "cancelled"
        );
        assert_eq!(name(Ended::Cancelled, false), "cancelled");
    }

    #[test]
    fn failures_keep_what_the_handler_asked_for() {
        let pause = Duration::from_secs(7);
        let ended = Ended::Answered(Err(Failure::retry_after(pause, "later")));
        let (told, _) = outcome(ended, false);
        assert!(matches!(told, Outcome::Failed { retry: Retry::After(p), .. } if p == pause));
        assert_eq!(
            name(Ended::Answered(Err(Failure::dead("no"))), false),
            "dead"
        );
        assert_eq!(name(Ended::Panicked("boom".into()), false), "panic");
        assert_eq!(name(Ended::TimedOut, false), "timeout");
    }
}
