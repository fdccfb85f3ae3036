//! Names, types and ranges of a task's fields, and every complaint about them.
//!
//! It must not run for good requests: they pass [`in_range`]; only a refused body is looked at again, slowly.

use serde_json::{Map, Value};

use super::problem::FieldError;
use super::wire::TaskBody;

/// What a field holds.
enum Kind {
    Any,
    Text {
        max: usize,
        check: fn(&str) -> Result<(), &'static str>,
    },
    Whole {
        unit: &'static str,
        min: u64,
        max: u64,
    },
    Factor,
    Backoff,
}

const DAY_MS: u64 = 86_400_000;
const TEN_YEARS_MS: u64 = 3_660 * DAY_MS;
const YEAR_2200_MS: u64 = 7_258_118_400_000;
const MAX_TIMEOUT_MS: u64 = 7 * DAY_MS;
const MAX_ATTEMPTS: u64 = 1_000;
const MAX_RESULT_TTL_S: u64 = 30 * 86_400;
const MAX_FACTOR: f64 = 100.0;
/// The longest idempotency key in bytes.
pub(super) const MAX_KEY: usize = 200;

const TASK: &[(&str, Kind)] = &[
    (
        "type",
        Kind::Text {
            max: 128,
            check: type_name,
        },
    ),
    (
        "queue",
        Kind::Text {
            max: 64,
            check: queue_name,
        },
    ),
    ("payload", Kind::Any),
    (
        "priority",
        Kind::Text {
            max: 8,
            check: priority_name,
        },
    ),
    ("delay_ms", millis(0, TEN_YEARS_MS)),
    ("run_at_ms", millis(0, YEAR_2200_MS)),
    ("expires_in_ms", millis(1, TEN_YEARS_MS)),
    ("timeout_ms", millis(1, MAX_TIMEOUT_MS)),
    (
        "max_attempts",
        Kind::Whole {
            unit: "attempts",
            min: 1,
            max: MAX_ATTEMPTS,
        },
    ),
    ("backoff", Kind::Backoff),
    (
        "result_ttl_s",
        Kind::Whole {
            unit: "seconds",
            min: 0,
            max: MAX_RESULT_TTL_S,
        },
    ),
    (
        "audit",
        Kind::Text {
            max: 61,
            check: audit_mark,
        },
    ),
    (
        "idempotency_key",
        Kind::Text {
            max: MAX_KEY,
            check: printable,
        },
    ),
];

const BACKOFF: &[(&str, Kind)] = &[
    ("base_ms", millis(0, TEN_YEARS_MS)),
    ("max_ms", millis(0, TEN_YEARS_MS)),
    ("factor", Kind::Factor),
];

const fn millis(min: u64, max: u64) -> Kind {
    Kind::Whole {
        unit: "milliseconds",
        min,
        max,
    }
}

/// Returns whether every field of a parsed task is in its range.
pub(super) fn in_range(task: &TaskBody<'_>) -> bool {
    let text = |value: &Option<super::wire::Text<'_>>, max, check: fn(&str) -> _| {
        value
            .as_ref()
            .is_none_or(|t| text_error(&t.0, max, check).is_none())
    };
    text_error(&task.kind.0, 128, type_name).is_none()
        && text(&task.queue, 64, queue_name)
        && text(&task.priority, 8, priority_name)
        && text(&task.audit, 61, audit_mark)
        && text(&task.idempotency_key, MAX_KEY, printable)
        && task.delay_ms.is_none_or(|v| v <= TEN_YEARS_MS)
        && task
            .run_at_ms
            .is_none_or(|v| v <= YEAR_2200_MS && task.delay_ms.is_none())
        && task
            .expires_in_ms
            .is_none_or(|v| (1..=TEN_YEARS_MS).contains(&v))
        && task
            .timeout_ms
            .is_none_or(|v| (1..=MAX_TIMEOUT_MS).contains(&v))
        && task
            .max_attempts
            .is_none_or(|v| (1..=MAX_ATTEMPTS).contains(&v))
        && task.result_ttl_s.is_none_or(|v| v <= MAX_RESULT_TTL_S)
        && task.backoff.is_none_or(|b| {
            b.base_ms.is_none_or(|v| v <= TEN_YEARS_MS)
                && b.max_ms.is_none_or(|v| v <= TEN_YEARS_MS)
                && b.factor.is_none_or(|v| (1.0..=MAX_FACTOR).contains(&v))
        })
}

