//! `kedactl down`.
//!
//! It must not fail where nothing runs: down twice is down.

use super::block_on;
use crate::args::DownArgs;
use crate::context::Context;
use crate::error::{Error, Exit};
use crate::output::{Readers, follow};
use kedactl_local::{DownOutcome, LocalError};

pub(crate) fn down(context: &Context, args: &DownArgs) -> Result<Exit, Error> {
    let dir = context.stack_dir()?;
    let readers = Readers::new(args.stream.events.as_ref())?;
    let result = follow(context.printer, readers, |sink| {
        block_on(async { Ok(kedactl_local::down(&dir, args.purge, sink).await) })
    })?;
    let outcome = match result {
        Err(LocalError::NotRunning { .. }) => DownOutcome {
            changed: false,
            stopped: 0,
        },
        other => other?,
    };
    context.printer.data(&report(context, args, &outcome)?)?;
    Ok(Exit::Done)
}

fn report(context: &Context, args: &DownArgs, outcome: &DownOutcome) -> Result<String, Error> {
    if context.json() {
        let value = serde_json::json!({
            "schema": "kedactl.down/v1", "changed": outcome.changed, "stopped": outcome.stopped, "purged": args.purge,
        });
        return crate::output::json(&value);
    }
    Ok(match (outcome.changed, args.purge) {
        (false, _) => "nothing was running".to_owned(),
        (true, false) => format!(
            "stopped {} processes; the data is kept for the next `kedactl up`",
            outcome.stopped
        ),
        (true, true) => format!("stopped {} processes and removed the data", outcome.stopped),
    })
}
