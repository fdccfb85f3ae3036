//! Reports of finished executions: collected, sent in one call, repeated under one number until a master took them.
//!
//! It must not report an execution twice as two: the server knows the number of the last batch it applied.

use std::collections::HashSet;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use redis::{Cmd, Pipeline};
use serde_json::value::RawValue;
use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::fate::{Fate, record};
use super::session;
use super::{Facts, Outcome, Retry, Shared, Verdict};
use crate::error::QueueError;
use crate::id::{TaskId, random_unit};
use crate::library;
use crate::redis_handle::Conn;
use crate::reply;

const MOST: usize = 512;
/// Errors are kept this long; a stack trace belongs into the log.
const ERROR_CHARS: usize = 500;

/// One execution's end, ready to be sent.
#[derive(Debug, Clone)]
pub(super) struct Ack {
    pub(super) facts: Arc<Facts>,
    how: How,
    /// The record for the result hash, where the end is final and the task wants it kept.
    result: Option<String>,
    /// The audit's outcome and the time of the end.
    outcome: Option<u8>,
    finished_us: u64,
}

#[derive(Debug, Clone)]
pub(super) enum How {
    Done,
    Retry { wait_ms: u64, error: String },
    Dead { reason: &'static str, error: String },
    Expired,
    Cancelled,
    Released,
}

/// What the task that sends reports is told.
#[derive(Debug)]
pub(super) enum Message {
    Ack(Ack, Option<oneshot::Sender<Verdict>>),
    /// A report that a fail-over may have undone.
    Replay(Ack),
    Flush(oneshot::Sender<()>),
}

impl Ack {
    pub(super) fn new(facts: &Arc<Facts>, outcome: Outcome, now_us: u64) -> Self {
        let (how, value) = match outcome {
            Outcome::Done(value) => (How::Done, value),
            Outcome::Cancelled => (How::Cancelled, None),
            Outcome::Released => (How::Released, None),
            Outcome::Failed { error, retry } => (failed(facts, &error, retry), None),
        };
        Self::with(facts, how, value.as_deref(), now_us)
    }

    pub(super) fn expired(facts: &Arc<Facts>, now_us: u64) -> Self {
        Self::with(facts, How::Expired, None, now_us)
    }

    pub(super) fn malformed(facts: &Arc<Facts>, now_us: u64) -> Self {
        let error = "the envelope cannot be read".to_owned();
        Self::with(
            facts,
            How::Dead {
                reason: "malformed",
                error,
            },
            None,
            now_us,
        )
    }

    fn with(facts: &Arc<Facts>, how: How, value: Option<&RawValue>, now_us: u64) -> Self {
        let (state, outcome) = match &how {
            How::Done => ("done", Some(0)),
            How::Dead { .. } => ("dead", Some(1)),
            How::Expired => ("expired", Some(3)),
            How::Cancelled => ("cancelled", Some(3)),
            How::Retry { .. } | How::Released => ("", None),
        };
        let keep = facts.result_ttl_s > 0 && outcome.is_some();
        let result = keep.then(|| record(facts, state, &how, value, now_us));
        Self {
            facts: Arc::clone(facts),
            how,
            result,
            outcome,
            finished_us: now_us,
        }
    }

    /// Whether it may be kept for a repetition.
    pub(super) fn is_small(&self) -> bool {
        self.result.as_ref().is_none_or(|r| r.len() <= 4096)
    }

    pub(super) fn fate(&self) -> Fate {
        Fate::from(&self.how)
    }

    fn is_done(&self) -> bool {
        matches!(self.how, How::Done)
    }