/// Returns every complaint about a task; `at` is the pointer to it, empty for the body itself.
pub(super) fn complaints(value: &Value, at: &str) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let Value::Object(task) = value else {
        errors.push(FieldError::new(
            at,
            format!("must be an object, not {}", name_of(value)),
        ));
        return errors;
    };
    object(task, TASK, at, &mut errors);
    match task.get("type") {
        None | Some(Value::Null) => {
            errors.push(FieldError::new(format!("{at}/type"), "is required"));
        }
        Some(_) => {}
    }
    let given = |name| task.get(name).is_some_and(|v: &Value| !v.is_null());
    if given("delay_ms") && given("run_at_ms") {
        errors.push(FieldError::new(
            format!("{at}/run_at_ms"),
            "cannot stand beside `delay_ms`",
        ));
    }
    errors
}

fn object(map: &Map<String, Value>, fields: &[(&str, Kind)], at: &str, to: &mut Vec<FieldError>) {
    for (name, value) in map {
        let pointer = format!("{at}/{}", escape(name));
        match fields.iter().find(|(n, _)| n == name) {
            None => to.push(FieldError::new(pointer, unknown(name, fields))),
            Some(_) if value.is_null() => {}
            Some((_, Kind::Backoff)) => match value {
                Value::Object(inner) => object(inner, BACKOFF, &pointer, to),
                other => to.push(FieldError::new(
                    pointer,
                    format!("must be an object, not {}", name_of(other)),
                )),
            },
            Some((_, kind)) => {
                to.extend(scalar(kind, value).map(|detail| FieldError::new(pointer, detail)));
            }
        }
    }
}

fn scalar(kind: &Kind, value: &Value) -> Option<String> {
    match kind {
        Kind::Any | Kind::Backoff => None,
        Kind::Text { max, check } => match value {
            Value::String(text) => text_error(text, *max, *check),
            other => Some(format!("must be a string, not {}", name_of(other))),
        },
        Kind::Whole { unit, min, max } => match value.as_u64() {
            Some(v) if (*min..=*max).contains(&v) => None,
            _ => Some(format!(
                "must be a whole number of {unit} from {min} to {max}"
            )),
        },
        Kind::Factor => match value.as_f64() {
            Some(v) if (1.0..=MAX_FACTOR).contains(&v) => None,
            _ => Some(format!("must be a number from 1 to {MAX_FACTOR}")),
        },
    }
}

fn text_error(
    text: &str,
    max: usize,
    check: fn(&str) -> Result<(), &'static str>,
) -> Option<String> {
    if text.is_empty() {
        return Some("must not be empty".to_owned());
    }
    if text.len() > max {
        return Some(format!("must be at most {max} bytes, is {}", text.len()));
    }
    check(text).err().map(str::to_owned)
}

/// Refuses control characters: names end up in logs and metrics.
pub(super) fn printable(text: &str) -> Result<(), &'static str> {
    if text.bytes().all(|b| b.is_ascii_graphic()) || !text.chars().any(char::is_control) {
        Ok(())
    } else {
        Err("must not hold control characters")
    }
}

fn type_name(text: &str) -> Result<(), &'static str> {
    let good = |b: u8| b.is_ascii_alphanumeric() || b"_-.:/".contains(&b);
    if text.bytes().all(good) {
        Ok(())
    } else {
        Err("must be letters, digits, `_`, `-`, `.`, `:` or `/`")
    }
}

fn queue_name(text: &str) -> Result<(), &'static str> {
    let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
    if text.bytes().all(good) {
        Ok(())
    } else {
        Err("must be letters, digits, `_`, `-` or `.`")
    }
}

fn priority_name(text: &str) -> Result<(), &'static str> {
    match text {
        "critical" | "high" | "normal" | "low" => Ok(()),
        _ => Err("must be critical, high, normal or low"),
    }
}

fn audit_mark(text: &str) -> Result<(), &'static str> {
    let shape = "must be <run>:<index>, the run of up to 40 letters, digits, `_` or `-`";
    let (run, index) = text.split_once(':').ok_or(shape)?;
    let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
    if run.is_empty() || run.len() > 40 || !run.bytes().all(good) || index.starts_with('+') {
        return Err(shape);
    }
    index.parse::<u64>().map(|_| ()).map_err(|_| shape)
}

fn unknown(name: &str, fields: &[(&str, Kind)]) -> String {
    let near = fields.iter().map(|(n, _)| *n).find(|n| {
        let plain = |s: &str| s.to_ascii_lowercase().replace(['_', '-'], "");
        let (n, name) = (plain(n), plain(name));
        n == name || (name.len() >= 3 && (n.starts_with(&name) || name.starts_with(&n)))
    });
    match near {
        Some(near) => format!("is not a field; did you mean `{near}`"),
        None => "is not a field".to_owned(),
    }
}

fn name_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// Escapes a name for a JSON pointer; a long one is cut, so that an answer stays small.
fn escape(name: &str) -> String {
    let cut: String = name.chars().take(64).collect();
    cut.replace('~', "~0").replace('/', "~1")
}
