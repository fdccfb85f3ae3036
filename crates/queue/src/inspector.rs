//! `Inspector`: looks at queues and steers them.
//!
//! It must not be needed for the work itself: producers, consumers and schedulers do without it.

use std::time::Duration;

use redis::Value;
use tokio::time::{Instant, sleep};

use crate::cron::CronEntry;
use crate::error::QueueError;
use crate::id::TaskId;
use crate::keys;
use crate::library;
use crate::name::QueueName;
use crate::redis_handle::Redis;
use crate::reply;
use crate::task::run_fits;
use crate::view::{AuditPage, Cancel, QueueStats, RateLimit, TaskState, TaskView};

/// The count that KEDA's Redis scalers take of a key: its length by its type, 0 where it is not there.
const KEDA_SCRIPT: &str = "local kind = redis.call('TYPE', KEYS[1]).ok
local count = { none = 'LLEN', list = 'LLEN', zset = 'ZCARD', set = 'SCARD', hash = 'HLEN' }
if not count[kind] then return redis.error_reply('ERR unsupported key type: ' .. kind) end
return redis.call(count[kind], KEYS[1])";

/// Stream entries of one read; each holds the records of one report, up to 512.
const AUDIT_ENTRIES: usize = 64;

/// Looks and steers; cloning is cheap.
#[derive(Debug, Clone)]
pub struct Inspector {
    redis: Redis,
}

impl Inspector {
    pub fn new(redis: &Redis) -> Self {
        Self {
            redis: redis.clone(),
        }
    }

    async fn query(&self, command: &redis::Cmd) -> Result<Value, QueueError> {
        self.redis.conn().await?.query(command).await
    }

    async fn number(&self, command: &redis::Cmd) -> Result<u64, QueueError> {
        reply::number(Some(&self.query(command).await?))
    }

    /// Every queue that was ever used, by name.
    pub async fn queues(&self) -> Result<Vec<QueueName>, QueueError> {
        let names = self.query(redis::cmd("SMEMBERS").arg(keys::QUEUES)).await?;
        let mut names: Vec<_> = reply::array(&names)?
            .iter()
            .filter_map(|n| QueueName::new(&reply::text(Some(n))).ok())
            .collect();
        names.sort();
        Ok(names)
    }

    pub async fn stats(&self, queue: &QueueName) -> Result<QueueStats, QueueError> {
        QueueStats::read(queue, &self.query(&library::call("stats", queue)).await?)
    }

    /// The first waiting tasks, in the order in which they would be claimed; at most 1000.
    pub async fn peek(&self, queue: &QueueName, limit: usize) -> Result<Vec<TaskView>, QueueError> {
        let answer = self
            .query(library::call("peek", queue).arg(limit.min(1000)))
            .await?;
        let found = reply::array(&answer)?
            .get(1..)
            .unwrap_or_default()
            .chunks_exact(3);
        found
            .map(|t| {
                let (envelope, meta) = (reply::bytes(t.get(1)), reply::bytes(t.get(2)));
                Ok(TaskView::stored(
                    reply::id(t.first())?,
                    TaskState::Waiting,
                    queue,
                    envelope,
                    meta,
                ))
            })
            .collect()
    }

    /// A task, wherever it is; `None` if it is unknown or its result is not kept any more.
    pub async fn task(
        &self,
        queue: &QueueName,
        id: TaskId,
    ) -> Result<Option<TaskView>, QueueError> {
        let answer = self
            .query(library::call("task", queue).arg(id.as_str()))
            .await?;
        TaskView::read(id, queue, &answer)
    }

    /// As [`Inspector::task`], but waits until the task is finished or gone, or the time is over.
    pub async fn wait(
        &self,
        queue: &QueueName,
        id: TaskId,
        within: Duration,
    ) -> Result<Option<TaskView>, QueueError> {
        let until = Instant::now() + within;
        let mut pause = Duration::from_millis(10);
        loop {
            let found = self.task(queue, id).await?;
            let now = Instant::now();
            if found.as_ref().is_none_or(|t| t.state.is_final()) || now >= until {
                return Ok(found);
            }
            sleep(pause.min(until - now)).await;
            pause = (pause * 2).min(Duration::from_millis(250));
        }
    }

