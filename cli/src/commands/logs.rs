//! `kedactl logs`.
//!
//! It must not know where a log is kept.

use super::block_on;
use crate::args::LogsArgs;
use crate::context::Context;
use crate::error::{Code, Error, Exit};
use crate::life::Life;
use crate::output::style;
use crate::output::view::life;
use crate::running::{LogLine, LogRequest, Running, queue_name};
use kedactl_queue::{QueueName, TaskId, TaskView};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// Lines that are written at once, where more than one waits.
const BATCH: usize = 256;
/// How long Redis may take; what is logged about a task is there without it.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) fn logs(context: &Context, args: &LogsArgs) -> Result<Exit, Error> {
    let running = Running::open(context)?;
    if let Some(id) = &args.task {
        let id = id.parse().map_err(|_| {
            Error::new(Code::Usage, format!("`{id}` is not the id of a task"))
                .hint("an id has 26 characters; the answer to the task's POST holds it")
        })?;
        return block_on(task(context, &running, args, id));
    }
    let request = LogRequest {
        services: args.services.clone(),
        lines: args.lines,
        follow: args.follow,
        task: None,
    };
    block_on(async {
        let (sender, receiver) = mpsc::channel(BATCH);
        let (read, shown) = tokio::join!(running.logs(&request, sender), show(context, receiver));
        shown?;
        read?;
        Ok(Exit::Done)
    })
}

/// One task's life: its record, and every line about it.
async fn task(
    context: &Context,
    running: &Running,
    args: &LogsArgs,
    id: TaskId,
) -> Result<Exit, Error> {
    let (sender, mut receiver) = mpsc::channel(BATCH);
    let services = ["api", "worker"].map(str::to_owned).to_vec();
    let request = LogRequest {
        services: if args.services.is_empty() {
            services
        } else {
            args.services.clone()
        },
        lines: usize::MAX,
        follow: false,
        task: Some(id),
    };
    let gather = async {
        let mut lines = Vec::new();
        while receiver.recv_many(&mut lines, BATCH).await > 0 {}
        lines
    };
    let (record, read, lines) = tokio::join!(
        timeout(PATIENCE, record(running, args.queue.as_deref(), id)),
        running.logs(&request, sender),
        gather
    );
    let record =
        record.unwrap_or_else(|_| Err(Error::new(Code::Redis, "Redis did not answer in time")));
    let (record, unread) = match record {
        Ok(record) => (record, None),
        Err(error) => (None, Some(error)),
    };
    let Some(mut found) = Life::new(id, record, &lines) else {
        read?;
        return Err(unread.unwrap_or_else(|| unknown(id, args.queue.as_deref())));
    };
    found.unread = unread.map(|error| error.to_string());
    if context.json() {
        context.printer.data(&crate::output::json(&found)?)?;
    } else {
        context.printer.data(&life::text(&found))?;
    }
    Ok(Exit::Done)
}

fn unknown(id: TaskId, queue: Option<&str>) -> Error {
    let place = queue.map_or_else(String::new, |it| format!(" in queue `{it}`"));
    let message = format!("nothing is known of task {id}{place}: no record, and no line of a log");
    Error::new(Code::NoTask, message)
        .hint("a task that ended without trouble is known for as long as its result is kept (`result_ttl_s`, 300 s by default)")
        .hint("with KEDACTL_LOG=info,task=debug in `api.env` and `worker.env` the logs hold every step of every task")
}

/// The task in the queue that was named, or in whichever has it.
async fn record(
    running: &Running,
    queue: Option<&str>,
    id: TaskId,
) -> Result<Option<(QueueName, TaskView)>, Error> {
    let inspector = running.inspector().await?;
    let queues = if let Some(name) = queue {
        vec![queue_name(name)?]
    } else {
        let own = running.queue()?;
        let mut all = inspector.queues().await?;
        all.retain(|it| *it != own);
        all.insert(0, own);
        all
    };
    for queue in queues {
        if let Some(view) = inspector.task(&queue, id).await? {
            return Ok(Some((queue, view)));
        }
    }
    Ok(None)
}

async fn show(context: &Context, mut lines: mpsc::Receiver<LogLine>) -> Result<(), Error> {
    let mut waiting = Vec::new();
    while lines.recv_many(&mut waiting, BATCH).await > 0 {
        let text: Vec<String> = waiting.drain(..).map(|it| line(context, &it)).collect();
        context.printer.data(&text.join("\n"))?;
    }
    Ok(())
}

fn line(context: &Context, it: &LogLine) -> String {
    if context.json() {
        return serde_json::json!({"process": it.process, "line": it.text}).to_string();
    }
    let process = style::dim(&format!("{:<16}", it.process));
    format!("{process} {}", it.text)
}
