//! `Scheduler`: makes due what is due. Run one in every process: any number of copies does the work once.
//!
//! It must not decide what is due: the server's functions do, by the server's clock.

use std::time::Duration;

use redis::Value;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::cron::CronEntry;
use crate::error::QueueError;
use crate::id::random_unit;
use crate::keys;
use crate::library;
use crate::name::QueueName;
use crate::redis_handle::{Conn, Redis};
use crate::reply;

/// How often, and with which limits.
#[derive(Debug, Clone)]
pub struct SchedulerOptions {
    /// Longest time between two looks at a queue.
    pub tick: Duration,
    /// A task whose worker died so often is dead.
    pub crash_limit: u32,
    /// Dead letters beyond this number are dropped, the oldest first, and counted.
    pub dead_limit: u64,
    /// Empty: every queue that was ever used.
    pub queues: Vec<QueueName>,
    /// Nothing is reaped so long after a master was found, so that workers can renew their leases there first.
    pub reap_hold: Duration,
}

impl Default for SchedulerOptions {
    fn default() -> Self {
        Self {
            tick: Duration::from_millis(200),
            crash_limit: 3,
            dead_limit: 1_000_000,
            queues: Vec::new(),
            reap_hold: Duration::from_secs(3),
        }
    }
}

/// Tasks that one call moves at most; the server is busy for a few milliseconds with them.
const LIMIT: u64 = 1000;
const LIST_QUEUES_EVERY: Duration = Duration::from_secs(2);

/// Promotes delayed tasks, hands back those of dead workers, fires cron entries.
#[derive(Debug)]
pub struct Scheduler {
    redis: Redis,
    options: SchedulerOptions,
    known: Vec<QueueName>,
    listed: Option<Instant>,
}

/// What one call did.
struct Tick {
    /// There may be more of it at once.
    full: bool,
    next_ms: Option<u64>,
}

impl Scheduler {
    pub fn new(redis: &Redis, options: SchedulerOptions) -> Self {
        Self {
            redis: redis.clone(),
            known: options.queues.clone(),
            options,
            listed: None,
        }
    }

    /// Runs until stopped. Errors are waited out.
    pub async fn run(mut self, stop: CancellationToken) {
        loop {
            let wait = match self.round().await {
                Ok(wait) => wait,
                Err(error) => {
                    tracing::debug!(%error, "schedule waits for redis");
                    self.options.tick
                }
            };
            // Jitter keeps many copies from calling in step.
            let wait = wait.mul_f64(0.75 + random_unit() / 2.0);
            tokio::select! {
                () = sleep(wait) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    async fn round(&mut self) -> Result<Duration, QueueError> {
        let mut conn = self.redis.conn().await?;
        self.list_queues(&mut conn).await?;
        let mut wait = self.options.tick;
        for queue in self.known.clone() {
            loop {
                let tick = self.tick(&mut conn, &queue).await?;
                if !tick.full {
                    wait = tick
                        .next_ms
                        .map_or(wait, |ms| wait.min(Duration::from_millis(ms.max(5))));
                    break;
                }
            }
        }
        Ok(wait)
    }

    async fn list_queues(&mut self, conn: &mut Conn) -> Result<(), QueueError> {
        if !self.options.queues.is_empty()
            || self
                .listed
                .is_some_and(|at| at.elapsed() < LIST_QUEUES_EVERY)
        {
            return Ok(());
        }
        let names = conn.query(redis::cmd("SMEMBERS").arg(keys::QUEUES)).await?;
        self.known = reply::array(&names)?
            .iter()
            .filter_map(|n| QueueName::new(&reply::text(Some(n))).ok())
            .collect();
        self.listed = Some(Instant::now());
        Ok(())
    }

    async fn tick(&self, conn: &mut Conn, queue: &QueueName) -> Result<Tick, QueueError> {
        let reap = conn.generation.since.elapsed() >= self.options.reap_hold;
        let mut call = library::call("tick", queue);
        call.arg(LIMIT)
            .arg(self.options.crash_limit)
            .arg(self.options.dead_limit)
            .arg(u8::from(reap));
        let answer = conn.query(&call).await?;
        let fields = reply::array(&answer)?;
        let now_us = reply::number(fields.first())?;
        self.redis.clock().observe(now_us);
        let moved = reply::number(fields.get(1))?.max(reply::number(fields.get(2))?);
        let cron = reply::array_at(fields, 4)?;
        tell_reaped(reply::array_at(fields, 5)?);
        if !cron.is_empty() {
            fire(conn, queue, cron, now_us / 1000).await?;
        }
        let next_ms = u64::try_from(reply::signed(fields.get(3))?).ok();
        Ok(Tick {
            full: moved >= LIMIT || !cron.is_empty(),
            next_ms,
        })
    }
}

/// Says which tasks lost their worker: the worker itself cannot any more.
fn tell_reaped(told: &[Value]) {
    for it in told.chunks_exact(4) {
        let [worker, task_id, fate] = [0, 1, 2].map(|at| reply::text(it.get(at)));
        let crashes = reply::number(it.get(3)).unwrap_or_default();
        match fate.as_str() {
            "dead" => {
                tracing::error!(target: "task", task_id, worker, crashes, "dead: its workers died");
            }
            "cancelled" => {
                tracing::info!(target: "task", task_id, worker, "cancelled: its worker died before it stopped");
            }
            _ => {
                tracing::warn!(target: "task", task_id, worker, crashes, "its worker died: it is taken again");
            }
        }
    }
}

/// Fires the due slots; the server ignores those that another copy fired.
async fn fire(
    conn: &mut Conn,
    queue: &QueueName,
    due: &[Value],
    now_ms: u64,
) -> Result<(), QueueError> {
    let mut call = library::call("cron_fire", queue);
    for entry in due.chunks_exact(3) {
        let (name, slot) = (reply::text(entry.first()), reply::number(entry.get(1))?);
        let Ok(entry) = serde_json::from_slice::<CronEntry>(reply::bytes(entry.get(2))) else {
            tracing::warn!(%queue, name, "cron entry cannot be read");
            continue;
        };
        let following = entry
            .following(slot, now_ms)
            .map_or(String::new(), |ms| ms.to_string());
        let (id, envelope) = entry.firing(queue, slot);
        call.arg(name)
            .arg(slot)
            .arg(following)
            .arg(id.as_str())
            .arg(envelope);
    }
    conn.query(&call).await.map(drop)
}
