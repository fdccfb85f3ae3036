//! Reads the answers of the function library.
//! Must not guess: an answer of another shape is an error.

use kedactl_queue::QueueError;
use redis::Value;

pub(crate) fn list(value: &Value) -> Result<&[Value], QueueError> {
    match value {
        Value::Array(items) => Ok(items),
        _ => Err(QueueError::Answer("not a list")),
    }
}

pub(crate) fn number(value: Option<&Value>) -> Result<i64, QueueError> {
    match value {
        Some(Value::Int(number)) => Ok(*number),
        Some(Value::BulkString(_) | Value::SimpleString(_)) => {
            let text = text(value);
            text.parse().map_err(|_| QueueError::Answer("not a number"))
        }
        _ => Err(QueueError::Answer("not a number")),
    }
}

pub(crate) fn text(value: Option<&Value>) -> String {
    match value {
        Some(Value::BulkString(bytes)) => String::from_utf8_lossy(bytes).into_owned(),
        Some(Value::SimpleString(text)) => text.clone(),
        _ => String::new(),
    }
}
