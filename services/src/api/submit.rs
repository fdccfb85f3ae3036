//! `POST /v1/tasks` and `POST /v1/tasks:batch`: from a body to a commit in Redis.
//!
//! It must not answer 202 before the commit is as durable as the queue asks for.

use std::borrow::Cow;
use std::sync::LazyLock;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use hyper::body::Body;
use kedactl_queue::{
    Accepted as Stored, AuditTag, Backoff, Durability, EnqueueError, NewTask, Priority, QueueName,
    When,
};
use serde_json::value::RawValue;
use tokio::time::Instant;
use utoipa::ToSchema;

use super::body::{self, Shape};
use super::fields::{MAX_KEY, printable};
use super::parse;
use super::problem::Problem;
use super::state::ApiState;
use super::trace;
use super::wire::{Accepted, TaskBody, Text};
use crate::events::{TasksAccepted, TasksRefused};
use crate::trace::{Span, TraceContext};

static NULL: LazyLock<Box<RawValue>> = LazyLock::new(|| RawValue::NULL.to_owned());

/// Accepts one task.
pub(super) async fn one<B, A>(
    state: &ApiState,
    parts: &Parts,
    body: B,
) -> Result<Response<A>, Problem>
where
    B: Body<Data = Bytes> + Unpin,
    A: From<Bytes>,
{
    let headers = &parts.headers;
    if body::shape(headers)? == Shape::Lines {
        return Err(Problem::field(
            "@content-type",
            "send lines to /v1/tasks:batch",
        ));
    }
    let limits = &state.settings.limits;
    let bytes = body::read(headers, body, limits.max_body_bytes, limits.body_timeout).await?;
    let text = parse::text(&bytes, limits.max_depth)?;
    let mut wire = parse::one(text)?;
    if let Some(key) = key_of(headers)? {
        wire.idempotency_key = Some(Text(Cow::Borrowed(key)));
    }
    let (queue, mut task) = build(state, &wire)?;
    let durability = state.durability(&queue);
    drop(wire);
    let here = parts.extensions.get::<TraceContext>();
    let tasks = std::slice::from_mut(&mut task);
    let mut span = trace::send(&state.tracer, here, &queue, tasks);
    let started = Instant::now();
    match state.producer.enqueue(&queue, durability, task).await {
        Ok(stored) => {
            if let Some(span) = &mut span {
                span.set("messaging.message.id", || stored.id.to_string());
            }
            let took = started.elapsed();
            TasksAccepted {
                queue: queue.as_str(),
                stored: &[stored],
                trace: span.as_ref().map(Span::context).or(here),
                took,
            }
            .emit(&state.metrics);
            let mut text = String::with_capacity(Accepted::USUAL_BYTES);
            view(&stored, &queue, durability).write(&mut text);
            Ok(accepted(text))
        }
        Err(error) => Err(refused(state, &queue, 1, span.as_mut(), &error)),
    }
}

/// The answer to a batch.
#[derive(Debug, ToSchema)]
pub(super) struct BatchAnswer<'a> {
    /// In the order of the request.
    accepted: Vec<Accepted<'a>>,
}

impl BatchAnswer<'_> {
    fn json(&self) -> String {
        let mut text = String::with_capacity(self.accepted.len() * Accepted::USUAL_BYTES + 16);
        text.push_str("{\"accepted\":[");
        for (i, accepted) in self.accepted.iter().enumerate() {
            if i > 0 {
                text.push(',');
            }
            accepted.write(&mut text);
        }
        text.push_str("]}");
        text
    }
}

