//! From the bytes of a body to tasks: one pass for good bodies, a second one that explains bad ones.
//!
//! It must not allocate for a good single task beyond what its fields need.

use serde::Deserialize;
use serde_json::Value;

use super::fields;
use super::problem::{FieldError, Problem};
use super::wire::TaskBody;

/// How many complaints one answer lists at most.
const MAX_COMPLAINTS: usize = 32;

/// Returns the body as text that is no deeper than `max_depth`.
pub(crate) fn text(body: &[u8], max_depth: usize) -> Result<&str, Problem> {
    let text = std::str::from_utf8(body)
        .map_err(|e| Problem::syntax(format!("byte {} is not UTF-8", e.valid_up_to() + 1)))?;
    match too_deep(body, max_depth) {
        Some(at) => Err(Problem::syntax(format!(
            "nested deeper than {max_depth} levels at byte {}",
            at + 1
        ))),
        None => Ok(text),
    }
}

/// Returns where brackets first nest deeper than `max`; brackets inside strings do not count.
fn too_deep(body: &[u8], max: usize) -> Option<usize> {
    // Counting is many times faster than walking, and nearly every body has fewer brackets than levels are allowed.
    let brackets = body.iter().filter(|b| matches!(b, b'{' | b'[')).count();
    if brackets <= max {
        return None;
    }
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for (at, byte) in body.iter().enumerate() {
        if in_string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'{' | b'[' => {
                depth += 1;
                if depth > max {
                    return Some(at);
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    None
}

/// Returns the task of a body that holds one.
pub(super) fn one(text: &str) -> Result<TaskBody<'_>, Problem> {
    match serde_json::from_str::<TaskBody<'_>>(text) {
        Ok(task) if fields::in_range(&task) => Ok(task),
        Ok(_) => Err(explain(text, None, false)),
        Err(error) => Err(explain(text, Some(&error), false)),
    }
}

/// Returns the tasks of a body that is one array; a task of the array may nest one level less.
pub(super) fn array(text: &str, max_tasks: usize) -> Result<Vec<TaskBody<'_>>, Problem> {
    match serde_json::from_str::<Vec<TaskBody<'_>>>(text) {
        Ok(tasks) if tasks.len() > max_tasks => Err(too_many(max_tasks)),
        Ok(tasks) if tasks.is_empty() => Err(Problem::field("", "must hold at least one task")),
        Ok(tasks) if tasks.iter().all(fields::in_range) => Ok(tasks),
        Ok(_) => Err(explain(text, None, true)),
        Err(error) => Err(explain(text, Some(&error), true)),
    }
}

/// Returns the tasks of a body with one task a line; empty lines are skipped.
pub(super) fn lines(text: &str, max_tasks: usize) -> Result<Vec<TaskBody<'_>>, Problem> {
    let mut tasks = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if line.trim_ascii().is_empty() {
            continue;
        }
        if tasks.len() == max_tasks {
            return Err(too_many(max_tasks));
        }
        match serde_json::from_str::<TaskBody<'_>>(line) {
            Ok(task) if fields::in_range(&task) => tasks.push(task),
            other => {
                return Err(bad_line(
                    line,
                    tasks.len(),
                    number + 1,
                    other.err().as_ref(),
                ));
            }
        }
    }
    if tasks.is_empty() {
        Err(Problem::field("", "must hold at least one task"))
    } else {
        Ok(tasks)
    }
}

/// Returns a small body that is not a task, such as a rate limit.
pub(super) fn small<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Problem> {
    serde_json::from_str(text).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => {
            let (pointer, detail) = from_serde(&error);
            Problem::field(pointer, detail)
        }
        _ => Problem::syntax(error.to_string()),
    })
}

fn too_many(max_tasks: usize) -> Problem {
    Problem::field("", format!("must hold at most {max_tasks} tasks"))
}

fn bad_line(line: &str, index: usize, number: usize, error: Option<&serde_json::Error>) -> Problem {
    match serde_json::from_str::<Value>(line) {
        Err(e) => Problem::syntax(format!("line {number}: {e}")).at(format!("/{index}")),
        Ok(value) => {
            let errors = fields::complaints(&value, &format!("/{index}"));
            finish(errors, error, &format!("/{index}")).detail(format!("line {number}"))
        }
    }
}

