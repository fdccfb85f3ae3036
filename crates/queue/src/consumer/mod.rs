//! `Consumer`: claims tasks for one worker process, reports how they ended, keeps the lease, survives fail-overs.
//!
//! It must not run a task, and must not lose one: what it claimed stays on its books until the server has heard the end.

mod acks;
mod claims;
mod fate;
mod lease;
mod session;

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::value::RawValue;
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::envelope::Task;
use crate::error::QueueError;
use crate::id::TaskId;
use crate::library;
use crate::name::QueueName;
use crate::redis_handle::Redis;
use crate::reply;
use acks::{Ack, Message};
use claims::ClaimLane;
pub use fate::Fate;
use session::Session;

/// What a worker process claims and how.
#[derive(Debug, Clone)]
pub struct ConsumerOptions {
    /// Claimed from in turn.
    pub queues: Vec<QueueName>,
    /// The worker's name for people, e.g. the pod's; an instance id is made of it for each process start.
    pub name: String,
    /// A worker that does not beat for so long is dead, its tasks go to others. Beaten at a third of it.
    pub lease: Duration,
    /// How long a claim waits for work before it returns empty.
    pub idle_wait: Duration,
    /// How long nothing is claimed after another process became master, so that workers can say first what they run.
    pub failover_hold: Duration,
}

impl ConsumerOptions {
    /// 15 s of lease, 1 s of idle wait, 2 s of hold.
    pub fn new(queues: Vec<QueueName>, name: impl Into<String>) -> Self {
        let (lease, idle_wait) = (Duration::from_secs(15), Duration::from_secs(1));
        Self {
            queues,
            name: name.into(),
            lease,
            idle_wait,
            failover_hold: Duration::from_secs(2),
        }
    }
}

/// A claimed task: run it, then report its end with the ticket.
#[derive(Debug, Clone)]
pub struct Claimed {
    pub ticket: Ticket,
    pub task: Task,
}

/// The right to report the end of one execution; cloning is cheap.
#[derive(Debug, Clone)]
pub struct Ticket(pub(crate) Arc<Facts>);

/// What the report needs to know of the task.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) queue: usize,
    pub(crate) id: TaskId,
    pub(crate) attempt: u32,
    pub(crate) max_attempts: u32,
    pub(crate) backoff: crate::task::Backoff,
    pub(crate) result_ttl_s: u32,
    pub(crate) audit: Option<crate::task::AuditTag>,
    pub(crate) enqueued_us: u64,
    pub(crate) started_us: u64,
    /// The worker's name for people.
    pub(crate) worker: Arc<str>,
    pub(crate) accepted_by: Option<String>,
    pub(crate) traceparent: Option<String>,
}

impl Ticket {
    pub fn id(&self) -> TaskId {
        self.0.id
    }
}

/// Whether a failed task is tried again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Retry {
    /// After the task's own backoff, while attempts are left.
    #[default]
    Backoff,
    /// After this time, while attempts are left.
    After(Duration),
    /// No: it goes to the dead letters at once.
    Never,
}

/// How an execution ended.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// It worked; the result is kept where the task asks for that.
    Done(Option<Box<RawValue>>),
    /// It failed. Whether it is tried again or dead is decided here, from its attempts.
    Failed { error: String, retry: Retry },
    /// It was stopped because it was cancelled.
    Cancelled,
    /// It was not finished: back to the front of the queue, no attempt is burned.
    Released,
}

/// What the server said to a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Applied,
    /// The task was another worker's by then, or gone: the report was dropped.
    Fenced,
    /// The consumer stopped before the server answered.
    Unknown,
}

/// Counts since the consumer's start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ConsumerCounters {
    pub claimed: u64,
    pub finished: u64,
    pub fenced: u64,
    pub expired: u64,
    pub resyncs: u64,
    /// How often the lease ran out and a new worker instance had to be made.
    pub lease_losses: u64,
}

#[derive(Debug, Default)]
struct Counters {
    claimed: AtomicU64,
    finished: AtomicU64,
    fenced: AtomicU64,
    expired: AtomicU64,
    resyncs: AtomicU64,
    lease_losses: AtomicU64,
}

/// Claims and reports; cloning is cheap. The last clone ends the lease thread; use [`Consumer::close`] to leave in order.
#[derive(Debug, Clone)]
pub struct Consumer {
    shared: Arc<Shared>,
    _guard: Arc<DropGuard>,
}

#[derive(Debug)]
struct Shared {
    redis: Redis,
    options: ConsumerOptions,
    name: Arc<str>,
    session: tokio::sync::RwLock<Session>,
    claims: tokio::sync::Mutex<ClaimLane>,
    books: Mutex<Books>,
    lease_lost: AtomicBool,
    messages: mpsc::UnboundedSender<Message>,
    cancellations: broadcast::Sender<TaskId>,
    counters: Counters,
    stop: CancellationToken,
}

/// A claim: the same task may be claimed again before its last report is settled here.
#[derive(Debug, Clone, Copy)]
struct Held {
    queue: usize,
    started_us: u64,
}

/// What this process holds.
#[derive(Debug, Default)]
struct Books {
    /// The worker instance as the lease thread shall beat it; empty before the first registration.
    instance: String,
    /// Claimed, and the server has not heard the end.
    running: HashMap<TaskId, Held>,
    /// Claimed, not handed out yet.
    buffer: VecDeque<Claimed>,
    /// Reports of the last seconds, repeated where a fail-over may have undone them.
    recent: VecDeque<(Instant, Ack)>,
    hold_until: Option<Instant>,
}

