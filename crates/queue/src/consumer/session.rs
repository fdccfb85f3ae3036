//! The worker instance: registered with every queue of one generation, agreed upon anew after each reconnect.
//!
//! It must not run beside a claim or a report: both hold the read side of the session's lock, agreement the write side.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::RwLockReadGuard;
use tokio::time::Instant;

use super::acks::{Ack, Message};
use super::{Books, Shared};
use crate::error::QueueError;
use crate::id::TaskId;
use crate::keys;
use crate::library;
use crate::redis_handle::{CALL_TIMEOUT, Conn, Generation, Redis, unavailable};
use crate::reply;

/// How long a report is kept for the case that a fail-over undoes it.
const RECENT: Duration = Duration::from_secs(10);
const RECENT_MAX: usize = 16_384;

/// Which generation knows this worker, and by which name.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) generation: u64,
    /// The server process that agreed last. Generations in between may have come and gone unseen.
    run_id: String,
    /// Unique for a process start and for each lease: a reaped name is never used again.
    pub(super) instance: String,
    /// Grows with each agreement; calls of an older one are refused by the server.
    pub(super) epoch: u64,
}

impl Session {
    pub(super) fn new(name: &str) -> Self {
        Self {
            generation: 0,
            run_id: String::new(),
            instance: new_instance(name),
            epoch: 0,
        }
    }
}

impl Session {
    /// A connection to the master that agreed, and to no later one: that one knows nothing of this worker yet.
    pub(super) async fn conn(&self, redis: &Redis) -> Result<Conn, QueueError> {
        let conn = redis.own_conn(CALL_TIMEOUT).await?;
        if conn.generation.number == self.generation {
            Ok(conn)
        } else {
            Err(unavailable("the master changed meanwhile"))
        }
    }
}

fn new_instance(name: &str) -> String {
    let chance = TaskId::new(0);
    format!("{name}~{}", &chance.as_str()[14..])
}

