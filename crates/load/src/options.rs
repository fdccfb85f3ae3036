//! What a run is asked to do.
//!
//! It must not read flags, files or the environment: the caller fills it.

use std::str::FromStr;
use std::time::Duration;

use crate::schedule::Schedule;
use crate::target::Target;

/// Everything that defines a run.
#[derive(Debug, Clone)]
pub struct Options {
    pub run: RunId,
    pub schedule: Schedule,
    pub target: Target,
    pub client: ClientOptions,
    /// Follow acknowledged tasks to their end; `None` for a plain URL.
    pub audit: Option<AuditOptions>,
    /// After the work is done, wait up to this long for the workers to reach zero.
    pub wait_zero: Option<Duration>,
    /// Give up when nothing at all answered for this long from the start; `None` runs to the end.
    pub abort_unreachable_after: Option<Duration>,
}

impl Options {
    /// A run with defaults for everything but the schedule and the target.
    pub fn new(run: RunId, schedule: Schedule, target: Target) -> Self {
        Self {
            run,
            schedule,
            target,
            client: ClientOptions::default(),
            audit: None,
            wait_zero: None,
            abort_unreachable_after: Some(Duration::from_secs(3)),
        }
    }
}

/// How requests reach the target.
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// Sender threads; request i belongs to sender i mod senders.
    pub senders: usize,
    /// Connections that are kept open even when fewer would do, so that every backend gets its share.
    pub min_connections: usize,
    /// Connections that are opened at most, all senders together.
    pub max_connections: usize,
    /// A connection is closed when it is idle and older than this, ± 20 %, so that new backends get traffic.
    pub max_connection_age: Duration,
    /// From sending to the end of the answer; waiting for a connection is not in it.
    pub timeout: Duration,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            senders: 1,
            min_connections: 16,
            max_connections: 8192,
            max_connection_age: Duration::from_secs(10),
            timeout: Duration::from_secs(10),
        }
    }
}

/// How acknowledged tasks are followed.
#[derive(Debug, Clone)]
pub struct AuditOptions {
    /// Base URL of the API, such as `http://127.0.0.1:8000`.
    pub base_url: String,
    pub queue: String,
    /// Records fetched at once, at most 20,000.
    pub page: usize,
    /// Longest time from the last answer until every acknowledged task is done.
    pub drain_timeout: Duration,
    /// Give up sooner when no task finished for this long.
    pub no_progress: Duration,
}

impl AuditOptions {
    /// Follows the tasks of one queue with generous limits: a cold start of the workers must fit in.
    pub fn new(base_url: impl Into<String>, queue: impl Into<String>) -> Self {
        Self {
            base_url: base_url.into(),
            queue: queue.into(),
            page: 10_000,
            drain_timeout: Duration::from_mins(10),
            no_progress: Duration::from_mins(2),
        }
    }
}

/// Name of a run: 1 to 40 of `[A-Za-z0-9_-]`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RunId(String);

/// A run name that the audit mark cannot carry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("run name `{0}` is not 1 to 40 letters, digits, `_` or `-`")]
pub struct RunIdError(String);

impl RunId {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RunId {
    type Err = RunIdError;

    fn from_str(text: &str) -> Result<Self, RunIdError> {
        let fits = (1..=40).contains(&text.len());
        let clean = text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
        if fits && clean {
            Ok(Self(text.to_owned()))
        } else {
            Err(RunIdError(text.to_owned()))
        }
    }
}
