//! Facts worth telling: each is one struct, and telling it is one `emit`, which logs and counts.
//!
//! It must not hold a fact of the usual task at a level above debug: 30,000 lines a second help nobody.

use std::time::Duration;

use kedactl_queue::{Accepted, Fate, TaskId};

use crate::api::ApiMetrics;
use crate::api::RefusedLabel;
use crate::trace::TraceContext;
use crate::worker::WorkerMetrics;

/// What one task's life is told under: `KEDACTL_LOG=info,task=debug` tells every step. What is unusual is told at `info` and
/// above, the rest is in the task's own record for as long as that is kept.
macro_rules! task {
    ($level:ident, $id:expr, $trace:expr, $($rest:tt)+) => {
        tracing::$level!(
            target: "task",
            task_id = %$id,
            trace_id = $trace.map(|it| tracing::field::display(it.trace_id())),
            span_id = $trace.map(|it| tracing::field::display(it.span_id())),
            $($rest)+
        )
    };
}

/// Tasks were stored as durably as their queue asks for.
#[derive(Debug)]
pub(crate) struct TasksAccepted<'a> {
    pub queue: &'a str,
    pub stored: &'a [Accepted],
    pub trace: Option<&'a TraceContext>,
    pub took: Duration,
}

impl TasksAccepted<'_> {
    pub(crate) fn emit(self, metrics: &ApiMetrics) {
        metrics.sent.add(self.queue, self.stored.len() as u64);
        metrics.enqueue_seconds.observe(self.took.as_secs_f64());
        let duplicates = self.stored.iter().filter(|it| it.duplicate).count();
        if duplicates > 0 {
            metrics.duplicates.inc_by(duplicates as u64);
        }
        if !tracing::enabled!(target: "task", tracing::Level::DEBUG) {
            return;
        }
        for Accepted {
            id,
            duplicate,
            replicas,
        } in self.stored
        {
            if *duplicate {
                task!(
                    debug,
                    id,
                    self.trace,
                    queue = self.queue,
                    "sent again: its key was known"
                );
            } else {
                task!(
                    debug,
                    id,
                    self.trace,
                    queue = self.queue,
                    replicas,
                    "accepted"
                );
            }
        }
    }
}

/// Tasks were not stored, or not durably enough; `cause` is one of a few words.
#[derive(Debug)]
pub(crate) struct TasksRefused<'a> {
    pub queue: &'a str,
    pub cause: &'static str,
    pub count: u64,
    pub trace: Option<&'a TraceContext>,
    pub error: &'a (dyn std::error::Error + Sync),
}

impl TasksRefused<'_> {
    pub(crate) fn emit(self, metrics: &ApiMetrics) {
        metrics
            .refused
            .get_or_create(&RefusedLabel {
                error_type: self.cause,
            })
            .inc_by(self.count);
        tracing::debug!(
            target: "task",
            trace_id = self.trace.map(|it| tracing::field::display(it.trace_id())),
            queue = self.queue,
            cause = self.cause,
            count = self.count,
            error = %self.error,
            "not accepted"
        );
    }
}

/// An operator changed what happens to a task.
#[derive(Debug)]
pub(crate) struct TaskSteered<'a> {
    pub queue: &'a str,
    pub id: TaskId,
    /// In a few words.
    pub how: &'static str,
}

impl TaskSteered<'_> {
    pub(crate) fn emit(self) {
        tracing::info!(target: "task", task_id = %self.id, queue = self.queue, "{}", self.how);
    }
}

/// A task was taken.
#[derive(Debug)]
pub(crate) struct AttemptStarted<'a> {
    pub queue: &'a str,
    pub kind: &'a str,
    pub id: TaskId,
    pub trace: Option<&'a TraceContext>,
    pub attempt: u32,
    /// Workers that died while they ran it.
    pub crashes: u32,
}

impl AttemptStarted<'_> {
    pub(crate) fn emit(self, metrics: &WorkerMetrics) {
        metrics.started(self.queue);
        let Self {
            queue,
            kind,
            attempt,
            crashes,
            ..
        } = self;
        if crashes > 0 {
            task!(
                info, self.id, self.trace, queue, kind, attempt, crashes, "claimed"
            );
        } else {
            task!(debug, self.id, self.trace, queue, kind, attempt, "claimed");
        }
    }
}

