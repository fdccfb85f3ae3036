//! `kedactl status`.
//!
//! It must not wait for what does not answer: what could not be seen is told beside what could.

use super::block_on;
use crate::args::StatusArgs;
use crate::context::Context;
use crate::error::{Error, Exit};
use crate::output::{Printer, view};
use crate::running::Running;
use crate::status::Status;
use std::time::Duration;

const EVERY: Duration = Duration::from_secs(1);

pub(crate) fn status(context: &Context, args: &StatusArgs) -> Result<Exit, Error> {
    let running = Running::open(context)?;
    block_on(async {
        if args.watch {
            return watch(context, &running).await;
        }
        let look = running.look().await?;
        show(context, &look.status)?;
        look.error.map_or(Ok(Exit::Done), Err)
    })
}

async fn watch(context: &Context, running: &Running) -> Result<Exit, Error> {
    let mut beat = tokio::time::interval(EVERY);
    beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        beat.tick().await;
        // A cluster that is away may come back: the watch goes on.
        let status = running.look().await?.status;
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
