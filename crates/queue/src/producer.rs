//! `Producer`: tasks from many callers, stored in few round trips.
//!
//! It must not answer before the asked durability is reached, and must not store a batch twice.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

use crate::envelope;
use crate::error::EnqueueError;
use crate::id::{TaskId, fixed_bits};
use crate::lane::{Lane, Pending, Special};
use crate::name::QueueName;
use crate::redis_handle::Redis;
use crate::task::{Durability, NewTask, When};

/// How a producer batches and waits.
#[derive(Debug, Clone)]
pub struct ProducerOptions {
    /// Who stores, e.g. the pod's name: kept with each task for people. Empty: nothing is kept.
    pub name: String,
    /// Connections that store batches at the same time. WAIT blocks its connection, so one is too few.
    pub lanes: usize,
    /// Most tasks of one batch.
    pub max_batch: usize,
    /// How long a batch waits for company. At zero a batch is what came while the lanes were busy.
    pub linger: Duration,
    /// How long one WAIT waits for replicas before the batch is sent again.
    pub wait_timeout: Duration,
    /// How long a task may take from the call to the answer, fail-overs included.
    pub commit_timeout: Duration,
    /// Tasks that may wait for a lane; more callers wait outside.
    pub max_waiting: usize,
}

impl Default for ProducerOptions {
    fn default() -> Self {
        Self {
            name: String::new(),
            lanes: 2,
            max_batch: 256,
            linger: Duration::ZERO,
            wait_timeout: Duration::from_secs(1),
            commit_timeout: Duration::from_secs(5),
            max_waiting: 16_384,
        }
    }
}

/// A stored task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accepted {
    pub id: TaskId,
    /// The idempotency key was known: `id` is the first task's.
    pub duplicate: bool,
    /// Replicas that confirmed it; 0 where none was asked for.
    pub replicas: usize,
}

/// Stores tasks; cloning is cheap, and the lanes end with the last clone.
#[derive(Debug, Clone)]
pub struct Producer {
    redis: Redis,
    name: Arc<str>,
    queue: mpsc::Sender<Pending>,
    commit_timeout: Duration,
}

impl Producer {
    /// Starts the lanes; needs a tokio runtime.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "options are given away, as everywhere"
    )]
    pub fn new(redis: &Redis, options: ProducerOptions) -> Self {
        let (queue, inbox) = mpsc::channel(options.max_waiting.max(1));
        let inbox = Arc::new(Mutex::new(inbox));
        let commit_timeout = options.commit_timeout;
        for _ in 0..options.lanes.max(1) {
            tokio::spawn(Lane::new(redis.clone(), options.clone(), Arc::clone(&inbox)).run());
        }
        Self {
            redis: redis.clone(),
            name: options.name.as_str().into(),
            queue,
            commit_timeout,
        }
    }

    /// Stores one task and waits until the durability is reached.
    pub async fn enqueue(
        &self,
        queue: &QueueName,
        durability: Durability,
        task: NewTask,
    ) -> Result<Accepted, EnqueueError> {
        self.submit(queue, durability, task).await?.answer().await
    }

    /// Stores tasks; each has an answer of its own, in their order. They need not share a batch.
    pub async fn enqueue_many(
        &self,
        queue: &QueueName,
        durability: Durability,
        tasks: Vec<NewTask>,
    ) -> Vec<Result<Accepted, EnqueueError>> {
        let mut receipts = Vec::with_capacity(tasks.len());
        for task in tasks {
            receipts.push(self.submit(queue, durability, task).await);
        }
        let mut answers = Vec::with_capacity(receipts.len());
        for receipt in receipts {
            answers.push(match receipt {
                Ok(receipt) => receipt.answer().await,
                Err(error) => Err(error),
            });
        }
        answers
    }

    /// Hands the task to a lane; the receipt is awaited later.
    async fn submit(
        &self,
        queue: &QueueName,
        durability: Durability,
        task: NewTask,
    ) -> Result<Receipt, EnqueueError> {
        task.check()?;
        let deadline = Instant::now() + self.commit_timeout;
        let unavailable = |reason: &str| EnqueueError::Unavailable {
            reason: reason.to_owned(),
            retry_after: Duration::from_secs(1),
        };
        if !self.redis.is_ready() && self.redis.now_us() == 0 {
            // Ids and times need the server's clock once.
            let found = self.redis.master(self.commit_timeout).await;
            found.map_err(|_| unavailable("no master is known"))?;
        }
        let (pending, receipt) = self.prepare(queue, durability, &task, deadline);
        match timeout_at(deadline, self.queue.send(pending)).await {
            Ok(Ok(())) => Ok(receipt),
            Ok(Err(_)) => Err(unavailable("the producer has stopped")),
            Err(_) => Err(unavailable("too many tasks wait for redis")),
        }
    }

    fn prepare(
        &self,
        queue: &QueueName,
        durability: Durability,
        task: &NewTask,
        deadline: Instant,
    ) -> (Pending, Receipt) {
        let now_us = self.redis.now_us();
        let id = TaskId::new(now_us / 1000);
        let mut envelope = envelope::encode(task, now_us, &self.name);
        let special = special(task).map(Box::new);
        if let Some(Special { delay_ms, .. }) = special.as_deref()
            && let (Some(delay_ms), Some(expires)) = (delay_ms, task.expires_in_ms)
        {
            // A delayed task expires so long after it is due.
            let due = NewTask {
                expires_in_ms: Some(expires + delay_ms),
                ..task.clone()
            };
            envelope = envelope::encode(&due, now_us, &self.name);
        }
        let (answer, receipt) = oneshot::channel();
        let level = task.priority.level();
        let queue = queue.clone();
        (
            Pending {
                queue,
                durability,
                id,
                level,
                envelope,
                special,
                deadline,
                answer,
            },
            Receipt(receipt),
        )
    }

    /// Tasks that wait for a lane now.
    pub fn backlog(&self) -> usize {
        self.queue.max_capacity() - self.queue.capacity()
    }
}

/// What only tasks with a delay or a key need.
fn special(task: &NewTask) -> Option<Special> {
    let key = task.idempotency_key.clone().unwrap_or_default();
    let (kind, due_ms) = match task.when {
        When::Now if key.is_empty() => return None,
        When::Now => ("n", 0),
        When::After(ms) => ("a", ms),
        When::At(ms) => ("t", ms),
    };
    let print = if key.is_empty() {
        String::new()
    } else {
        fingerprint(task)
    };
    let delay_ms = (kind == "a").then_some(due_ms);
    Some(Special {
        kind,
        due_ms,
        key,
        print,
        delay_ms,
    })
}

/// Tells two tasks with one key apart: what the caller asked for, without what the clock adds.
fn fingerprint(task: &NewTask) -> String {
    let plain = NewTask {
        expires_in_ms: None,
        audit: None,
        traceparent: None,
        tracestate: None,
        ..task.clone()
    };
    let rest = (
        task.expires_in_ms,
        task.audit.as_ref().map(ToString::to_string),
        format!("{:?}", task.when),
    );
    format!(
        "{:032x}",
        fixed_bits(&(envelope::encode(&plain, 0, ""), rest))
    )
}

/// The answer to come.
#[derive(Debug)]
struct Receipt(oneshot::Receiver<Result<Accepted, EnqueueError>>);

impl Receipt {
    async fn answer(self) -> Result<Accepted, EnqueueError> {
        let lost = || EnqueueError::Unavailable {
            reason: "the producer has stopped".to_owned(),
            retry_after: Duration::from_secs(1),
        };
        self.0.await.unwrap_or_else(|_| Err(lost()))
    }
}
