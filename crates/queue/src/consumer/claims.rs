//! Claiming: queues in turn, a token to wait for when all are empty.
//!
//! It must not hold a claim back: what a call to the server took is either handed out or in the buffer.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use redis::Value;
use tokio::time::{Instant, sleep_until};

use super::acks::{Ack, Message};
use super::{Claimed, Facts, Held, Shared, Ticket};
use crate::envelope::{self, Task};
use crate::error::QueueError;
use crate::id::TaskId;
use crate::keys;
use crate::library;
use crate::redis_handle::{CALL_TIMEOUT, Conn};
use crate::reply;
use crate::task::Backoff;

/// Most tasks of one call.
const MOST: usize = 1000;
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(100);

/// The connections and the turn of the one claim that runs at a time.
#[derive(Debug, Default)]
pub(super) struct ClaimLane {
    calls: u64,
    conn: Option<Conn>,
    wake: Option<Conn>,
}

/// What a round over all queues found.
enum Round {
    Found,
    Empty,
    /// Nothing before this time: a rate limit, or the hold after a fail-over.
    NotBefore(Instant),
}

pub(super) async fn claim(shared: &Arc<Shared>, limit: usize) -> Vec<Claimed> {
    let deadline = Instant::now() + shared.options.idle_wait;
    loop {
        let ready = from_buffer(shared, limit);
        if !ready.is_empty() || limit == 0 {
            return ready;
        }
        // A task of its own, so that a caller who goes away does not lose what the server answers.
        let round = tokio::spawn(round(Arc::clone(shared), limit.min(MOST))).await;
        let wait_until = match round {
            Ok(Ok(Round::Found)) => continue,
            Ok(Ok(Round::Empty)) => None,
            Ok(Ok(Round::NotBefore(at))) => Some(at),
            Ok(Err(error)) => {
                tracing::debug!(%error, "cannot claim");
                Some(Instant::now() + PAUSE_AFTER_ERROR)
            }
            Err(_) => Some(Instant::now() + PAUSE_AFTER_ERROR),
        };
        if shared.stop.is_cancelled() || Instant::now() >= deadline {
            return Vec::new();
        }
        match wait_until {
            Some(at) => sleep_until(at.min(deadline)).await,
            None => {
                if wait_for_token(shared, deadline).await.is_err() {
                    sleep_until((Instant::now() + PAUSE_AFTER_ERROR).min(deadline)).await;
                }
            }
        }
    }
}

fn from_buffer(shared: &Shared, limit: usize) -> Vec<Claimed> {
    let mut books = shared.books();
    let n = limit.min(books.buffer.len());
    books.buffer.drain(..n).collect()
}

async fn round(shared: Arc<Shared>, limit: usize) -> Result<Round, QueueError> {
    let mut lane = shared.claims.lock().await;
    let session = shared.session().await?;
    if let Some(at) = shared.books().hold_until
        && at > Instant::now()
    {
        return Ok(Round::NotBefore(at));
    }
    if lane
        .conn
        .as_ref()
        .is_none_or(|c| c.generation.number != session.generation)
    {
        lane.conn = Some(session.conn(&shared.redis).await?);
    }
    let queues = shared.options.queues.len();
    let mut not_before = None;
    for _ in 0..queues {
        lane.calls += 1;
        let queue = (lane.calls % queues as u64) as usize;
        let fair = (lane.calls / queues as u64).is_multiple_of(16);
        let mut call = library::call("claim", &shared.options.queues[queue]);
        call.arg(&session.instance)
            .arg(session.epoch)
            .arg(limit)
            .arg(u8::from(fair));
        let Some(conn) = lane.conn.as_mut() else {
            return Ok(Round::Empty);
        };
        let answered = conn.query(&call).await;
        if answered.is_err() {
            lane.conn = None;
        }
        match take(&shared, queue, &answered?)? {
            Round::Found => return Ok(Round::Found),
            Round::NotBefore(at) => {
                not_before = Some(not_before.map_or(at, |b: Instant| b.min(at)));
            }
            Round::Empty => {}
        }
    }
    Ok(not_before.map_or(Round::Empty, Round::NotBefore))
}

