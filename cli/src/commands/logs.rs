//! `kedactl logs`.
//!
//! It must not know where a log is kept.

use super::block_on;
use crate::args::LogsArgs;
use crate::context::Context;
use crate::error::{Error, Exit};
use crate::output::style;
use crate::running::{LogLine, LogRequest, Running};
use tokio::sync::mpsc;

/// Lines that are written at once, where more than one waits.
const BATCH: usize = 256;

pub(crate) fn logs(context: &Context, args: &LogsArgs) -> Result<Exit, Error> {
    let running = Running::open(context)?;
    let request = LogRequest {
        services: args.services.clone(),
        lines: args.lines,
        follow: args.follow,
    };
    block_on(async {
        let (sender, receiver) = mpsc::channel(BATCH);
        let (read, shown) = tokio::join!(running.logs(&request, sender), show(context, receiver));
        shown?;
        read?;
        Ok(Exit::Done)
    })
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
