//! How a task is stored: one character for its ready list, then compact JSON that the server never reads on the fast path.
//!
//! It must not change meaning under a name: older workers read envelopes of newer producers, so fields are only added.

use std::fmt::Write as _;
use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::id::TaskId;
use crate::name::QueueName;
use crate::task::{AuditTag, Backoff, NewTask, Priority};

/// A task as a worker receives it.
#[derive(Debug, Clone)]
pub struct Task {
    pub id: TaskId,
    pub queue: QueueName,
    pub kind: String,
    pub payload: Box<RawValue>,
    pub priority: Priority,
    /// This execution's number, from 1; executions that died with their worker do not count.
    pub attempt: u32,
    /// How often its worker died.
    pub crashes: u32,
    pub max_attempts: u32,
    pub backoff: Backoff,
    pub timeout: Option<Duration>,
    /// Server time, µs since 1970.
    pub enqueued_us: u64,
    /// Server time of this claim, µs since 1970; 0 where the task is only looked at.
    pub started_us: u64,
    pub expires_at_ms: Option<u64>,
    pub result_ttl_s: u32,
    pub audit: Option<AuditTag>,
    pub traceparent: Option<String>,
    pub tracestate: Option<String>,
    /// Who stored it, where that was said.
    pub accepted_by: Option<String>,
}

/// Writes the envelope; `now_us` is the server's time, `by` is who stores it, or empty.
pub(crate) fn encode(task: &NewTask, now_us: u64, by: &str) -> String {
    let payload = task.payload.get();
    let mut text = String::with_capacity(payload.len() + task.kind.len() + by.len() + 96);
    // Writing to a String cannot fail; the kind and the run are checked to need no escapes.
    text.push(char::from(b'0' + task.priority.level() as u8));
    for part in ["{\"t\":\"", &task.kind, "\""] {
        text.push_str(part);
    }
    if task.max_attempts != 5 {
        let _ = write!(text, ",\"m\":{}", task.max_attempts);
    }
    if task.backoff != Backoff::default() {
        let Backoff {
            base_ms,
            max_ms,
            factor,
        } = task.backoff;
        let _ = write!(text, ",\"b\":[{base_ms},{max_ms},{factor}]");
    }
    if let Some(ms) = task.expires_in_ms {
        let _ = write!(text, ",\"x\":{}", now_us / 1000 + ms);
    }
    if let Some(ms) = task.timeout_ms {
        let _ = write!(text, ",\"l\":{ms}");
    }
    if task.result_ttl_s > 0 {
        let _ = write!(text, ",\"r\":{}", task.result_ttl_s);
    }
    if let Some(audit) = &task.audit {
        let _ = write!(
            text,
            ",\"a\":[\"{}\",{}],\"e\":{now_us}",
            audit.run, audit.index
        );
    }
    if let Some(trace) = &task.traceparent {
        let _ = write!(text, ",\"tp\":{}", serde_json::Value::from(trace.as_str()));
        if let Some(state) = &task.tracestate {
            let _ = write!(text, ",\"ts\":{}", serde_json::Value::from(state.as_str()));
        }
    }
    if !by.is_empty() {
        let _ = write!(text, ",\"o\":{}", serde_json::Value::from(by));
    }
    for part in [",\"p\":", payload, "}"] {
        text.push_str(part);
    }
    text
}

#[derive(Deserialize)]
struct Stored<'a> {
    t: &'a str,
    m: Option<u32>,
    b: Option<(u64, u64, f64)>,
    x: Option<u64>,
    l: Option<u64>,
    r: Option<u32>,
    #[serde(borrow)]
    a: Option<(&'a str, u64)>,
    e: Option<u64>,
    tp: Option<String>,
    ts: Option<String>,
    o: Option<String>,
    p: Box<RawValue>,
}