impl Shared {
    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Consumer {
    /// Registers the worker with every queue and starts the lease thread. Needs a tokio runtime.
    pub async fn start(redis: &Redis, options: ConsumerOptions) -> Result<Self, QueueError> {
        if options.queues.is_empty() || options.name.len() > 128 {
            return Err(QueueError::Invalid(
                "a consumer needs a queue and a name of at most 128 bytes".to_owned(),
            ));
        }
        let (messages, inbox) = mpsc::unbounded_channel();
        let (cancellations, _) = broadcast::channel(4096);
        let stop = CancellationToken::new();
        let shared = Arc::new(Shared {
            redis: redis.clone(),
            session: tokio::sync::RwLock::new(Session::new(&options.name)),
            name: options.name.as_str().into(),
            claims: tokio::sync::Mutex::default(),
            books: Mutex::default(),
            lease_lost: AtomicBool::new(false),
            messages,
            cancellations,
            counters: Counters::default(),
            stop: stop.clone(),
            options,
        });
        drop(shared.session().await?);
        lease::spawn(&shared)?;
        tokio::spawn(acks::run(Arc::downgrade(&shared), stop.clone(), inbox));
        Ok(Self {
            shared,
            _guard: Arc::new(stop.drop_guard()),
        })
    }

    /// Claims at most `limit` tasks. Waits until there is one or the idle wait is over, then returns empty.
    ///
    /// Dropping the future loses nothing: what was claimed comes with the next call. Errors are logged and waited out.
    pub async fn claim(&self, limit: usize) -> Vec<Claimed> {
        claims::claim(&self.shared, limit).await
    }

    /// Reports the end of an execution, and says what becomes of the task by it; never blocks. The report is repeated
    /// until a master has taken it.
    pub fn finish(&self, ticket: &Ticket, outcome: Outcome) -> Fate {
        self.report(ticket, outcome, None)
    }

    /// As [`Consumer::finish`], and waits for what the server says.
    pub async fn finished(&self, ticket: &Ticket, outcome: Outcome) -> Verdict {
        let (told, verdict) = oneshot::channel();
        let _fate = self.report(ticket, outcome, Some(told));
        verdict.await.unwrap_or(Verdict::Unknown)
    }

    fn report(
        &self,
        ticket: &Ticket,
        outcome: Outcome,
        told: Option<oneshot::Sender<Verdict>>,
    ) -> Fate {
        let ack = Ack::new(&ticket.0, outcome, self.shared.redis.clock().now_us());
        let fate = ack.fate();
        // Fails only after the end of the consumer; the lease gives the task to another worker then.
        let _stopped = self.shared.messages.send(Message::Ack(ack, told));
        fate
    }

    /// Stores how far a task is; any JSON. False if the task is not this worker's any more.
    pub async fn progress(&self, ticket: &Ticket, value: &RawValue) -> Result<bool, QueueError> {
        let session = self.shared.session().await?;
        let mut call = library::call("progress", &self.shared.options.queues[ticket.0.queue]);
        call.arg(&session.instance)
            .arg(ticket.0.id.as_str())
            .arg(value.get());
        let answer = self.shared.redis.conn().await?.query(&call).await?;
        Ok(reply::number(Some(&answer))? == 1)
    }

    /// Ids of running tasks that shall stop: cancelled by a user, or taken over by another worker.
    pub fn cancellations(&self) -> broadcast::Receiver<TaskId> {
        self.shared.cancellations.subscribe()
    }

    /// Tasks that were claimed and whose end the server has not heard.
    pub fn holding(&self) -> usize {
        self.shared.books().running.len()
    }

    /// The present worker instance.
    pub fn instance(&self) -> String {
        self.shared.books().instance.clone()
    }

    /// Counts since the start.
    pub fn counters(&self) -> ConsumerCounters {
        let c = &self.shared.counters;
        let get = |n: &AtomicU64| n.load(Ordering::Relaxed);
        ConsumerCounters {
            claimed: get(&c.claimed),
            finished: get(&c.finished),
            fenced: get(&c.fenced),
            expired: get(&c.expired),
            resyncs: get(&c.resyncs),
            lease_losses: get(&c.lease_losses),
        }
    }

    /// Waits until a master has taken every report made so far.
    pub async fn flush(&self) {
        let (told, done) = oneshot::channel();
        if self.shared.messages.send(Message::Flush(told)).is_ok() {
            // An error means that the consumer stopped, and nothing is left to wait for.
            let _stopped = done.await;
        }
    }

    /// Leaves in order: reports are flushed, what is still held goes back to the front, the worker is struck off.
    /// Gives up after the given time; the lease does the rest then.
    pub async fn close(self, within: Duration) {
        let left = tokio::time::timeout(within, async {
            self.flush().await;
            self.shared.leave().await
        });
        match left.await {
            Ok(Ok(released)) => tracing::info!(released, "worker left the queue"),
            Ok(Err(error)) => tracing::warn!(%error, "worker left without telling redis"),
            Err(_) => tracing::warn!("worker left without telling redis: no answer in time"),
        }
        self.shared.stop.cancel();
    }
}
