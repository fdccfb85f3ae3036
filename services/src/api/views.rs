//! What the API shows of queues and tasks, and how errors of the queue become answers.
//!
//! It must not ask Redis.

use std::collections::BTreeMap;

use axum::Json;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use kedactl_queue::{QueueError, QueueStats, RateLimit, TaskView};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::problem::Problem;

/// A handler's answer.
pub(crate) type Answer = Result<Response, Problem>;

/// Returns 200 with JSON.
pub(crate) fn json(value: &impl Serialize) -> Response {
    Json(value).into_response()
}

/// Returns the answer to an error of the queue.
pub(crate) fn failed(error: &QueueError) -> Problem {
    match error {
        QueueError::Invalid(detail) => Problem::field("", detail.clone()),
        QueueError::Unavailable { .. } => {
            Problem::unavailable("unavailable", "the queue's storage does not answer")
        }
        other => {
            tracing::warn!(
                error = other as &dyn std::error::Error,
                "redis answered unexpectedly"
            );
            Problem::new(
                StatusCode::BAD_GATEWAY,
                "storage",
                "the queue's storage refused the call",
            )
        }
    }
}

/// A task as it can be looked at; what is not known in its state is absent.
#[derive(Debug, ToSchema)]
#[schema(as = Task)]
#[expect(dead_code, reason = "the published shape of the queue crate's view")]
pub(crate) struct TaskSchema {
    id: String,
    /// `delayed`, `waiting`, `running`, `done`, `dead`, `cancelled` or `expired`.
    #[schema(example = "done")]
    state: String,
    /// Its queue.
    queue: String,
    /// Milliseconds since 1970.
    enqueued_ms: u64,
    #[schema(rename = "type")]
    kind: Option<String>,
    #[schema(value_type = Option<Object>)]
    payload: Option<()>,
    priority: Option<String>,
    /// Attempts that failed.
    failed_attempts: u32,
    /// Attempts whose worker died; they do not use up attempts, but the third one makes the task dead.
    crashes: u32,
    max_attempts: Option<u32>,
    /// Why it is dead: `attempts`, `failed`, `crashed` or `malformed`.
    reason: Option<String>,
    /// The latest failure in words.
    error: Option<String>,
    /// What the handler last said about how far it is.
    #[schema(value_type = Option<Object>)]
    progress: Option<()>,
    /// What the handler returned, while it is kept.
    #[schema(value_type = Option<Object>)]
    result: Option<()>,
    /// Who runs it, or ran it last.
    worker: Option<String>,
    /// Which API process stored it, or `cron:` and the name of the schedule.
    accepted_by: Option<String>,
    /// W3C trace context that it was stored with.
    traceparent: Option<String>,
    /// When the last attempt of an ended task began, milliseconds since 1970.
    started_ms: Option<u64>,
    /// When a delayed task becomes due, milliseconds since 1970.
    due_ms: Option<u64>,
    /// When it ended, milliseconds since 1970.
    finished_ms: Option<u64>,
}

/// A task with the queue it was found in.
#[derive(Debug, Serialize)]
pub(crate) struct TaskIn<'a> {
    pub(crate) queue: &'a str,
    #[serde(flatten)]
    pub(crate) task: &'a TaskView,
}

/// A list of tasks.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Tasks {
    #[schema(value_type = Vec<TaskSchema>)]
    pub(crate) tasks: Vec<TaskView>,
}

/// A queue at one moment.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Queue)]
pub(crate) struct QueueBody {
    #[schema(example = "default")]
    queue: String,
    /// Tasks that could run now.
    waiting: u64,
    /// Waiting tasks by priority: critical, high, normal, low.
    by_priority: [u64; 4],
    running: u64,
    /// Tasks for later, and tasks that pause before another attempt.
    delayed: u64,
    dead: u64,
    /// Workers that hold a lease.
    workers: u64,
    paused: bool,
    /// Age of the oldest waiting task.
    oldest_ms: u64,
    rate_limit: Option<RateLimitBody>,
    /// Counts since the queue exists.
    totals: BTreeMap<String, u64>,
}

impl From<QueueStats> for QueueBody {
    fn from(s: QueueStats) -> Self {
        Self {
            queue: s.queue.to_string(),
            waiting: s.waiting,
            by_priority: s.by_priority,
            running: s.running,
            delayed: s.delayed,
            dead: s.dead,
            workers: s.workers,
            paused: s.paused,
            oldest_ms: s.oldest_ms,
            rate_limit: s.rate_limit.map(Into::into),
            totals: s.totals,
        }
    }
}

/// Every queue that was ever used.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Queues {
    pub(crate) queues: Vec<QueueBody>,
}

/// At most so many tasks a second are taken from the queue.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RateLimit)]
pub(crate) struct RateLimitBody {
    #[schema(example = 100.0)]
    pub(crate) per_second: f64,
    /// How many may come at once after a pause.
    #[schema(example = 10)]
    pub(crate) burst: u32,
}

impl From<RateLimit> for RateLimitBody {
    fn from(limit: RateLimit) -> Self {
        Self {
            per_second: limit.per_second,
            burst: limit.burst,
        }
    }
}

/// How many tasks a request touched.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Count {
    pub(crate) count: u64,
}

/// What became of a cancellation: `removed` (it had not started) or `requested` (its worker was told).
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Cancelled {
    #[schema(example = "removed")]
    pub(crate) outcome: &'static str,
}

/// Finished executions of an audited run.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditPage)]
pub(crate) struct AuditBody {
    /// index, attempt, enqueued, started, finished (µs since 1970), outcome (0 done, 1 dead, 2 fenced, 3 expired or
    /// cancelled).
    pub(crate) records: Vec<[u64; 6]>,
    /// Pass it as `after` for the next page.
    pub(crate) next: String,
}