    /// Removes a task that waits, or asks the worker to stop one that runs.
    pub async fn cancel(&self, queue: &QueueName, id: TaskId) -> Result<Cancel, QueueError> {
        Ok(
            match self
                .number(library::call("cancel", queue).arg(id.as_str()))
                .await?
            {
                1 => Cancel::Removed,
                2 => Cancel::Requested,
                _ => Cancel::NotFound,
            },
        )
    }

    /// Nothing is claimed from the queue until it is resumed; running tasks go on.
    pub async fn pause(&self, queue: &QueueName) -> Result<(), QueueError> {
        self.query(library::call("configure", queue).arg("paused").arg(1))
            .await
            .map(drop)
    }

    pub async fn resume(&self, queue: &QueueName) -> Result<(), QueueError> {
        self.query(library::call("configure", queue).arg("paused").arg(""))
            .await
            .map(drop)
    }

    /// At most so many tasks are claimed from the queue; `None` lifts the limit.
    pub async fn set_rate_limit(
        &self,
        queue: &QueueName,
        limit: Option<RateLimit>,
    ) -> Result<(), QueueError> {
        let (rate, burst) = match limit {
            None => (String::new(), String::new()),
            Some(l) if l.per_second > 0.0 && l.per_second.is_finite() && l.burst > 0 => {
                (l.per_second.to_string(), l.burst.to_string())
            }
            Some(_) => {
                return Err(QueueError::Invalid(
                    "a rate limit needs a rate and a burst above 0".to_owned(),
                ));
            }
        };
        let mut call = library::call("configure", queue);
        self.query(call.arg("rate").arg(rate).arg("burst").arg(burst))
            .await
            .map(drop)
    }

    /// Dead letters, the latest first.
    pub async fn dead_list(
        &self,
        queue: &QueueName,
        offset: u64,
        limit: u64,
    ) -> Result<Vec<TaskView>, QueueError> {
        let answer = self
            .query(
                library::call("dead_list", queue)
                    .arg(offset)
                    .arg(limit.clamp(1, 1000)),
            )
            .await?;
        let found = reply::array(&answer)?
            .get(1..)
            .unwrap_or_default()
            .chunks_exact(4);
        found
            .map(|t| {
                let (envelope, why) = (reply::bytes(t.get(1)), reply::bytes(t.get(2)));
                Ok(TaskView::dead(
                    reply::id(t.first())?,
                    queue,
                    envelope,
                    why,
                    reply::number(t.get(3))?,
                ))
            })
            .collect()
    }

    /// Puts one dead letter, or all of them, back to the queue with fresh attempts. Answers how many.
    pub async fn dead_retry(
        &self,
        queue: &QueueName,
        id: Option<TaskId>,
    ) -> Result<u64, QueueError> {
        self.take_dead(queue, 1, id).await
    }

    /// Drops one dead letter, or all of them. Answers how many.
    pub async fn dead_purge(
        &self,
        queue: &QueueName,
        id: Option<TaskId>,
    ) -> Result<u64, QueueError> {
        self.take_dead(queue, 0, id).await
    }

    async fn take_dead(
        &self,
        queue: &QueueName,
        replay: u8,
        id: Option<TaskId>,
    ) -> Result<u64, QueueError> {
        // What dies again while this runs is not taken again.
        let mut left = self.stats(queue).await?.dead;
        let mut taken = 0;
        loop {
            let mut call = library::call("dead_take", queue);
            let n = self
                .number(call.arg(replay).arg(id.as_ref().map_or("", TaskId::as_str)))
                .await?;
            taken += n;
            left = left.saturating_sub(500);
            if id.is_some() || n == 0 || left == 0 {
                return Ok(taken);
            }
        }
    }

    /// Removes every waiting and delayed task; running ones go on. Answers how many.
    pub async fn purge(&self, queue: &QueueName) -> Result<u64, QueueError> {
        let mut removed = 0;
        loop {
            let answer = self.query(&library::call("purge", queue)).await?;
            let fields = reply::array(&answer)?;
            removed += reply::number(fields.first())?;
            if reply::number(fields.get(1))? == 0 {
                return Ok(removed);
            }
        }
    }

