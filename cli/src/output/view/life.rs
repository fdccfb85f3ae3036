//! One task's life as text.
//!
//! It must not leave out an event.

use crate::life::{Event, From, Life};
use crate::output::style::{bad, dim, good, head, warn};
use crate::output::table::Table;
use jiff::Timestamp;
use kedactl_queue::{TaskState, TaskView};
use serde_json::Value;

pub(crate) fn text(life: &Life) -> String {
    let kind = life.record.as_ref().and_then(|it| it.kind.clone());
    let queue = life.queue.as_ref().map(|it| format!(" in queue {it}"));
    let mut text = format!(
        "{}{}{}: {}\n",
        head(&format!("task {}", life.id)),
        kind.map_or_else(String::new, |it| format!(" {it}")),
        queue.unwrap_or_default(),
        now(life)
    );
    if let Some(trace) = &life.trace_id {
        text += &format!("trace {trace}\n");
    }
    let mut table = Table::new(&["time (UTC)", "process", "what"]);
    for event in &life.events {
        let time = time(event.at);
        let from = if event.from == From::Record { "*" } else { "" };
        table.row([
            time,
            event.process.clone(),
            format!("{}{from}{}", event.what, fields(event)),
        ]);
    }
    text += &table.text();
    if life.events.iter().any(|it| it.from == From::Record) {
        text += &dim(
            "* from the task's record; the log of each step needs KEDACTL_LOG=info,task=debug",
        );
        text.push('\n');
    }
    text
}

fn now(life: &Life) -> String {
    let Some(view) = &life.record else {
        let why = life.unread.as_ref();
        return warn(&why.map_or_else(
            || "its record is not kept any more".to_owned(),
            |why| format!("its record could not be read: {why}"),
        ));
    };
    let state = match view.state {
        TaskState::Done => good("done"),
        TaskState::Dead => bad("dead"),
        TaskState::Cancelled => warn("cancelled"),
        TaskState::Expired => warn("expired"),
        TaskState::Waiting => "waiting".to_owned(),
        TaskState::Running => format!(
            "running on {}",
            view.worker.as_deref().unwrap_or("a worker")
        ),
        TaskState::Delayed => {
            let due = view
                .due_ms
                .and_then(|ms| Timestamp::from_millisecond(ms as i64).ok());
            format!("not before {}", due.map_or_else(String::new, time))
        }
    };
    format!("{state}{}", troubles(view))
}

fn troubles(view: &TaskView) -> String {
    let mut all = Vec::new();
    if view.failed_attempts > 0 {
        all.push(format!("{} failed attempts", view.failed_attempts));
    }
    if view.crashes > 0 {
        all.push(format!("{} workers died", view.crashes));
    }
    if let Some(error) = &view.error {
        all.push(format!("last error: {error}"));
    }
    if all.is_empty() {
        String::new()
    } else {
        format!(" ({})", all.join(", "))
    }
}

fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S%.3f").to_string()
}

fn fields(event: &Event) -> String {
    let one = |(name, value): (&String, &Value)| match value {
        Value::String(text) => format!("{name}={text}"),
        other => format!("{name}={other}"),
    };
    let all: Vec<String> = event.fields.iter().map(one).collect();
    if all.is_empty() {
        String::new()
    } else {
        dim(&format!("  {}", all.join(" ")))
    }
}
