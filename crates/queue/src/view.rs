//! What an inspector shows: queues, tasks, audits, as plain values.
//!
//! It must not talk to Redis.

use std::collections::BTreeMap;

use redis::Value;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::envelope::{self, Meta};
use crate::error::QueueError;
use crate::id::TaskId;
use crate::name::QueueName;
use crate::reply;
use crate::task::Priority;

/// At most so many tasks per second, with bursts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RateLimit {
    pub per_second: f64,
    pub burst: u32,
}

/// A queue at one moment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct QueueStats {
    pub queue: QueueName,
    pub waiting: u64,
    /// Entries per priority, critical first; cancelled ones count until a worker passes them.
    pub by_priority: [u64; 4],
    pub running: u64,
    pub delayed: u64,
    pub dead: u64,
    pub workers: u64,
    pub paused: bool,
    /// Age in milliseconds of the oldest task at the head of a list; 0 where nothing waits.
    pub oldest_ms: u64,
    pub rate_limit: Option<RateLimit>,
    /// Counts since the queue exists: `enqueued`, `done`, `retry`, `dead`, `expired`, `cancelled`, `fenced`, `released`,
    /// `reaped`, `dead_trimmed`.
    pub totals: BTreeMap<String, u64>,
}

/// Where a task is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TaskState {
    Delayed,
    Waiting,
    Running,
    Done,
    Dead,
    Cancelled,
    Expired,
}

impl TaskState {
    /// Whether nothing will happen to the task any more by itself.
    pub fn is_final(self) -> bool {
        matches!(
            self,
            Self::Done | Self::Dead | Self::Cancelled | Self::Expired
        )
    }
}

/// A task as it can be looked at; fields that are not known in its state are absent.
#[derive(Debug, Clone, Serialize)]
pub struct TaskView {
    pub id: TaskId,
    pub state: TaskState,
    pub enqueued_ms: u64,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<Priority>,
    /// Executions that failed.
    pub failed_attempts: u32,
    /// Executions whose worker died.
    pub crashes: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_attempts: Option<u32>,
    /// Why it is dead: attempts, failed, crashed or malformed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<Box<RawValue>>,
    /// Who runs it, or ran it last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker: Option<String>,
    /// Who stored it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accepted_by: Option<String>,
    /// W3C trace context that it was stored with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// When the last execution of an ended task began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_ms: Option<u64>,
}

/// What became of a cancellation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cancel {
    /// It waited or was delayed and is gone.
    Removed,
    /// It runs; its worker was told.
    Requested,
    NotFound,
}

/// Finished executions of an audited run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AuditPage {
    /// index, attempt, enqueued, started, finished (µs since 1970), outcome (0 done, 1 dead, 2 fenced, 3 expired or
    /// cancelled).
    pub records: Vec<[u64; 6]>,
    /// Where the next page starts.
    pub next: String,
}

/// The record of a finished task, written by the report of its end.
#[derive(Deserialize)]
struct ResultRecord {
    s: TaskState,
    f: u64,
    x: u64,
    #[serde(default)]
    n: u32,
    b: Option<u64>,
    w: Option<String>,
    o: Option<String>,
    tp: Option<String>,
    e: Option<String>,
    v: Option<Box<RawValue>>,
}

impl TaskView {
    fn bare(id: TaskId, state: TaskState) -> Self {
        Self {
            id,
            state,
            enqueued_ms: id.timestamp_ms(),
            kind: None,
            payload: None,
            priority: None,
            failed_attempts: 0,
            crashes: 0,
            max_attempts: None,
            reason: None,
            error: None,
            progress: None,
            result: None,
            worker: None,
            accepted_by: None,
            traceparent: None,
            started_ms: None,
            due_ms: None,
            finished_ms: None,
        }
    }

    /// A task with its envelope and its facts.
    pub(crate) fn stored(
        id: TaskId,
        state: TaskState,
        queue: &QueueName,
        envelope: &[u8],
        meta: &[u8],
    ) -> Self {
        let meta = Meta::parse(meta);
        let mut view = Self::bare(id, state);
        (view.failed_attempts, view.crashes) = (meta.attempts, meta.crashes);
        view.error = Some(meta.error).filter(|e| !e.is_empty());
        if let Some(task) = envelope::decode(id, queue, envelope, b"") {
            (view.kind, view.payload) = (Some(task.kind), Some(task.payload));
            (view.priority, view.max_attempts) = (Some(task.priority), Some(task.max_attempts));
            (view.accepted_by, view.traceparent) = (task.accepted_by, task.traceparent);
        }
        view
    }

