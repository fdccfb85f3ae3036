//! One task's life, put together from its record in Redis and from what the services logged about it.
//!
//! It must not ask anybody: record and lines come in, events in the order of time go out.

use crate::running::LogLine;
use jiff::Timestamp;
use kedactl_queue::{QueueName, TaskId, TaskState, TaskView};
use serde::Serialize;
use serde_json::{Map, Value};

/// Who says what happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum From {
    Log,
    Record,
}

/// One thing that happened.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Event {
    pub at: Timestamp,
    /// The pod or process it happened in.
    pub process: String,
    pub what: String,
    pub from: From,
    /// What else the line says.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub fields: Map<String, Value>,
}

/// Everything that is known.
#[derive(Debug, Serialize)]
pub(crate) struct Life {
    pub schema: &'static str,
    pub id: TaskId,
    pub queue: Option<QueueName>,
    /// Nothing where its record is not kept any more.
    pub state: Option<TaskState>,
    pub trace_id: Option<String>,
    pub record: Option<TaskView>,
    /// Why its record could not be read, where it could not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unread: Option<String>,
    pub events: Vec<Event>,
}

/// Fields of every line, or that are told beside the events.
const USUAL: [&str; 9] = [
    "timestamp",
    "level",
    "target",
    "message",
    "task_id",
    "trace_id",
    "span_id",
    "queue",
    "span",
];

impl Life {
    /// Puts together what was found; nothing where nothing was.
    pub(crate) fn new(
        id: TaskId,
        record: Option<(QueueName, TaskView)>,
        lines: &[LogLine],
    ) -> Option<Self> {
        let (mut events, mut trace_id, mut queue) = (Vec::new(), None, None);
        for line in lines {
            let Some((event, fields)) = read(id, line) else {
                continue;
            };
            trace_id = trace_id.or_else(|| text(&fields, "trace_id"));
            queue = queue.or_else(|| text(&fields, "queue"));
            events.push(event);
        }
        if record.is_none() && events.is_empty() {
            return None;
        }
        if let Some((_, view)) = &record {
            let of_header = |it: &str| it.split('-').nth(1).map(str::to_owned);
            trace_id = view.traceparent.as_deref().and_then(of_header).or(trace_id);
            let told = recorded(view, &events);
            events.extend(told);
        }
        events.sort_by_key(|it| it.at);
        let (at, record) = record.unzip();
        Some(Self {
            schema: "kedactl.task/v1",
            id,
            queue: at.or_else(|| queue?.parse().ok()),
            state: record.as_ref().map(|it| it.state),
            trace_id,
            record,
            unread: None,
            events,
        })
    }
}

fn text(fields: &Map<String, Value>, name: &str) -> Option<String> {
    fields.get(name)?.as_str().map(str::to_owned)
}

/// A line about this task: JSON that names it, itself or by the span that it was written in, or text that holds its id.
fn read(id: TaskId, line: &LogLine) -> Option<(Event, Map<String, Value>)> {
    let event = |at, what, fields| Event {
        at,
        process: line.process.clone(),
        what,
        from: From::Log,
        fields,
    };
    let Ok(Value::Object(mut all)) = serde_json::from_str(&line.text) else {
        if !line.text.contains(id.as_str()) {
            return None;
        }
        let (at, rest) = line.text.trim_start().split_once(' ')?;
        return Some((
            event(at.parse().ok()?, rest.trim().to_owned(), Map::new()),
            Map::new(),
        ));
    };
    let names_it = |it: &Map<String, Value>| text(it, "task_id").as_deref() == Some(id.as_str());
    let within = all.get("span").and_then(Value::as_object);
    if !names_it(&all) && !within.is_some_and(names_it) {
        return None;
    }
    for (name, value) in within.cloned().unwrap_or_default() {
        if name != "name" && !all.contains_key(&name) {
            all.insert(name, value);
        }
    }
    let at = text(&all, "timestamp")?.parse().ok()?;
    let what = text(&all, "message").unwrap_or_default();
    let mut fields = all.clone();
    fields.retain(|name, value| !USUAL.contains(&name.as_str()) && value != "");
    Some((event(at, what, fields), all))
}

