//! Every acknowledged task followed to its end: lost, duplicated, dead, and how long each part took.
//!
//! It must not trust counts: it keeps one bit per index and set, so memory does not grow with what happens.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::result::Percentiles;

mod bitmap;
pub(crate) mod follow;
mod http;
mod tracker;

pub(crate) use http::HttpAudit;
pub(crate) use tracker::{Promises, Tracker};

/// One finished execution, as the queue recorded it. Times are microseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditRecord(
    /// Index of the request.
    pub u64,
    /// Attempt, from 1.
    pub u32,
    /// Enqueued.
    pub u64,
    /// Started.
    pub u64,
    /// Finished.
    pub u64,
    /// 0 done, 1 dead, 2 fenced (its result was refused), 3 expired or cancelled.
    pub u8,
);

/// Records after a cursor, and the cursor behind them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditPage {
    pub records: Vec<AuditRecord>,
    pub next: String,
}

/// Where records come from. An error is "not now": it is asked again. An empty cursor is before the first record.
pub trait AuditSource: Send + 'static {
    fn page(
        &mut self,
        after: &str,
        limit: usize,
    ) -> impl Future<Output = Result<AuditPage, String>> + Send;
}

/// What became of the acknowledged tasks.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AuditSummary {
    /// Requests that got the promise.
    pub acknowledged: u64,
    /// Indices that were done at least once.
    pub done: u64,
    /// Acknowledged, and neither done, dead nor expired when the wait ended.
    pub lost: u64,
    /// Indices with more than one finished execution, fenced ones included.
    pub duplicated: u64,
    /// Executions whose result was refused.
    pub fenced: u64,
    /// Done although the request was refused.
    pub unexpected: u64,
    /// Done, and the request had no answer.
    pub recovered: u64,
    /// Given up by the queue: in the dead-letter store, not lost.
    pub dead: u64,
    /// Expired or cancelled.
    pub expired: u64,
    /// Executions beyond the first attempt that ended well.
    pub retried: u64,
    /// The first lost indices, for a look at the tasks.
    pub lost_sample: Vec<u64>,
    /// Why the wait ended although tasks were outstanding.
    pub gave_up: Option<String>,
    /// Due time to enqueued, enqueued to started, started to finished, due time to finished.
    pub submit: Percentiles,
    pub wait: Percentiles,
    pub run: Percentiles,
    pub total: Percentiles,
}