impl Shared {
    /// The session, agreed with the present master. Hold it over every call that depends on it.
    pub(super) async fn session(&self) -> Result<RwLockReadGuard<'_, Session>, QueueError> {
        loop {
            let generation = self.redis.master(CALL_TIMEOUT).await?;
            let session = self.session.read().await;
            if session.generation == generation.number && !self.lease_lost.load(Ordering::Acquire) {
                return Ok(session);
            }
            drop(session);
            self.agree(generation).await?;
        }
    }

    async fn agree(&self, generation: Arc<Generation>) -> Result<(), QueueError> {
        let mut session = self.session.write().await;
        let lost = self.lease_lost.load(Ordering::Acquire);
        if session.generation == generation.number && !lost {
            return Ok(());
        }
        if lost {
            session.instance = new_instance(&self.options.name);
            self.counters.lease_losses.fetch_add(1, Ordering::Relaxed);
        }
        session.epoch += 1;
        let mut conn = self
            .redis
            .own_conn_to(Arc::clone(&generation), CALL_TIMEOUT * 2)
            .await?;
        let replay = !session.run_id.is_empty() && session.run_id != generation.run_id;
        let recent = if replay {
            self.recent_reports()
        } else {
            Vec::new()
        };
        if replay {
            self.books().hold_until = Some(Instant::now() + self.options.failover_hold);
        }
        let mut undone = Vec::new();
        for queue in 0..self.options.queues.len() {
            let gone = self
                .agree_queue(&mut conn, &session, queue, &recent)
                .await?;
            undone.extend(
                recent
                    .iter()
                    .filter(|a| a.facts.queue == queue && !gone.contains(&a.facts.id))
                    .cloned(),
            );
        }
        session.generation = generation.number;
        session.run_id.clone_from(&generation.run_id);
        self.books().instance.clone_from(&session.instance);
        self.lease_lost.store(false, Ordering::Release);
        self.counters.resyncs.fetch_add(1, Ordering::Relaxed);
        tracing::debug!(
            instance = session.instance,
            generation = generation.number,
            replayed = undone.len(),
            "worker registered"
        );
        for ack in undone {
            tracing::debug!(target: "task", task_id = %ack.facts.id, "its end is reported again after a fail-over");
            // Fails only after the end of the consumer.
            let _stopped = self.messages.send(Message::Replay(ack));
        }
        Ok(())
    }

    /// Answers the ids that the server does not count as ours.
    async fn agree_queue(
        &self,
        conn: &mut Conn,
        session: &Session,
        queue: usize,
        recent: &[Ack],
    ) -> Result<Vec<TaskId>, QueueError> {
        let name = &self.options.queues[queue];
        let mut announce = redis::cmd("SADD");
        announce.arg(keys::QUEUES).arg(name.as_str());
        conn.query(&announce).await?;
        let mut call = library::call("resync", name);
        call.arg(&session.instance)
            .arg(session.epoch)
            .arg(self.options.lease.as_millis() as u64);
        for (id, held) in &self.books().running {
            if held.queue == queue {
                call.arg(id.as_str());
            }
        }
        for ack in recent.iter().filter(|a| a.facts.queue == queue) {
            call.arg(ack.facts.id.as_str());
        }
        let answer = conn.query(&call).await?;
        let fields = reply::array(&answer)?;
        self.redis.clock().observe(reply::number(fields.first())?);
        let gone: Vec<TaskId> = reply::array_at(fields, 2)?
            .iter()
            .map(|v| reply::id(Some(v)))
            .collect::<Result<_, _>>()?;
        self.give_up(&gone);
        Ok(gone)
    }

    /// Tasks that run elsewhere or not at all any more: handlers are told to stop, waiting ones are dropped.
    fn give_up(&self, gone: &[TaskId]) {
        let mut books = self.books();
        let Books {
            running, buffer, ..
        } = &mut *books;
        let held: Vec<TaskId> = gone
            .iter()
            .copied()
            .filter(|id| running.contains_key(id))
            .collect();
        buffer.retain(|c| {
            let dropped = held.contains(&c.task.id);
            if dropped {
                running.remove(&c.task.id);
            }
            !dropped
        });
        drop(books);
        for id in held {
            tracing::warn!(target: "task", task_id = %id, "given up: another worker has it, or nobody any more");
            // Nobody may be listening.
            let _unheard = self.cancellations.send(id);
        }
    }

    /// The last report of each task that does not run here again: the report of an earlier attempt would take a
    /// running one away from us.
    fn recent_reports(&self) -> Vec<Ack> {
        let mut books = self.books();
        prune(&mut books);
        let mut newest: HashMap<TaskId, &Ack> = HashMap::new();
        for (_, ack) in &books.recent {
            if !books.running.contains_key(&ack.facts.id) {
                newest.insert(ack.facts.id, ack);
            }
        }
        newest.into_values().cloned().collect()
    }

    /// Strikes the worker off; what it holds goes back.
    pub(super) async fn leave(&self) -> Result<u64, QueueError> {
        let session = self.session().await?;
        let mut conn = self.redis.conn().await?;
        let mut released = 0;
        for queue in &self.options.queues {
            let mut call = library::call("leave", queue);
            call.arg(&session.instance);
            released += reply::number(Some(&conn.query(&call).await?))?;
        }
        self.books().instance.clear();
        Ok(released)
    }
}

/// Remembers a report that the server has taken.
pub(super) fn remember(books: &mut Books, ack: Ack) {
    prune(books);
    if ack.is_small() {
        books.recent.push_back((Instant::now(), ack));
    }
}

fn prune(books: &mut Books) {
    while let Some((at, _)) = books.recent.front() {
        if books.recent.len() < RECENT_MAX && at.elapsed() < RECENT {
            break;
        }
        books.recent.pop_front();
    }
}