/// What the record says that no line said.
fn recorded(view: &TaskView, lines: &[Event]) -> Vec<Event> {
    let said = |words: &[&str]| {
        lines
            .iter()
            .any(|it| words.iter().any(|word| it.what.contains(word)))
    };
    let mut events = Vec::new();
    let mut tell = |ms: u64, process: Option<&str>, what: String, fields: Map<String, Value>| {
        if let Ok(at) = Timestamp::from_millisecond(ms as i64) {
            let process = process.unwrap_or_default().to_owned();
            events.push(Event {
                at,
                process,
                what,
                from: From::Record,
                fields,
            });
        }
    };
    let worker = view.worker.as_deref();
    if !said(&["accepted"]) {
        let by = view.accepted_by.as_deref();
        tell(view.enqueued_ms, by, "accepted".to_owned(), Map::new());
    }
    let attempt = |number: u32| {
        let mut fields = Map::new();
        fields.insert("attempt".to_owned(), number.into());
        fields
    };
    if let Some(ms) = view.started_ms {
        let number = view.failed_attempts + u32::from(view.state == TaskState::Done);
        let claimed = lines.iter().any(|it| {
            it.what == "claimed"
                && it.fields.get("attempt").and_then(Value::as_u64) == Some(number.into())
        });
        if !claimed {
            tell(ms, worker, "claimed".to_owned(), attempt(number.max(1)));
        }
    }
    let ends = match view.state {
        TaskState::Done => &["done"][..],
        TaskState::Dead => &["dead"],
        TaskState::Cancelled => &["cancelled"],
        TaskState::Expired => &["expired"],
        _ => return events,
    };
    if let Some(ms) = view.finished_ms.filter(|_| !said(ends)) {
        let mut fields = Map::new();
        for (name, value) in [("reason", &view.reason), ("error", &view.error)] {
            if let Some(value) = value {
                fields.insert(name.to_owned(), value.as_str().into());
            }
        }
        tell(ms, worker, ends[0].to_owned(), fields);
    }
    events
}

#[cfg(test)]
mod tests {
    use super::{From, Life};
    use crate::running::LogLine;
    use kedactl_queue::TaskId;

    fn line(process: &str, text: &str) -> LogLine {
        LogLine {
            process: process.to_owned(),
            text: text.to_owned(),
        }
    }

    #[test]
    fn lines_of_one_task_are_put_in_order_whoever_wrote_them() {
        let id: TaskId = "01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().unwrap();
        let lines = [
            line(
                "worker-b",
                r#"{"timestamp":"2026-01-01T00:00:03.5Z","level":"DEBUG","message":"done","target":"task","task_id":"01ARZ3NDEKTSV4RRFFQ69G5FAV","queue":"a","attempt":2,"took_ms":7}"#,
            ),
            line(
                "worker-a",
                r#"{"timestamp":"2026-01-01T00:00:01Z","level":"INFO","message":"of the handler","span":{"name":"task","task_id":"01ARZ3NDEKTSV4RRFFQ69G5FAV","attempt":1,"trace_id":"4bf9"}}"#,
            ),
            line(
                "api-a",
                r#"{"timestamp":"2026-01-01T00:00:00Z","level":"INFO","message":"another","task_id":"01ARZ3NDEKTSV4RRFFQ69G5FAW"}"#,
            ),
            line(
                "api-a",
                "2026-01-01T00:00:00.1Z INFO task: accepted task_id=01ARZ3NDEKTSV4RRFFQ69G5FAV",
            ),
            line("api-a", "no JSON and not about it"),
        ];
        let life = Life::new(id, None, &lines).unwrap();
        let told: Vec<(&str, &str)> = life
            .events
            .iter()
            .map(|it| (it.process.as_str(), it.what.as_str()))
            .collect();
        assert_eq!(told[0].0, "api-a");
        assert_eq!(told[1], ("worker-a", "of the handler"));
        assert_eq!(told[2], ("worker-b", "done"));
        assert_eq!(life.events[1].fields["attempt"], 1);
        assert_eq!(life.events[2].from, From::Log);
        assert_eq!(
            (life.trace_id.as_deref(), life.queue.unwrap().as_str()),
            (Some("4bf9"), "a")
        );
        assert!(Life::new(id, None, &lines[2..3]).is_none());
    }
}
