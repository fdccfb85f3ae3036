//! `kedactl status`.
//!
//! It must not wait for what does not answer: the queue's numbers get a fraction of a second.

use super::block_on;
use crate::args::StatusArgs;
use crate::context::Context;
use crate::error::{Error, Exit};
use crate::output::{Printer, view};
use crate::stack::Stack;
use crate::status::{Queue, Status};
use kedactl_queue::{Inspector, QueueName, Redis};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const PATIENCE: Duration = Duration::from_millis(400);
const EVERY: Duration = Duration::from_secs(1);

pub(crate) fn status(context: &Context, args: &StatusArgs) -> Result<Exit, Error> {
    let stack = Stack::open(context)?;
    block_on(async {
        if args.watch {
            return watch(context, stack).await;
        }
        show(context, &look(&stack).await)?;
        Ok(Exit::Done)
    })
}

async fn watch(context: &Context, mut stack: Stack) -> Result<Exit, Error> {
    let mut beat = tokio::time::interval(EVERY);
    loop {
        beat.tick().await;
        stack = stack.again()?;
        let status = look(&stack).await;
        if Printer::stdout_is_terminal() && !context.json() {
            // Home, then clear to the end: less flicker than clearing first.
            context
                .printer
                .data(&format!("\u{1b}[H\u{1b}[J{}", view::status::text(&status)))?;
        } else {
            show(context, &status)?;
        }
    }
}

fn show(context: &Context, status: &Status) -> Result<(), Error> {
    let text = match (context.json(), Printer::stdout_is_terminal()) {
        (true, false) => serde_json::to_string(status).map_err(std::io::Error::other)?,
        (true, true) => crate::output::json(status)?,
        (false, _) => view::status::text(status),
    };
    Ok(context.printer.data(&text)?)
}

async fn look(stack: &Stack) -> Status {
    let queue = tokio::time::timeout(PATIENCE, numbers(stack))
        .await
        .ok()
        .and_then(Result::ok);
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or(Duration::ZERO);
    Status::new(&stack.state, queue, now.as_millis() as u64)
}

async fn numbers(stack: &Stack) -> Result<Queue, Error> {
    let name = stack.queue()?;
    let redis = Redis::connect(stack.redis()?).await?;
    let inspector = Inspector::new(&redis);
    read(&inspector, &name).await
}

/// One queue's numbers, with the one that KEDA's own script reads.
pub(super) async fn read(inspector: &Inspector, name: &QueueName) -> Result<Queue, Error> {
    let stats = inspector.stats(name).await?;
    let keda = inspector
        .keda_value(&kedactl_queue::keys::live(name))
        .await?;
    Ok(Queue {
        name: name.to_string(),
        waiting: stats.waiting,
        running: stats.running,
        delayed: stats.delayed,
        dead: stats.dead,
        paused: stats.paused,
        keda,
    })
}
