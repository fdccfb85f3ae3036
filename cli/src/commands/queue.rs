//! `kedactl queue ls|peek|pause|resume|dead|retry|purge`.
//!
//! It must not know how a queue is stored: the inspector does.

use super::block_on;
use crate::args::{QueueArgs, QueueCommand};
use crate::context::Context;
use crate::error::{Code, Error, Exit};
use crate::output::view::tasks;
use crate::running::{Running, queue_name};
use crate::status::Queue;
use kedactl_queue::{Inspector, QueueName, TaskId, TaskView};

/// An open queue: who to ask, and about which.
struct Open {
    inspector: Inspector,
    queue: QueueName,
}

pub(crate) fn queue(context: &Context, args: QueueArgs) -> Result<Exit, Error> {
    let running = Running::open(context)?;
    let text = block_on(async {
        let open = |name: Option<String>| connect(&running, name);
        match args.command {
            QueueCommand::Ls => list(context, &open(None).await?).await,
            QueueCommand::Peek { name, limit } => {
                let open = open(name.queue).await?;
                show(context, &open.inspector.peek(&open.queue, limit).await?)
            }
            QueueCommand::Dead { name, limit } => {
                let open = open(name.queue).await?;
                show(
                    context,
                    &open
                        .inspector
                        .dead_list(&open.queue, 0, limit as u64)
                        .await?,
                )
            }
            QueueCommand::Pause { name } => pause(context, &open(name.queue).await?, true).await,
            QueueCommand::Resume { name } => pause(context, &open(name.queue).await?, false).await,
            QueueCommand::Retry { ids, queue, .. } => {
                retry(context, &open(queue).await?, &ids).await
            }
            QueueCommand::Purge { name, dead, yes } => {
                purge(context, &open(name.queue).await?, dead, yes).await
            }
        }
    })?;
    context.printer.data(&text)?;
    Ok(Exit::Done)
}

async fn connect(running: &Running, name: Option<String>) -> Result<Open, Error> {
    let queue = name.map_or_else(|| running.queue(), |name| queue_name(&name))?;
    Ok(Open {
        inspector: running.inspector().await?,
        queue,
    })
}

async fn list(context: &Context, open: &Open) -> Result<String, Error> {
    let mut names = open.inspector.queues().await?;
    if !names.contains(&open.queue) {
        names.push(open.queue.clone());
    }
    let mut queues: Vec<Queue> = Vec::new();
    for name in &names {
        queues.push(Queue::read(&open.inspector, name).await?);
    }
    if context.json() {
        return crate::output::json(
            &serde_json::json!({"schema": "kedactl.queues/v1", "queues": queues}),
        );
    }
    Ok(tasks::queues(&queues))
}

fn show(context: &Context, found: &[TaskView]) -> Result<String, Error> {
    if context.json() {
        return crate::output::json(
            &serde_json::json!({"schema": "kedactl.tasks/v1", "tasks": found}),
        );
    }
    Ok(tasks::text(found))
}

async fn pause(context: &Context, open: &Open, pause: bool) -> Result<String, Error> {
    if pause {
        open.inspector.pause(&open.queue).await?;
    } else {
        open.inspector.resume(&open.queue).await?;
    }
    let now = if pause {
        "paused: running tasks finish, no other is handed out"
    } else {
        "resumed"
    };
    said(context, open, now, serde_json::json!({"paused": pause}))
}

async fn retry(context: &Context, open: &Open, ids: &[String]) -> Result<String, Error> {
    let mut moved = 0;
    if ids.is_empty() {
        moved = open.inspector.dead_retry(&open.queue, None).await?;
    }
    for text in ids {
        let id: TaskId = text
            .parse()
            .map_err(|_| Error::new(Code::Usage, format!("`{text}` is not the id of a task")))?;
        if open.inspector.dead_retry(&open.queue, Some(id)).await? == 0 {
            let message = format!("queue `{}` has no dead task {id}", open.queue);
            return Err(Error::new(Code::NoTask, message));
        }
        moved += 1;
    }
    said(
        context,
        open,
        &format!("{moved} dead tasks put back"),
        serde_json::json!({"retried": moved}),
    )
}

async fn purge(context: &Context, open: &Open, dead: bool, yes: bool) -> Result<String, Error> {
    let now = open.inspector.stats(&open.queue).await?;
    let buried = if dead { now.dead } else { 0 };
    if !yes {
        let would = format!(
            "would remove {} waiting, {} delayed and {buried} dead tasks; pass --yes to do it",
            now.waiting, now.delayed
        );
        let value =
            serde_json::json!({"would_remove": now.waiting + now.delayed + buried, "removed": 0});
        return said(context, open, &would, value);
    }
    let mut removed = open.inspector.purge(&open.queue).await?;
    if dead {
        removed += open.inspector.dead_purge(&open.queue, None).await?;
    }
    said(
        context,
        open,
        &format!("{removed} tasks removed"),
        serde_json::json!({"removed": removed}),
    )
}

fn said(
    context: &Context,
    open: &Open,
    text: &str,
    mut value: serde_json::Value,
) -> Result<String, Error> {
    if !context.json() {
        return Ok(format!("queue {}: {text}", open.queue));
    }
    value["schema"] = "kedactl.queue/v1".into();
    value["queue"] = open.queue.to_string().into();
    crate::output::json(&value)
}
