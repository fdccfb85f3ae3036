//! What becomes of a task by a report, and the record of it that is kept with its result.
//!
//! It must not decide anything: that is the report's.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::value::RawValue;

use super::Facts;
use super::acks::How;

/// What becomes of a task by the report of an execution's end, if the server takes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Done,
    /// Another attempt after this time.
    Retry(Duration),
    /// To the dead letters: `attempts`, `failed` or `malformed`.
    Dead(&'static str),
    Expired,
    Cancelled,
    /// Back to the front of the queue.
    Released,
}

impl From<&How> for Fate {
    fn from(how: &How) -> Self {
        match how {
            How::Done => Self::Done,
            How::Retry { wait_ms, .. } => Self::Retry(Duration::from_millis(*wait_ms)),
            How::Dead { reason, .. } => Self::Dead(reason),
            How::Expired => Self::Expired,
            How::Cancelled => Self::Cancelled,
            How::Released => Self::Released,
        }
    }
}

/// The record for the result hash: how it ended and when, who ran it from when on, and what is lost with the envelope.
pub(super) fn record(
    facts: &Facts,
    state: &str,
    how: &How,
    value: Option<&RawValue>,
    now_us: u64,
) -> String {
    let done_ms = now_us / 1000;
    let until_ms = done_ms + u64::from(facts.result_ttl_s) * 1000;
    let text_of = |text: &str| serde_json::Value::from(text);
    // Writing to a String cannot fail.
    let mut text = format!(
        "{{\"s\":\"{state}\",\"f\":{done_ms},\"x\":{until_ms},\"n\":{},\"b\":{},\"w\":{}",
        facts.attempt,
        facts.started_us / 1000,
        text_of(&facts.worker)
    );
    if let Some(by) = &facts.accepted_by {
        let _ = write!(text, ",\"o\":{}", text_of(by));
    }
    if let Some(trace) = &facts.traceparent {
        let _ = write!(text, ",\"tp\":{}", text_of(trace));
    }
    if let How::Dead { error, .. } = how {
        let _ = write!(text, ",\"e\":{}", text_of(error));
    }
    if let Some(value) = value {
        let _ = write!(text, ",\"v\":{}", value.get());
    }
    text.push('}');
    text
}
