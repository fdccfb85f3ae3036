//! A commit lane: one connection that stores batches and waits for replicas, one batch at a time.
//!
//! It must not go on to the next batch before every caller of this one has an answer. A batch whose answer was lost
//! is sent again under its sequence number, to whoever is master then; the server applies a number once.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use redis::{Cmd, Pipeline, Value};
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout_at};

use crate::error::{EnqueueError, QueueError};
use crate::id::{TaskId, random_unit};
use crate::keys;
use crate::library;
use crate::name::QueueName;
use crate::producer::{Accepted, ProducerOptions};
use crate::redis_handle::{CALL_TIMEOUT, Conn, Redis, unavailable};
use crate::reply;
use crate::task::Durability;

/// A task on its way to the server.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) queue: QueueName,
    pub(crate) durability: Durability,
    pub(crate) id: TaskId,
    pub(crate) level: usize,
    pub(crate) envelope: String,
    /// Boxed: nearly no task has it, and every task is moved a few times.
    pub(crate) special: Option<Box<Special>>,
    pub(crate) deadline: Instant,
    pub(crate) answer: oneshot::Sender<Result<Accepted, EnqueueError>>,
}

/// A delay or an idempotency key.
#[derive(Debug)]
pub(crate) struct Special {
    /// `n`ow, `a`fter a delay, or at a `t`ime.
    pub(crate) kind: &'static str,
    pub(crate) due_ms: u64,
    pub(crate) key: String,
    pub(crate) print: String,
    pub(crate) delay_ms: Option<u64>,
}

/// One lane; `run` ends with the last producer.
#[derive(Debug)]
pub(crate) struct Lane {
    redis: Redis,
    options: ProducerOptions,
    inbox: Arc<Mutex<mpsc::Receiver<Pending>>>,
    name: String,
    sequence: u64,
    conn: Option<Conn>,
    announced: HashSet<QueueName>,
}

/// The tasks of one queue in one batch, in the order in which their call names them.
struct Part {
    queue: QueueName,
    plain: [Vec<Pending>; 4],
    special: Vec<Pending>,
}

/// What came back: an answer per special of each part, and the replicas that confirmed.
struct Stored {
    specials: Vec<String>,
    replicas: usize,
}

impl Lane {
    pub(crate) fn new(
        redis: Redis,
        options: ProducerOptions,
        inbox: Arc<Mutex<mpsc::Receiver<Pending>>>,
    ) -> Self {
        // Random, and new for each process: a lane's numbers start at 1.
        let name = TaskId::new(0).as_str()[10..].to_owned();
        Self {
            redis,
            options,
            inbox,
            name,
            sequence: 0,
            conn: None,
            announced: HashSet::new(),
        }
    }

    pub(crate) async fn run(mut self) {
        while let Some(batch) = self.collect().await {
            self.sequence += 1;
            self.commit(batch).await;
        }
    }

    async fn collect(&self) -> Option<Vec<Pending>> {
        let mut batch = Vec::new();
        let mut inbox = self.inbox.lock().await;
        if inbox.recv_many(&mut batch, self.options.max_batch).await == 0 {
            return None;
        }
        // Callers that come together share a batch: one turn for them costs nothing.
        tokio::task::yield_now().await;
        while batch.len() < self.options.max_batch
            && let Ok(task) = inbox.try_recv()
        {
            batch.push(task);
        }
        let until = Instant::now() + self.options.linger;
        while self.options.linger > Duration::ZERO && batch.len() < self.options.max_batch {
            let room = self.options.max_batch - batch.len();
            match timeout_at(until, inbox.recv_many(&mut batch, room)).await {
                Ok(n) if n > 0 => {}
                _ => break,
            }
        }
        Some(batch)
    }