/// Accepts many tasks; either each is stored, or the answer is an error and resending with the same keys is safe.
pub(super) async fn batch<B, A>(
    state: &ApiState,
    parts: &Parts,
    body: B,
) -> Result<Response<A>, Problem>
where
    B: Body<Data = Bytes> + Unpin,
    A: From<Bytes>,
{
    let headers = &parts.headers;
    let shape = body::shape(headers)?;
    if headers.contains_key("idempotency-key") {
        let detail = "one key cannot stand for many tasks; give each its `idempotency_key`";
        return Err(Problem::field("@idempotency-key", detail));
    }
    let limits = &state.settings.limits;
    let bytes = body::read(headers, body, limits.max_batch_bytes, limits.body_timeout).await?;
    // The array around the tasks is not part of their depth.
    let depth = limits.max_depth + usize::from(shape == Shape::Json);
    let text = parse::text(&bytes, depth)?;
    let wires = match shape {
        Shape::Json => parse::array(text, limits.max_batch_tasks)?,
        Shape::Lines => parse::lines(text, limits.max_batch_tasks)?,
    };
    let mut built = Vec::with_capacity(wires.len());
    for wire in &wires {
        built.push(build(state, wire)?);
    }
    drop(wires);
    store(state, parts.extensions.get::<TraceContext>(), built).await
}

/// Enqueues by queue, and answers in the order of the request.
async fn store<A: From<Bytes>>(
    state: &ApiState,
    here: Option<&TraceContext>,
    built: Vec<(QueueName, NewTask)>,
) -> Result<Response<A>, Problem> {
    let total = built.len();
    let mut groups: Vec<(QueueName, Vec<usize>, Vec<NewTask>)> = Vec::new();
    for (index, (queue, task)) in built.into_iter().enumerate() {
        match groups.iter_mut().find(|(q, ..)| *q == queue) {
            Some((_, indexes, tasks)) => {
                indexes.push(index);
                tasks.push(task);
            }
            None => groups.push((queue, vec![index], vec![task])),
        }
    }
    let mut answers: Vec<Option<(usize, Stored)>> = vec![None; total];
    for (at, (queue, indexes, tasks)) in groups.iter_mut().enumerate() {
        let durability = state.durability(queue);
        let count = tasks.len() as u64;
        let mut span = trace::send(&state.tracer, here, queue, tasks);
        let started = Instant::now();
        let results = state
            .producer
            .enqueue_many(queue, durability, std::mem::take(tasks))
            .await;
        let mut all = Vec::with_capacity(results.len());
        for (index, result) in indexes.iter().zip(results) {
            let stored = result.map_err(|error| {
                let problem = refused(state, queue, count, span.as_mut(), &error);
                if problem.status().is_client_error() {
                    problem.at(format!("/{index}"))
                } else {
                    problem
                }
            })?;
            all.push(stored);
            answers[*index] = Some((at, stored));
        }
        let took = started.elapsed();
        TasksAccepted {
            queue: queue.as_str(),
            stored: &all,
            trace: span.as_ref().map(Span::context).or(here),
            took,
        }
        .emit(&state.metrics);
    }
    let view = |(at, stored): (usize, Stored)| {
        let queue = &groups[at].0;
        view(&stored, queue, state.durability(queue))
    };
    let answer = BatchAnswer {
        accepted: answers.into_iter().flatten().map(view).collect(),
    };
    Ok(accepted(answer.json()))
}

fn key_of(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let Some(value) = headers.get("idempotency-key") else {
        return Ok(None);
    };
    let bad = |detail: &str| Problem::field("@idempotency-key", detail);
    let key = value.to_str().map_err(|_| bad("must be visible ASCII"))?;
    match key.len() {
        1..=MAX_KEY => printable(key).map(|()| Some(key)).map_err(bad),
        n => Err(bad(&format!("must be 1 to {MAX_KEY} bytes, is {n}"))),
    }
}