fn explain(text: &str, error: Option<&serde_json::Error>, many: bool) -> Problem {
    let value = match serde_json::from_str::<Value>(text) {
        Ok(value) => value,
        Err(e) => return Problem::syntax(e.to_string()),
    };
    let errors = match &value {
        Value::Array(tasks) if many => tasks
            .iter()
            .enumerate()
            .flat_map(|(i, task)| fields::complaints(task, &format!("/{i}")))
            .take(MAX_COMPLAINTS)
            .collect(),
        _ if many => vec![FieldError::new("", "must be an array of tasks")],
        Value::Array(_) => {
            vec![FieldError::new(
                "",
                "must be one task; send arrays to /v1/tasks:batch",
            )]
        }
        other => fields::complaints(other, ""),
    };
    finish(errors, error, "")
}

/// What the slow look did not find (a field given twice, say) is told in serde's words.
fn finish(mut errors: Vec<FieldError>, error: Option<&serde_json::Error>, at: &str) -> Problem {
    if errors.is_empty() {
        let (pointer, detail) =
            error.map_or((String::new(), "is not a task".to_owned()), from_serde);
        errors.push(FieldError::new(format!("{at}{pointer}"), detail));
    }
    errors.truncate(MAX_COMPLAINTS);
    Problem::fields(errors)
}

/// Returns pointer and detail from a message such as "duplicate field `type` at line 1 column 20".
fn from_serde(error: &serde_json::Error) -> (String, String) {
    let text = error.to_string();
    let named = ["duplicate field `", "unknown field `", "missing field `"]
        .iter()
        .find_map(|p| text.strip_prefix(p).and_then(|rest| rest.split('`').next()));
    match named {
        Some(field) if text.starts_with("duplicate") => {
            (format!("/{field}"), "is given twice".to_owned())
        }
        Some(field) if text.starts_with("missing") => {
            (format!("/{field}"), "is required".to_owned())
        }
        Some(field) => (format!("/{field}"), "is not a field".to_owned()),
        None => (String::new(), text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pointers(text: &str) -> Vec<String> {
        let problem = one(text).expect_err("refused");
        problem
            .errors()
            .iter()
            .map(|e| format!("{}: {}", e.pointer, e.detail))
            .collect()
    }

    #[test]
    fn a_good_task_passes() {
        let task = one(r#"{"type":"echo","payload":{"a":[1,2]},"backoff":{"factor":2}}"#).unwrap();
        assert_eq!(task.kind.0, "echo");
        assert_eq!(task.payload.unwrap().get(), r#"{"a":[1,2]}"#);
    }

    #[test]
    fn every_bad_field_is_named_at_once() {
        assert_eq!(
            pointers(r#"{"queue":"a b","delay_ms":-1,"priorty":1,"backoff":{"factor":0}}"#),
            [
                "/backoff/factor: must be a number from 1 to 100",
                "/delay_ms: must be a whole number of milliseconds from 0 to 316224000000",
                "/priorty: is not a field",
                "/queue: must be letters, digits, `_`, `-` or `.`",
                "/type: is required",
            ]
        );
        assert_eq!(
            pointers(r#"{"type":"a","type":"b"}"#),
            ["/type: is given twice"]
        );
        assert_eq!(
            pointers("[1]"),
            [": must be one task; send arrays to /v1/tasks:batch"]
        );
        assert_eq!(
            pointers(r#"{"type":"a","delay_ms":1,"run_at_ms":1}"#),
            ["/run_at_ms: cannot stand beside `delay_ms`"]
        );
    }

    #[test]
    fn syntax_errors_tell_the_position() {
        let problem = one("{\"type\":\"a\",\n \"payload\":}").expect_err("refused");
        assert_eq!(problem.status(), 400);
        assert_eq!(
            problem.errors()[0].detail,
            "expected value at line 2 column 12"
        );
    }

    #[test]
    fn depth_counts_brackets_outside_strings() {
        let deep = format!("{}{}", "[".repeat(65), "]".repeat(65));
        assert_eq!(too_deep(deep.as_bytes(), 64), Some(64));
        assert_eq!(too_deep(&deep.as_bytes()[1..], 64), None);
        assert_eq!(too_deep(br#"{"a":"[[[[\"[["}"#, 1), None);
    }

    #[test]
    fn a_bad_line_is_told_by_number_and_index() {
        let problem = lines("{\"type\":\"a\"}\n\n{\"type\":5}\n", 10).expect_err("refused");
        assert_eq!(problem.errors()[0].pointer, "/1/type");
    }
}