    /// Sends the batch until it is stored as durably as asked or its time is over.
    async fn commit(&mut self, mut batch: Vec<Pending>) {
        let now = Instant::now();
        let late: Vec<_> = batch.extract_if(.., |p| p.deadline <= now).collect();
        answer_all(late, &unavailable("no lane was free in time"));
        let Some(deadline) = batch.iter().map(|p| p.deadline).max() else {
            return;
        };
        let asked = batch
            .iter()
            .map(|p| p.durability)
            .max()
            .unwrap_or(Durability::None);
        let parts = split(batch);
        let mut last = unavailable("no answer in time");
        let mut short = None;
        loop {
            match timeout_at(deadline, self.send(&parts, asked)).await {
                Ok(Ok((stored, need))) if stored.replicas >= need => return resolve(parts, stored),
                Ok(Ok((stored, need))) => short = Some((need, stored.replicas)),
                Ok(Err(QueueError::Unavailable { reason, .. })) => {
                    (last, short) = (unavailable(reason), None);
                    self.conn = None;
                }
                Ok(Err(error)) => {
                    self.conn = None;
                    return fail(parts, &error, None);
                }
                Err(_) => {
                    self.conn = None;
                    return fail(parts, &last, short);
                }
            }
            if Instant::now() >= deadline {
                return fail(parts, &last, short);
            }
            sleep(Duration::from_millis(20).mul_f64(0.5 + random_unit())).await;
        }
    }

    /// One round: the calls of all queues and the WAIT in one write. Answers what was stored and how many replicas
    /// were asked for.
    async fn send(
        &mut self,
        parts: &[Part],
        asked: Durability,
    ) -> Result<(Stored, usize), QueueError> {
        let name = self.name.clone();
        let (sequence, wait) = (self.sequence, self.options.wait_timeout);
        let fresh: Vec<QueueName> = parts
            .iter()
            .map(|p| &p.queue)
            .filter(|q| !self.announced.contains(*q))
            .cloned()
            .collect();
        let conn = self.connection().await?;
        let need = asked.replicas(conn.generation.replicas);
        let mut pipeline = Pipeline::with_capacity(parts.len() + 2);
        for part in parts {
            pipeline.add_command(part.command(&name, sequence));
        }
        if !fresh.is_empty() {
            pipeline
                .cmd("SADD")
                .arg(keys::QUEUES)
                .arg(fresh.iter().map(QueueName::as_str).collect::<Vec<_>>());
        }
        if need > 0 {
            pipeline.cmd("WAIT").arg(need).arg(wait.as_millis() as u64);
        }
        let values = conn.query_all(&pipeline).await?;
        let stored = read(&values, parts.len(), need, &self.redis)?;
        self.announced.extend(fresh);
        Ok((stored, need))
    }

    /// This lane's connection to the present master; a new generation gets a new one.
    async fn connection(&mut self) -> Result<&mut Conn, QueueError> {
        let generation = self.redis.master(self.options.commit_timeout).await?;
        if self
            .conn
            .as_ref()
            .is_none_or(|c| c.generation.number != generation.number)
        {
            self.announced.clear();
            let timeout = self.options.wait_timeout + CALL_TIMEOUT;
            self.conn = Some(self.redis.own_conn_to(generation, timeout).await?);
        }
        self.conn
            .as_mut()
            .ok_or_else(|| unavailable("no connection"))
    }
}

impl Part {
    fn command(&self, lane: &str, sequence: u64) -> Cmd {
        let mut command = library::call("enqueue", &self.queue);
        command.arg(lane).arg(sequence);
        for level in &self.plain {
            command.arg(level.len());
        }
        command.arg(self.special.len());
        for task in self.plain.iter().flatten() {
            command.arg(task.id.as_bytes()).arg(&task.envelope);
        }
        for task in &self.special {
            command.arg(task.id.as_bytes()).arg(&task.envelope);
            if let Some(Special {
                kind,
                due_ms,
                key,
                print,
                ..
            }) = task.special.as_deref()
            {
                command.arg(*kind).arg(*due_ms).arg(key).arg(print);
            }
        }
        command
    }

