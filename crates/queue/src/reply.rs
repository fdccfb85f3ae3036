//! Reads the answers of the function library.
//!
//! It must not guess: an answer of another shape is an error.

use redis::Value;

use crate::error::QueueError;
use crate::id::TaskId;

pub(crate) fn array(value: &Value) -> Result<&[Value], QueueError> {
    match value {
        Value::Array(items) => Ok(items),
        _ => Err(QueueError::Answer("not a list")),
    }
}

pub(crate) fn array_at(items: &[Value], at: usize) -> Result<&[Value], QueueError> {
    items
        .get(at)
        .map_or(Err(QueueError::Answer("list too short")), array)
}

pub(crate) fn number(value: Option<&Value>) -> Result<u64, QueueError> {
    signed(value).map(|n| n.max(0) as u64)
}

pub(crate) fn signed(value: Option<&Value>) -> Result<i64, QueueError> {
    match value {
        Some(Value::Int(n)) => Ok(*n),
        Some(Value::BulkString(text)) => std::str::from_utf8(text)
            .ok()
            .and_then(|t| t.parse::<f64>().ok())
            .map(|n| n as i64)
            .ok_or(QueueError::Answer("not a number")),
        _ => Err(QueueError::Answer("not a number")),
    }
}

pub(crate) fn bytes(value: Option<&Value>) -> &[u8] {
    match value {
        Some(Value::BulkString(text)) => text,
        _ => b"",
    }
}

pub(crate) fn text(value: Option<&Value>) -> String {
    String::from_utf8_lossy(bytes(value)).into_owned()
}

pub(crate) fn id(value: Option<&Value>) -> Result<TaskId, QueueError> {
    TaskId::from_bytes(bytes(value)).map_err(|_| QueueError::Answer("not a task id"))
}