    /// A dead letter; `why` is `<reason>:<failed attempts>:<crashes>:<error>`.
    pub(crate) fn dead(
        id: TaskId,
        queue: &QueueName,
        envelope: &[u8],
        why: &[u8],
        since_ms: u64,
    ) -> Self {
        let at = why.iter().position(|&b| b == b':').unwrap_or(why.len());
        let (reason, rest) = why.split_at(at);
        let mut view = Self::stored(
            id,
            TaskState::Dead,
            queue,
            envelope,
            rest.get(1..).unwrap_or_default(),
        );
        view.reason = Some(String::from_utf8_lossy(reason).into_owned());
        view.finished_ms = Some(since_ms);
        view
    }

    /// The answer of the function `task`.
    pub(crate) fn read(
        id: TaskId,
        queue: &QueueName,
        answer: &Value,
    ) -> Result<Option<Self>, QueueError> {
        let fields = reply::array(answer)?;
        let now_ms = reply::number(fields.first())? / 1000;
        let (envelope, facts) = (reply::bytes(fields.get(2)), reply::bytes(fields.get(3)));
        let extra = fields.get(5);
        let state = match reply::bytes(fields.get(1)) {
            b"delayed" => TaskState::Delayed,
            b"waiting" => TaskState::Waiting,
            b"running" => TaskState::Running,
            b"dead" => {
                let since = reply::number(extra)?;
                return Ok(Some(Self::dead(id, queue, envelope, facts, since)));
            }
            b"finished" => return Ok(Self::finished(id, reply::bytes(fields.get(6)), now_ms)),
            _ => return Ok(None),
        };
        let mut view = Self::stored(id, state, queue, envelope, facts);
        match state {
            TaskState::Delayed => view.due_ms = Some(reply::number(extra)?),
            TaskState::Running => view.worker = Some(reply::text(extra)),
            _ => {}
        }
        view.progress = raw(reply::bytes(fields.get(4)));
        Ok(Some(view))
    }

    fn finished(id: TaskId, record: &[u8], now_ms: u64) -> Option<Self> {
        let record: ResultRecord = serde_json::from_slice(record).ok()?;
        // Results of one minute share an expiry, each keeps its own beside it.
        if record.x <= now_ms {
            return None;
        }
        let mut view = Self::bare(id, record.s);
        view.failed_attempts = record
            .n
            .saturating_sub(u32::from(record.s == TaskState::Done));
        (view.error, view.result, view.finished_ms) = (record.e, record.v, Some(record.f));
        (view.started_ms, view.worker) = (record.b, record.w);
        (view.accepted_by, view.traceparent) = (record.o, record.tp);
        Some(view)
    }
}

fn raw(bytes: &[u8]) -> Option<Box<RawValue>> {
    if bytes.is_empty() {
        None
    } else {
        serde_json::from_slice(bytes).ok()
    }
}

impl QueueStats {
    /// The answer of the function `stats`.
    pub(crate) fn read(queue: &QueueName, answer: &Value) -> Result<Self, QueueError> {
        let f = reply::array(answer)?;
        let n = |at: usize| reply::number(f.get(at));
        let (live, running) = (n(1)?, n(2)?);
        let levels = reply::array_at(f, 9)?;
        let mut by_priority = [0; 4];
        let mut oldest_ms = 0;
        for (level, pair) in levels.chunks_exact(2).take(4).enumerate() {
            by_priority[level] = reply::number(pair.first())?;
            if let Ok(id) = reply::id(pair.get(1)) {
                oldest_ms = oldest_ms.max((n(0)? / 1000).saturating_sub(id.timestamp_ms()));
            }
        }
        let totals = reply::array_at(f, 10)?;
        let totals = totals
            .chunks_exact(2)
            .map(|p| Ok((reply::text(p.first()), reply::number(p.get(1))?)));
        let per_second = reply::text(f.get(7)).parse().ok();
        Ok(Self {
            queue: queue.clone(),
            waiting: live.saturating_sub(running),
            by_priority,
            running,
            workers: n(3)?,
            delayed: n(4)?,
            dead: n(5)?,
            paused: n(6)? == 1,
            oldest_ms,
            rate_limit: per_second.map(|per_second| RateLimit {
                per_second,
                burst: n(8).unwrap_or(1) as u32,
            }),
            totals: totals.collect::<Result<_, QueueError>>()?,
        })
    }
}
