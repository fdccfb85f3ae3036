//! Tables of queues and of tasks.
//!
//! It must not shorten an id: it is what the next command is given.

use crate::output::style::{bad, count, dim, warn};
use crate::output::table::Table;
use crate::status::Queue;
use kedactl_queue::TaskView;

const PAYLOAD: usize = 60;

pub(crate) fn queues(queues: &[Queue]) -> String {
    let mut table = Table::new(&[
        "queue",
        "waiting",
        "running",
        "delayed",
        "dead",
        "KEDA reads",
        "",
    ]);
    for it in queues {
        table.row([
            it.name.clone(),
            count(it.waiting),
            count(it.running),
            count(it.delayed),
            if it.dead > 0 {
                bad(&count(it.dead))
            } else {
                "0".to_owned()
            },
            it.keda.to_string(),
            if it.paused {
                warn("paused")
            } else {
                String::new()
            },
        ]);
    }
    table.text()
}

pub(crate) fn text(tasks: &[TaskView]) -> String {
    if tasks.is_empty() {
        return "no tasks\n".to_owned();
    }
    let mut table = Table::new(&[
        "id", "type", "priority", "failed", "crashes", "why", "payload",
    ]);
    for it in tasks {
        let payload = it
            .payload
            .as_ref()
            .map(|json| json.get())
            .unwrap_or_default();
        let mut short: String = payload.chars().take(PAYLOAD).collect();
        if short.len() < payload.len() {
            short.push('…');
        }
        let why = [it.reason.as_deref(), it.error.as_deref()]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join(": ");
        table.row([
            it.id.to_string(),
            it.kind.clone().unwrap_or_default(),
            it.priority
                .map(|p| format!("{p:?}").to_lowercase())
                .unwrap_or_default(),
            it.failed_attempts.to_string(),
            it.crashes.to_string(),
            bad(&why),
            dim(&short),
        ]);
    }
    table.text()
}