    fn into_tasks(self) -> impl Iterator<Item = Pending> {
        self.plain.into_iter().flatten().chain(self.special)
    }
}

fn split(batch: Vec<Pending>) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::with_capacity(1);
    let mut at: HashMap<QueueName, usize> = HashMap::new();
    let mut current = 0;
    for task in batch {
        // Neighbours mostly go to one queue: the map is asked where they do not.
        if parts.get(current).is_none_or(|p| p.queue != task.queue) {
            current = *at.entry(task.queue.clone()).or_insert(parts.len());
            if current == parts.len() {
                parts.push(Part {
                    queue: task.queue.clone(),
                    plain: Default::default(),
                    special: Vec::new(),
                });
            }
        }
        let part = &mut parts[current];
        match &task.special {
            None => part.plain[task.level].push(task),
            Some(_) => part.special.push(task),
        }
    }
    parts
}

fn read(values: &[Value], parts: usize, need: usize, redis: &Redis) -> Result<Stored, QueueError> {
    let mut specials = Vec::with_capacity(parts);
    for value in &values[..parts.min(values.len())] {
        let fields = reply::array(value)?;
        redis.clock().observe(reply::number(fields.first())?);
        if reply::number(fields.get(1))? == 2 {
            return Err(QueueError::Answer("a batch came after its successor"));
        }
        specials.push(reply::text(fields.get(2)));
    }
    let replicas = if need > 0 {
        reply::number(values.last())? as usize
    } else {
        0
    };
    Ok(Stored { specials, replicas })
}

fn resolve(parts: Vec<Part>, stored: Stored) {
    for (part, specials) in parts.into_iter().zip(stored.specials) {
        let mut answers = specials.split(',');
        for task in part.into_tasks() {
            let accepted = Accepted {
                id: task.id,
                duplicate: false,
                replicas: stored.replicas,
            };
            let answer = match &task.special {
                None => Ok(accepted),
                Some(_) => special_answer(answers.next().unwrap_or_default(), accepted),
            };
            // A caller that went away needs no answer.
            let _gone = task.answer.send(answer);
        }
    }
}

fn special_answer(code: &str, accepted: Accepted) -> Result<Accepted, EnqueueError> {
    match code.split_at_checked(1) {
        Some(("C", _)) => Err(EnqueueError::KeyConflict),
        Some(("D", id)) => Ok(Accepted {
            id: id.parse().unwrap_or(accepted.id),
            duplicate: true,
            ..accepted
        }),
        _ => Ok(accepted),
    }
}

fn fail(parts: Vec<Part>, error: &QueueError, short: Option<(usize, usize)>) {
    let tasks = parts.into_iter().flat_map(Part::into_tasks);
    match short {
        None => answer_all(tasks, error),
        Some((need, got)) => {
            let retry_after = Duration::from_secs(1);
            for task in tasks {
                // Batches mix durabilities: what is enough for this task may be less than what the batch needed.
                let enough = task.durability.replicas(need) <= got && task.special.is_none();
                let accepted = Accepted {
                    id: task.id,
                    duplicate: false,
                    replicas: got,
                };
                let short = EnqueueError::ShortReplication {
                    need,
                    got,
                    retry_after,
                };
                let _gone = task
                    .answer
                    .send(if enough { Ok(accepted) } else { Err(short) });
            }
        }
    }
}

fn answer_all(tasks: impl IntoIterator<Item = Pending>, error: &QueueError) {
    let reason = match error {
        QueueError::Unavailable { reason, .. } => reason.clone(),
        other => other.to_string(),
    };
    for task in tasks {
        let retry_after = error.retry_after().unwrap_or(Duration::from_secs(1));
        let _gone = task.answer.send(Err(EnqueueError::Unavailable {
            reason: reason.clone(),
            retry_after,
        }));
    }
}
