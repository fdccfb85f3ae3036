//! The JSON shapes of requests, borrowed from the body, and of answers.
//!
//! It must not know Redis or HTTP; ranges stand in [`super::fields`].

use std::borrow::Cow;
use std::fmt;

use kedactl_queue::TaskId;
use serde::de::{Deserialize, Deserializer, Error, Visitor};
use serde::{Deserialize as De, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

/// Text that borrows from the body unless it holds an escape.
#[derive(Debug, Clone)]
pub(super) struct Text<'a>(pub Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_borrowed_str<E: Error>(self, v: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(v)))
            }
            fn visit_str<E: Error>(self, v: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(v.to_owned())))
            }
        }
        d.deserialize_str(TextVisitor)
    }
}

/// A task as sent; every field but `type` may be absent.
#[derive(Debug, De)]
#[serde(deny_unknown_fields)]
pub(super) struct TaskBody<'a> {
    #[serde(borrow, rename = "type")]
    pub kind: Text<'a>,
    #[serde(borrow, default)]
    pub queue: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub payload: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub priority: Option<Text<'a>>,
    pub delay_ms: Option<u64>,
    pub run_at_ms: Option<u64>,
    pub expires_in_ms: Option<u64>,
    pub timeout_ms: Option<u64>,
    pub max_attempts: Option<u64>,
    pub backoff: Option<BackoffBody>,
    pub result_ttl_s: Option<u64>,
    #[serde(borrow, default)]
    pub audit: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub idempotency_key: Option<Text<'a>>,
}

/// The pause before attempt n+1: `base_ms × factor^(n−1)`, at most `max_ms`, less up to half by chance.
#[derive(Debug, Clone, Copy, De, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct BackoffBody {
    /// Milliseconds before the second attempt.
    #[schema(example = 1000)]
    pub base_ms: Option<u64>,
    /// The longest pause in milliseconds.
    #[schema(example = 600_000)]
    pub max_ms: Option<u64>,
    /// By what each pause grows.
    #[schema(example = 2.0)]
    pub factor: Option<f64>,
}

/// A task to enqueue.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = NewTask)]
pub(super) struct NewTaskSchema {
    /// Which handler runs it.
    #[schema(rename = "type", example = "echo", max_length = 128)]
    #[serde(rename = "type")]
    kind: String,
    /// Default: the API's `--queue`.
    #[schema(example = "default", max_length = 64)]
    queue: Option<String>,
    /// Any JSON value; handed to the handler.
    #[schema(value_type = Option<Object>)]
    payload: Option<serde_json::Value>,
    /// `critical`, `high`, `normal` (default) or `low`.
    #[schema(example = "normal")]
    priority: Option<String>,
    /// Start no earlier than this many milliseconds from now; not with `run_at_ms`.
    delay_ms: Option<u64>,
    /// Start no earlier than this time, milliseconds since 1970.
    run_at_ms: Option<u64>,
    /// Give up when not started within this many milliseconds.
    expires_in_ms: Option<u64>,
    /// Time limit of one attempt in milliseconds.
    timeout_ms: Option<u64>,
    /// Attempts before the task is dead, at least 1.
    max_attempts: Option<u64>,
    /// Pauses between attempts.
    backoff: Option<BackoffBody>,
    /// How many seconds the result is kept.
    result_ttl_s: Option<u64>,
    /// `<run>:<index>`: have the execution recorded in the audit of a run.
    #[schema(example = "run1:0")]
    audit: Option<String>,
    /// The same as the `Idempotency-Key` header; the way to give keys in a batch.
    #[schema(max_length = 200)]
    idempotency_key: Option<String>,
}

/// An accepted task.
#[derive(Debug, ToSchema)]
pub(super) struct Accepted<'a> {
    /// Its identity.
    #[schema(value_type = String, example = "01JD3M6R7Q8ZK5V0W2X4Y6Z8AB")]
    pub id: TaskId,
    /// Its queue.
    #[schema(value_type = String)]
    pub queue: &'a str,
    /// What the 202 promises: `none`, or `replicas:N` = stored on the master and on N replicas at least.
    #[schema(value_type = String, example = "replicas:1")]
    pub durability: Cow<'a, str>,
    /// The idempotency key was known: the task is the earlier one.
    pub duplicate: bool,
}

impl Accepted<'_> {
    /// Bytes of the usual answer, for the buffer that takes it.
    pub(super) const USUAL_BYTES: usize = 128;

    /// Appends the JSON of it; none of its texts can need an escape: ids, queue names and durabilities are checked.
    pub(super) fn write(&self, to: &mut String) {
        let duplicate = if self.duplicate { "true" } else { "false" };
        for part in [
            "{\"id\":\"",
            self.id.as_str(),
            "\",\"queue\":\"",
            self.queue,
            "\",\"durability\":\"",
            &self.durability,
            "\",\"duplicate\":",
            duplicate,
            "}",
        ] {
            to.push_str(part);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_accepted_task_is_one_json_object() {
        let accepted = Accepted {
            id: TaskId::new(1),
            queue: "a-b_c.d",
            durability: Cow::Borrowed("replicas:2"),
            duplicate: true,
        };
        let mut text = String::new();
        accepted.write(&mut text);
        let expected = serde_json::json!({
            "id": accepted.id.as_str(), "queue": "a-b_c.d", "durability": "replicas:2", "duplicate": true,
        });
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&text).unwrap(),
            expected
        );
    }
}
