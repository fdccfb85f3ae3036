//! `Outbox`: the handle.
//! Must not answer before what it was given is where it was promised to be.

use std::sync::LazyLock;
use std::time::Duration;

use kedactl_queue::{Channel, Library, Redis};
use redis::{Cmd, Pipeline, Value};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

use crate::accept::{Accepted, Entry};
use crate::error::OutboxError;
use crate::lane::{Lane, Pending};

static LIBRARY: LazyLock<Library> = LazyLock::new(|| {
    Library::new(
        "ka1",
        &[
            include_str!("lua/common.lua"),
            include_str!("lua/accept.lua"),
            include_str!("lua/send.lua"),
            include_str!("lua/press.lua"),
            include_str!("lua/look.lua"),
        ],
    )
});

/// The prefix of every key; the braces keep them in one cluster slot.
pub(crate) const PREFIX: &str = "ka:{outbox}";

/// How things are kept and waited for.
#[derive(Debug, Clone)]
pub struct OutboxOptions {
    /// How long a notification is known by its key: at least as long as Alertmanager's `repeat_interval`.
    pub known_for: Duration,
    /// How long a group is kept after its last state.
    pub kept_for: Duration,
    /// How long an entry may take, fail-overs included.
    pub within: Duration,
    /// How long a replica may take to confirm before the entry is sent again.
    pub replica_within: Duration,
    /// Entries that may wait; more are refused.
    pub most_waiting: usize,
}

impl Default for OutboxOptions {
    fn default() -> Self {
        Self {
            known_for: Duration::from_hours(6),
            kept_for: Duration::from_hours(30 * 24),
            within: Duration::from_secs(4),
            replica_within: Duration::from_millis(500),
            most_waiting: 4096,
        }
    }
}

/// The outbox; cloning is cheap.
#[derive(Debug, Clone)]
pub struct Outbox {
    redis: Redis,
    inbox: mpsc::Sender<Pending>,
    within: Duration,
    replica_within: Duration,
}

impl Outbox {
    /// The outbox on a Redis; needs a tokio runtime.
    pub fn new(redis: &Redis, options: OutboxOptions) -> Self {
        let (inbox, waiting) = mpsc::channel(options.most_waiting.max(1));
        let (within, replica_within) = (options.within, options.replica_within);
        tokio::spawn(Lane::new(channel(redis, options.replica_within), options, waiting).run());
        Self {
            redis: redis.clone(),
            inbox,
            within,
            replica_within,
        }
    }

    /// Keeps an entry: it is on the master and, where that has one, on a replica.
    pub async fn accept(&self, entry: Entry) -> Result<Accepted, OutboxError> {
        let deadline = Instant::now() + self.within;
        let (answer, answered) = oneshot::channel();
        let pending = Pending {
            entry,
            deadline,
            answer,
        };
        self.inbox
            .try_send(pending)
            .map_err(|_| OutboxError::Full)?;
        match timeout_at(deadline + Duration::from_millis(100), answered).await {
            Ok(Ok(answer)) => answer,
            // The lane ended, or never came to it.
            _ => Err(OutboxError::Full),
        }
    }

    pub(crate) fn redis(&self) -> &Redis {
        &self.redis
    }

    /// Commands that only read, on a connection of their own.
    pub(crate) async fn ask(&self, commands: &Pipeline) -> Result<Vec<Value>, OutboxError> {
        let mut channel = channel(&self.redis, Duration::ZERO);
        Ok(channel.send(commands).await?)
    }

    /// How long an entry may take, and how long of that a replica.
    pub(crate) fn patience(&self) -> (Duration, Duration) {
        (self.within, self.replica_within)
    }

    /// One call on a connection of its own.
    pub(crate) async fn call(&self, command: Cmd) -> Result<Value, OutboxError> {
        let mut channel = channel(&self.redis, Duration::ZERO);
        answered(&mut channel, command).await
    }
}

pub(crate) fn channel(redis: &Redis, blocks: Duration) -> Channel {
    Channel::new(redis, &LIBRARY, blocks)
}

/// A call of a function; its arguments follow.
pub(crate) fn call(function: &str) -> Cmd {
    let mut command = LIBRARY.call(function);
    command.arg(1).arg(PREFIX);
    command
}

/// One call, and once more where the library had to be loaded first: nothing was done before.
pub(crate) async fn answered(channel: &mut Channel, command: Cmd) -> Result<Value, OutboxError> {
    let mut pipeline = Pipeline::with_capacity(1);
    pipeline.add_command(command);
    let mut values = match channel.send(&pipeline).await {
        Err(kedactl_queue::QueueError::Unavailable { .. }) => channel.send(&pipeline).await?,
        other => other?,
    };
    Ok(values.pop().unwrap_or(Value::Nil))
}
