//! Facts worth telling: each is one struct, and telling it is one `emit`, which logs and counts.
//!
//! It must not hold a fact of the usual request at a level above trace: 30,000 lines a second help nobody.

use std::time::Duration;

use kedactl_queue::TaskId;

use crate::api::ApiMetrics;
use crate::api::RefusedLabel;
use crate::worker::WorkerMetrics;

/// Tasks were stored as durably as their queue asks for.
#[derive(Debug)]
pub(crate) struct TasksAccepted<'a> {
    pub queue: &'a str,
    pub count: u64,
    pub duplicates: u64,
    pub took: Duration,
}

impl TasksAccepted<'_> {
    pub(crate) fn emit(self, metrics: &ApiMetrics) {
        metrics.sent.add(self.queue, self.count);
        metrics.enqueue_seconds.observe(self.took.as_secs_f64());
        if self.duplicates > 0 {
            metrics.duplicates.inc_by(self.duplicates);
        }
        tracing::trace!(queue = self.queue, count = self.count, "accepted");
    }
}

/// Tasks were not stored, or not durably enough; `cause` is one of a few words.
#[derive(Debug)]
pub(crate) struct TasksRefused<'a> {
    pub queue: &'a str,
    pub cause: &'static str,
    pub count: u64,
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
        tracing::debug!(queue = self.queue, cause = self.cause, error = %self.error, "not accepted");
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
    pub attempt: u32,
    pub outcome: &'static str,
    pub error: Option<&'a str>,
    pub took: Duration,
}

impl AttemptEnded<'_> {
    pub(crate) fn emit(self, metrics: &WorkerMetrics) {
        metrics.ended(self.queue, self.kind, self.outcome, self.took);
        let Some(error) = self.error else {
            tracing::debug!(queue = self.queue, id = %self.id, "attempt done");
            return;
        };
        tracing::warn!(
            queue = self.queue,
            kind = self.kind,
            id = %self.id,
            attempt = self.attempt,
            outcome = self.outcome,
            error,
            "attempt failed"
        );
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
            id = %self.id,
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