/// Reads an envelope; `None` if it is none.
pub(crate) fn decode(id: TaskId, queue: &QueueName, envelope: &[u8], meta: &[u8]) -> Option<Task> {
    let (&level, body) = envelope.split_first()?;
    let priority = *Priority::ALL.get(usize::from(level.checked_sub(b'0')?))?;
    let stored: Stored<'_> = serde_json::from_slice(body).ok()?;
    let meta = Meta::parse(meta);
    let backoff = stored
        .b
        .map_or_else(Backoff::default, |(base_ms, max_ms, factor)| Backoff {
            base_ms,
            max_ms,
            factor,
        });
    Some(Task {
        id,
        queue: queue.clone(),
        kind: stored.t.to_owned(),
        payload: stored.p,
        priority,
        attempt: meta.attempts + 1,
        crashes: meta.crashes,
        max_attempts: stored.m.unwrap_or(5),
        backoff,
        timeout: stored.l.map(Duration::from_millis),
        enqueued_us: stored.e.unwrap_or(id.timestamp_ms() * 1000),
        started_us: 0,
        expires_at_ms: stored.x,
        result_ttl_s: stored.r.unwrap_or(0),
        audit: stored.a.map(|(run, index)| AuditTag {
            run: run.to_owned(),
            index,
        }),
        traceparent: stored.tp,
        tracestate: stored.ts,
        accepted_by: stored.o,
    })
}

/// `<failed attempts>:<crashes>:<last error>`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Meta {
    pub(crate) attempts: u32,
    pub(crate) crashes: u32,
    pub(crate) error: String,
}

impl Meta {
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let mut parts = text.splitn(3, ':');
        let mut number = || parts.next().and_then(|p| p.parse().ok()).unwrap_or(0);
        let (attempts, crashes) = (number(), number());
        Self {
            attempts,
            crashes,
            error: parts.next().unwrap_or_default().to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::task::When;

    fn task() -> impl Strategy<Value = NewTask> {
        let times = (
            any::<Option<u32>>(),
            any::<Option<u32>>(),
            0..1_000_000_u32,
            1..1000_u32,
        );
        let texts = (
            "[A-Za-z0-9_.:/-]{1,128}",
            any::<String>(),
            proptest::option::of("[ -~]{0,128}"),
            proptest::option::of("[ -~]{0,512}"),
        );
        let tag = proptest::option::of(("[A-Za-z0-9_-]{1,40}", any::<u64>()));
        (texts, times, 0..4_usize, tag, 4..400_u32).prop_map(
            |(texts, times, level, tag, quarters)| {
                let payload =
                    RawValue::from_string(serde_json::to_string(&texts.1).unwrap()).unwrap();
                let mut task = NewTask::new(texts.0, payload);
                task.tracestate = texts.3.filter(|_| texts.2.is_some());
                task.traceparent = texts.2;
                task.expires_in_ms = times.0.map(u64::from);
                task.timeout_ms = times.1.map(u64::from);
                task.result_ttl_s = times.2;
                task.max_attempts = times.3;
                task.priority = Priority::ALL[level];
                task.backoff.factor = f64::from(quarters) / 4.0;
                task.audit = tag.map(|(run, index)| AuditTag { run, index });
                task.when = When::Now;
                task
            },
        )
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(task in task(), now_us in 1..2_000_000_000_000_000_u64, attempts in 0..9_u32, by in "[ -~]{0,63}") {
            prop_assert!(task.check().is_ok());
            let id = TaskId::new(now_us / 1000);
            let meta = format!("{attempts}:2:no: such thing");
            let back = decode(id, &QueueName::default(), encode(&task, now_us, &by).as_bytes(), meta.as_bytes()).unwrap();
            prop_assert_eq!((back.attempt, back.crashes), (attempts + 1, 2));
            prop_assert_eq!(back.payload.get(), task.payload.get());
            prop_assert_eq!(back.kind, task.kind);
            prop_assert_eq!(back.priority, task.priority);
            prop_assert_eq!(back.backoff, task.backoff);
            prop_assert_eq!(back.expires_at_ms, task.expires_in_ms.map(|ms| now_us / 1000 + ms));
            prop_assert_eq!(back.timeout, task.timeout_ms.map(Duration::from_millis));
            prop_assert_eq!(back.result_ttl_s, task.result_ttl_s);
            prop_assert_eq!(back.max_attempts, task.max_attempts);
            prop_assert_eq!(&back.audit, &task.audit);
            prop_assert_eq!(back.traceparent, task.traceparent);
            prop_assert_eq!(back.tracestate, task.tracestate);
            prop_assert_eq!(back.accepted_by.unwrap_or_default(), by);
        }

        #[test]
        fn any_bytes_are_refused_or_read(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _task = decode(TaskId::new(1), &QueueName::default(), &bytes, &bytes);
        }
    }
}