    /// Adds or replaces a cron entry; an unchanged one keeps its next slot, so every replica may put it at its start.
    pub async fn cron_put(&self, queue: &QueueName, entry: &CronEntry) -> Result<(), QueueError> {
        entry
            .check()
            .map_err(|e| QueueError::Invalid(e.to_string()))?;
        let mut conn = self.redis.conn().await?;
        let now_ms = self.redis.clock().now_ms();
        let first = entry
            .schedule
            .next(now_ms)
            .ok_or_else(|| QueueError::Invalid("schedule never fires".to_owned()))?;
        let text = serde_json::to_string(entry).map_err(|e| QueueError::Invalid(e.to_string()))?;
        conn.query(redis::cmd("SADD").arg(keys::QUEUES).arg(queue.as_str()))
            .await?;
        conn.query(
            library::call("cron_put", queue)
                .arg(&entry.name)
                .arg(text)
                .arg(first),
        )
        .await
        .map(drop)
    }

    /// Every cron entry, by name.
    pub async fn cron_list(&self, queue: &QueueName) -> Result<Vec<CronEntry>, QueueError> {
        let answer = self
            .query(redis::cmd("HVALS").arg(keys::part(queue, "cron")))
            .await?;
        let entries = reply::array(&answer)?.iter();
        let mut entries: Vec<CronEntry> = entries
            .filter_map(|e| serde_json::from_slice(reply::bytes(Some(e))).ok())
            .collect();
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    /// Whether there was one.
    pub async fn cron_remove(&self, queue: &QueueName, name: &str) -> Result<bool, QueueError> {
        Ok(self
            .number(library::call("cron_remove", queue).arg(name))
            .await?
            == 1)
    }

    /// Finished executions of a run after a cursor (`None`: from the start), at most `limit` (up to 20,000).
    pub async fn audit_read(
        &self,
        queue: &QueueName,
        run: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<AuditPage, QueueError> {
        if !run_fits(run) {
            return Err(QueueError::Invalid(
                "run must be 1 to 40 of A-Z a-z 0-9 _ -".to_owned(),
            ));
        }
        let limit = limit.clamp(1, 20_000);
        let cursor = after.unwrap_or("0-0.0");
        let bad = || QueueError::Invalid(format!("not an audit cursor: {cursor:?}"));
        let (from, skip) = cursor.rsplit_once('.').ok_or_else(bad)?;
        let mut skip: usize = skip.parse().map_err(|_| bad())?;
        if from.is_empty() || !from.bytes().all(|b| b.is_ascii_digit() || b == b'-') {
            return Err(bad());
        }
        let mut page = AuditPage {
            records: Vec::new(),
            next: cursor.to_owned(),
        };
        let mut start = from.to_owned();
        // The entry of the cursor comes first and may be used up, so a page asks for at least two.
        while page.records.len() < limit {
            let mut read = redis::cmd("XRANGE");
            read.arg(keys::audit(queue, run))
                .arg(&start)
                .arg("+")
                .arg("COUNT")
                .arg(AUDIT_ENTRIES);
            let answer = self.query(&read).await?;
            let entries = reply::array(&answer)?;
            for entry in entries {
                if !page.add(entry, &mut skip, limit)? {
                    return Ok(page);
                }
            }
            if entries.len() < AUDIT_ENTRIES {
                break;
            }
            start = format!("({}", page.next.rsplit_once('.').map_or("0-0", |c| c.0));
            skip = 0;
        }
        Ok(page)
    }

    /// The number that KEDA reads from a key, by the same rules.
    pub async fn keda_value(&self, key: &str) -> Result<u64, QueueError> {
        self.number(redis::cmd("EVAL").arg(KEDA_SCRIPT).arg(1).arg(key))
            .await
    }
}

impl AuditPage {
    /// Adds an entry's records; false once the page is full. A cursor is `<entry>.<records of it that were read>`.
    fn add(&mut self, entry: &Value, skip: &mut usize, limit: usize) -> Result<bool, QueueError> {
        let entry = reply::array(entry)?;
        let id = reply::text(entry.first());
        let text = reply::text(reply::array_at(entry, 1)?.get(1));
        let at_cursor = self.next.rsplit_once('.').is_some_and(|(at, _)| at == id);
        let passed = if at_cursor { std::mem::take(skip) } else { 0 };
        let mut read = passed;
        for record in text.split(';').skip(passed) {
            if self.records.len() >= limit {
                break;
            }
            let mut fields = record.split(',').map(|f| f.parse::<u64>().unwrap_or(0));
            self.records
                .push(std::array::from_fn(|_| fields.next().unwrap_or(0)));
            read += 1;
        }
        self.next = format!("{id}.{read}");
        Ok(self.records.len() < limit)
    }
}