/// The service's view of Redis changed.
#[derive(Debug)]
pub(crate) struct RedisReachable {
    pub reachable: bool,
}

impl RedisReachable {
    pub(crate) fn emit(self) {
        if self.reachable {
            tracing::info!("redis is reachable");
        } else {
            tracing::warn!("redis is not reachable");
        }
    }
}

/// The service was asked to stop.
#[derive(Debug)]
pub(crate) struct Draining {
    /// Requests or tasks under way.
    pub under_way: usize,
    pub within: Duration,
}

impl Draining {
    pub(crate) fn emit(self) {
        tracing::info!(
            under_way = self.under_way,
            within_ms = self.within.as_millis(),
            "draining"
        );
    }
}

/// An attempt ended; `outcome` is one of `done`, `retry`, `dead`, `cancelled`, `timeout`, `panic`.
#[derive(Debug)]
pub(crate) struct AttemptEnded<'a> {
    pub queue: &'a str,
    /// A registered type, or `unknown`.
    pub kind: &'a str,
    pub id: TaskId,
    pub trace: Option<&'a TraceContext>,
    pub attempt: u32,
    pub outcome: &'static str,
    /// What becomes of the task by it.
    pub fate: Fate,
    pub error: Option<&'a str>,
    pub took: Duration,
}

impl AttemptEnded<'_> {
    pub(crate) fn emit(self, metrics: &WorkerMetrics) {
        metrics.ended(self.queue, self.kind, self.outcome, self.took);
        let Self {
            queue,
            kind,
            attempt,
            outcome,
            ..
        } = self;
        let took_ms = self.took.as_millis() as u64;
        let error = self.error.unwrap_or_default();
        match self.fate {
            Fate::Done => task!(
                debug, self.id, self.trace, queue, kind, attempt, took_ms, "done"
            ),
            Fate::Retry(pause) => {
                let retry_in_ms = pause.as_millis() as u64;
                task!(
                    warn,
                    self.id,
                    self.trace,
                    queue,
                    kind,
                    attempt,
                    outcome,
                    error,
                    took_ms,
                    retry_in_ms,
                    "attempt failed, another one follows"
                );
            }
            Fate::Dead(reason) => {
                task!(
                    warn,
                    self.id,
                    self.trace,
                    queue,
                    kind,
                    attempt,
                    outcome,
                    error,
                    took_ms,
                    reason,
                    "attempt failed, the task is dead"
                );
            }
            Fate::Released => {
                task!(
                    info,
                    self.id,
                    self.trace,
                    queue,
                    kind,
                    attempt,
                    took_ms,
                    "handed back unfinished"
                );
            }
            Fate::Cancelled | Fate::Expired => {
                task!(
                    info,
                    self.id,
                    self.trace,
                    queue,
                    kind,
                    attempt,
                    took_ms,
                    "cancelled"
                );
            }
        }
    }
}

/// The queue refused the outcome of an attempt: the lease had been lost and the task runs elsewhere.
#[derive(Debug)]
pub(crate) struct AckFenced {
    pub count: u64,
}

impl AckFenced {
    pub(crate) fn emit(self, metrics: &WorkerMetrics) {
        if self.count > 0 {
            metrics.fenced.inc_by(self.count);
            tracing::warn!(
                count = self.count,
                "outcomes refused: the leases had been lost"
            );
        }
    }
}

/// A handler did not give its thread back when its time limit had passed.
#[derive(Debug)]
pub(crate) struct SlotLost<'a> {
    pub kind: &'a str,
    pub id: TaskId,
}

impl SlotLost<'_> {
    pub(crate) fn emit(self, metrics: &WorkerMetrics) {
        metrics.slots_lost.inc();
        tracing::error!(
            kind = self.kind,
            task_id = %self.id,
            "a handler blocks its thread past its time limit; the worker drains and exits"
        );
    }
}

/// Tasks went back to the queue without having used up an attempt.
#[derive(Debug)]
pub(crate) struct Released {
    pub count: u64,
}

impl Released {
    pub(crate) fn emit(self, metrics: &WorkerMetrics) {
        metrics.released.inc_by(self.count);
        tracing::info!(count = self.count, "handed back unfinished tasks");
    }
}