    /// Five values: how, id, and up to three of its own.
    fn add_other(&self, command: &mut Cmd) {
        let id = self.facts.id;
        let failed = self.facts.attempt;
        match &self.how {
            How::Done => {}
            How::Retry { wait_ms, error } => {
                command
                    .arg("retry")
                    .arg(id.as_str())
                    .arg(*wait_ms)
                    .arg(failed)
                    .arg(error);
            }
            How::Dead { reason, error } => {
                command
                    .arg("dead")
                    .arg(id.as_str())
                    .arg(*reason)
                    .arg(failed)
                    .arg(error);
            }
            How::Expired => drop(
                command
                    .arg("expired")
                    .arg(id.as_str())
                    .arg("")
                    .arg("")
                    .arg(""),
            ),
            How::Cancelled => drop(
                command
                    .arg("cancelled")
                    .arg(id.as_str())
                    .arg("")
                    .arg("")
                    .arg(""),
            ),
            How::Released => drop(
                command
                    .arg("released")
                    .arg(id.as_str())
                    .arg("")
                    .arg("")
                    .arg(""),
            ),
        }
    }
}

fn failed(facts: &Facts, error: &str, retry: Retry) -> How {
    let error: String = error.chars().take(ERROR_CHARS).collect();
    let wait_ms = match retry {
        Retry::Never => {
            return How::Dead {
                reason: "failed",
                error,
            };
        }
        _ if facts.attempt >= facts.max_attempts => {
            return How::Dead {
                reason: "attempts",
                error,
            };
        }
        Retry::After(wait) => wait.as_millis() as u64,
        Retry::Backoff => facts.backoff.delay_ms(facts.attempt, random_unit()),
    };
    How::Retry { wait_ms, error }
}

/// One call's worth of reports of one queue.
struct Batch {
    queue: usize,
    replay: bool,
    acks: Vec<(Ack, Option<oneshot::Sender<Verdict>>)>,
}

/// Sends reports until the consumer ends.
pub(super) async fn run(
    shared: Weak<Shared>,
    stop: CancellationToken,
    mut inbox: mpsc::UnboundedReceiver<Message>,
) {
    let (mut conn, mut sequence) = (None, 0);
    let mut messages = Vec::with_capacity(MOST);
    loop {
        messages.clear();
        tokio::select! {
            n = inbox.recv_many(&mut messages, MOST) => if n == 0 { return },
            () = stop.cancelled() => return,
        }
        // Handlers that end together report together: one turn for them costs nothing and halves the calls.
        tokio::task::yield_now().await;
        while messages.len() < MOST
            && let Ok(message) = inbox.try_recv()
        {
            messages.push(message);
        }
        let Some(shared) = shared.upgrade() else {
            return;
        };
        let (batches, flushes) = sort(messages.drain(..), shared.options.queues.len());
        sequence += 1;
        tokio::select! {
            () = deliver(&shared, &mut conn, sequence, batches) => {}
            () = stop.cancelled() => return,
        }
        for told in flushes {
            // The caller may have gone.
            let _gone = told.send(());
        }
    }
}

fn sort(
    messages: impl Iterator<Item = Message>,
    queues: usize,
) -> (Vec<Batch>, Vec<oneshot::Sender<()>>) {
    let mut batches: Vec<Batch> = (0..2 * queues)
        .map(|i| Batch {
            queue: i / 2,
            replay: i % 2 == 1,
            acks: Vec::new(),
        })
        .collect();
    let mut flushes = Vec::new();
    for message in messages {
        match message {
            Message::Ack(ack, told) => batches[2 * ack.facts.queue].acks.push((ack, told)),
            Message::Replay(ack) => batches[2 * ack.facts.queue + 1].acks.push((ack, None)),
            Message::Flush(told) => flushes.push(told),
        }
    }
    batches.retain(|b| !b.acks.is_empty());
    (batches, flushes)
}

/// Repeats until a master has taken all; each repetition agrees with that master first.
async fn deliver(shared: &Shared, conn: &mut Option<Conn>, sequence: u64, batches: Vec<Batch>) {
    if batches.is_empty() {
        return;
    }
    loop {
        match send(shared, conn, sequence, &batches).await {
            Ok(refused) => return settle(shared, batches, &refused),
            Err(error) => {
                *conn = None;
                tracing::debug!(%error, "reports are sent again");
                sleep(Duration::from_millis(100).mul_f64(0.5 + random_unit())).await;
            }
        }
    }
}

async fn send(
    shared: &Shared,
    conn: &mut Option<Conn>,
    sequence: u64,
    batches: &[Batch],
) -> Result<HashSet<TaskId>, QueueError> {
    let session = shared.session().await?;
    if conn
        .as_ref()
        .is_none_or(|c| c.generation.number != session.generation)
    {
        *conn = Some(session.conn(&shared.redis).await?);
    }
    let Some(open) = conn.as_mut() else {
        return Ok(HashSet::new());
    };
    let mut pipeline = Pipeline::with_capacity(batches.len());
    for batch in batches {
        // A queue's reports and replays are two calls, so they need two numbers, in the order of the calls.
        let number = 2 * sequence + u64::from(batch.replay);
        pipeline.add_command(command(shared, batch, &session.instance, number));
    }
    let answers = open.query_all(&pipeline).await?;
    let mut refused = HashSet::new();
    for answer in &answers {
        let fields = reply::array(answer)?;
        shared.redis.clock().observe(reply::number(fields.first())?);
        for id in reply::array_at(fields, 2)? {
            refused.insert(reply::id(Some(id))?);
        }
    }
    Ok(refused)
}

fn command(shared: &Shared, batch: &Batch, instance: &str, sequence: u64) -> Cmd {
    let mut command = library::call("finish", &shared.options.queues[batch.queue]);
    command
        .arg(instance)
        .arg(sequence)
        .arg(u8::from(batch.replay));
    let acks = || batch.acks.iter().map(|(ack, _)| ack);
    command.arg(acks().filter(|a| a.is_done()).count());
    for ack in acks().filter(|a| a.is_done()) {
        command.arg(ack.facts.id.as_str());
    }
    command.arg(acks().filter(|a| !a.is_done()).count());
    for ack in acks() {
        ack.add_other(&mut command);
    }
    add_results(&mut command, &batch.acks);
    let audited = || acks().filter_map(|a| Some((a, a.facts.audit.as_ref()?, a.outcome?)));
    command.arg(audited().count());
    for (ack, tag, outcome) in audited() {
        let Facts {
            id,
            attempt,
            enqueued_us,
            started_us,
            ..
        } = &*ack.facts;
        let record = format!(
            "{},{attempt},{enqueued_us},{started_us},{}",
            tag.index, ack.finished_us
        );
        command
            .arg(id.as_str())
            .arg(&tag.run)
            .arg(record)
            .arg(outcome);
    }
    command
}

/// A minute, the longest time to keep, and the results of ids made in it.
type Slot<'a> = (u64, u32, Vec<(TaskId, &'a str)>);