fn build(state: &ApiState, wire: &TaskBody<'_>) -> Result<(QueueName, NewTask), Problem> {
    let default = &state.settings.queue;
    let queue = match &wire.queue {
        Some(name) if name.0 != default.as_str() => {
            QueueName::new(&name.0).map_err(|e| Problem::field("/queue", e.to_string()))?
        }
        _ => default.clone(),
    };
    let payload = wire
        .payload
        .map_or_else(|| NULL.clone(), RawValue::to_owned);
    let mut task = NewTask::new(wire.kind.0.as_ref(), payload);
    task.priority = match wire.priority.as_ref().map(|t| t.0.as_ref()) {
        Some("critical") => Priority::Critical,
        Some("high") => Priority::High,
        Some("low") => Priority::Low,
        _ => Priority::Normal,
    };
    task.when = match (wire.delay_ms, wire.run_at_ms) {
        (Some(0) | None, None) => When::Now,
        (Some(ms), _) => When::After(ms),
        (None, Some(ms)) => When::At(ms),
    };
    task.expires_in_ms = wire.expires_in_ms;
    task.timeout_ms = wire.timeout_ms;
    if let Some(n) = wire.max_attempts {
        task.max_attempts = n as u32;
    }
    if let Some(given) = wire.backoff {
        let default = Backoff::default();
        task.backoff = Backoff {
            base_ms: given.base_ms.unwrap_or(default.base_ms),
            max_ms: given.max_ms.unwrap_or(default.max_ms),
            factor: given.factor.unwrap_or(default.factor),
        };
    }
    if let Some(mark) = &wire.audit {
        let tag = mark.0.parse::<AuditTag>();
        task.audit = Some(tag.map_err(|e| Problem::field("/audit", e.to_string()))?);
    }
    let default_ttl = if task.audit.is_some() {
        0
    } else {
        state.settings.result_ttl_s
    };
    task.result_ttl_s = wire.result_ttl_s.map_or(default_ttl, |s| s as u32);
    task.idempotency_key = wire
        .idempotency_key
        .as_ref()
        .map(|t| t.0.as_ref().to_owned());
    Ok((queue, task))
}

fn view<'a>(stored: &Stored, queue: &'a QueueName, asked: Durability) -> Accepted<'a> {
    let durability = match (asked, stored.replicas) {
        (Durability::None, _) => Cow::Borrowed("none"),
        (_, 1) => Cow::Borrowed("replicas:1"),
        (_, n) => Cow::Owned(format!("replicas:{n}")),
    };
    Accepted {
        id: stored.id,
        queue: queue.as_str(),
        durability,
        duplicate: stored.duplicate,
    }
}

fn accepted<A: From<Bytes>>(json: String) -> Response<A> {
    let mut response = Response::new(A::from(Bytes::from(json)));
    *response.status_mut() = StatusCode::ACCEPTED;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

fn refused(
    state: &ApiState,
    queue: &QueueName,
    count: u64,
    span: Option<&mut Span>,
    error: &EnqueueError,
) -> Problem {
    let (cause, problem) = match error {
        EnqueueError::Unavailable { .. } => (
            "unavailable",
            Problem::unavailable("unavailable", "the queue's storage does not answer").detail(
                "the task may or may not be stored; resend it with the same Idempotency-Key",
            ),
        ),
        EnqueueError::ShortReplication { need, got, .. } => (
            "short_replication",
            Problem::unavailable("not-durable", "too few replicas confirmed the task").detail(
                format!("{got} of {need} replicas; resend it with the same Idempotency-Key"),
            ),
        ),
        EnqueueError::KeyConflict => (
            "key_conflict",
            Problem::new(
                StatusCode::CONFLICT,
                "key-conflict",
                "the key belongs to another task",
            )
            .detail("the idempotency key was used with another task")
            .at("@idempotency-key"),
        ),
        EnqueueError::Invalid(invalid) => (
            "invalid",
            Problem::field(
                format!("/{}", invalid.field.replace('.', "/")),
                invalid.problem,
            ),
        ),
    };
    TasksRefused {
        queue: queue.as_str(),
        cause,
        count,
        trace: span.as_ref().map(|it| it.context()),
        error,
    }
    .emit(&state.metrics);
    if let Some(span) = span {
        span.fail(cause, &error.to_string());
    }
    problem
}