/// Reads the answer of one claim into the buffer.
fn take(shared: &Shared, queue: usize, answer: &Value) -> Result<Round, QueueError> {
    let fields = reply::array(answer)?;
    let now_us = reply::number(fields.first())?;
    shared.redis.clock().observe(now_us);
    match reply::number(fields.get(1))? {
        0 => {}
        1 => {
            shared.lease_lost.store(true, Ordering::Release);
            return Ok(Round::NotBefore(Instant::now()));
        }
        4 => {
            let wait = Duration::from_millis(reply::number(fields.get(2))?);
            return Ok(Round::NotBefore(Instant::now() + wait));
        }
        _ => return Ok(Round::Empty),
    }
    let (ids, envelopes) = (reply::array_at(fields, 3)?, reply::array_at(fields, 4)?);
    let metas = reply::array_at(fields, 5)?;
    let mut claimed = Vec::with_capacity(ids.len());
    for (i, (id, envelope)) in ids.iter().zip(envelopes).enumerate() {
        let (id, meta) = (reply::id(Some(id))?, reply::bytes(metas.get(i)));
        let task = envelope::decode(
            id,
            &shared.options.queues[queue],
            reply::bytes(Some(envelope)),
            meta,
        );
        claimed.push((id, task));
    }
    shared
        .counters
        .claimed
        .fetch_add(claimed.len() as u64, Ordering::Relaxed);
    let found = !claimed.is_empty();
    let mut books = shared.books();
    for (id, task) in claimed {
        let started_us = now_us;
        books.running.insert(id, Held { queue, started_us });
        match task {
            Some(task) if task.expires_at_ms.is_none_or(|at| at * 1000 > now_us) => {
                let task = Task {
                    started_us: now_us,
                    ..task
                };
                books.buffer.push_back(Claimed {
                    ticket: ticket(shared, queue, &task),
                    task,
                });
            }
            Some(task) => {
                shared.counters.expired.fetch_add(1, Ordering::Relaxed);
                let late = Task {
                    started_us: now_us,
                    ..task
                };
                tracing::info!(target: "task", task_id = %late.id, "expired before it was started");
                end(
                    shared,
                    Ack::expired(&ticket(shared, queue, &late).0, now_us),
                );
            }
            None => {
                tracing::warn!(target: "task", task_id = %id, "dead: its envelope cannot be read");
                let facts = unreadable(shared, queue, id, now_us);
                end(shared, Ack::malformed(&facts, now_us));
            }
        }
    }
    Ok(if found { Round::Found } else { Round::Empty })
}

fn end(shared: &Shared, ack: Ack) {
    // Fails only after the end of the consumer.
    let _stopped = shared.messages.send(Message::Ack(ack, None));
}

fn ticket(shared: &Shared, queue: usize, task: &Task) -> Ticket {
    Ticket(Arc::new(Facts {
        queue,
        id: task.id,
        attempt: task.attempt,
        max_attempts: task.max_attempts,
        backoff: task.backoff,
        result_ttl_s: task.result_ttl_s,
        audit: task.audit.clone(),
        enqueued_us: task.enqueued_us,
        started_us: task.started_us,
        worker: Arc::clone(&shared.name),
        accepted_by: task.accepted_by.clone(),
        traceparent: task.traceparent.clone(),
    }))
}

fn unreadable(shared: &Shared, queue: usize, id: TaskId, now_us: u64) -> Arc<Facts> {
    Arc::new(Facts {
        queue,
        id,
        attempt: 1,
        max_attempts: 1,
        backoff: Backoff::default(),
        result_ttl_s: 0,
        audit: None,
        enqueued_us: id.timestamp_ms() * 1000,
        started_us: now_us,
        worker: Arc::clone(&shared.name),
        accepted_by: None,
        traceparent: None,
    })
}

/// Blocks on the wake lists. The connection is taken out while it blocks: a caller who goes away drops it, and the
/// server forgets the blocked command with it.
async fn wait_for_token(shared: &Arc<Shared>, deadline: Instant) -> Result<(), QueueError> {
    let taken = shared.claims.lock().await.wake.take();
    let current = shared.redis.generation().map(|g| g.number);
    let mut conn = match taken {
        Some(conn) if Some(conn.generation.number) == current => conn,
        _ => {
            shared
                .redis
                .own_conn(shared.options.idle_wait + CALL_TIMEOUT)
                .await?
        }
    };
    let left = deadline
        .saturating_duration_since(Instant::now())
        .max(Duration::from_millis(5));
    let mut command = redis::cmd("BLPOP");
    for queue in &shared.options.queues {
        command.arg(keys::wake(queue));
    }
    command.arg(format!("{:.3}", left.as_secs_f64()));
    tokio::select! {
        answer = conn.query(&command) => { answer?; }
        () = shared.stop.cancelled() => return Ok(()),
    }
    shared.claims.lock().await.wake = Some(conn);
    Ok(())
}