/// Results lie in one hash per minute of the ids' making.
fn add_results(command: &mut Cmd, acks: &[(Ack, Option<oneshot::Sender<Verdict>>)]) {
    let mut slots: Vec<Slot<'_>> = Vec::new();
    for (ack, _) in acks {
        let Some(result) = ack.result.as_deref() else {
            continue;
        };
        let minute = ack.facts.id.timestamp_ms() / 60_000;
        let at = slots.iter().position(|s| s.0 == minute).unwrap_or_else(|| {
            slots.push((minute, 0, Vec::new()));
            slots.len() - 1
        });
        slots[at].1 = slots[at].1.max(ack.facts.result_ttl_s);
        slots[at].2.push((ack.facts.id, result));
    }
    command.arg(slots.len());
    for (minute, ttl_s, results) in slots {
        command.arg(minute).arg(ttl_s).arg(results.len());
        for (id, result) in results {
            command.arg(id.as_str()).arg(result);
        }
    }
}

fn settle(shared: &Shared, batches: Vec<Batch>, refused: &HashSet<TaskId>) {
    let mut books = shared.books();
    let (mut finished, mut fenced) = (0, 0);
    for batch in batches {
        for (ack, told) in batch.acks {
            let id = ack.facts.id;
            let verdict = if refused.contains(&id) {
                Verdict::Fenced
            } else {
                Verdict::Applied
            };
            if !batch.replay {
                let claim = books.running.get(&id).map(|held| held.started_us);
                if claim == Some(ack.facts.started_us) {
                    books.running.remove(&id);
                }
                finished += u64::from(verdict == Verdict::Applied);
                if verdict == Verdict::Fenced {
                    fenced += 1;
                    tracing::warn!(target: "task", task_id = %id, attempt = ack.facts.attempt,
                        "report refused: the lease had been lost, the task is another worker's or gone");
                }
            }
            if verdict == Verdict::Applied && !batch.replay && !matches!(ack.how, How::Released) {
                session::remember(&mut books, ack);
            }
            if let Some(told) = told {
                // The caller may have gone.
                let _gone = told.send(verdict);
            }
        }
    }
    shared
        .counters
        .finished
        .fetch_add(finished, Ordering::Relaxed);
    shared.counters.fenced.fetch_add(fenced, Ordering::Relaxed);
}
