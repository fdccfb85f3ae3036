//! `kedactl down`.
//!
//! It must not fail where nothing runs: down twice is down.

use super::{block_on, block_on_job};
use crate::args::DownArgs;
use crate::context::Context;
use crate::error::{Error, Exit};
use crate::output::{Readers, follow, view};
use kedactl_local::{DownOutcome, LocalError};
use kedactl_plan::Control;
use kedactl_stack::{DownRequest, Home, Record};

pub(crate) fn down(context: &Context, args: &DownArgs) -> Result<Exit, Error> {
    let home = context.home(&context.stack_name())?;
    let readers = Readers::new(args.stream.events.as_ref())?;
    let text = if Record::read(&home)?.is_some() {
        cluster(context, args, home, readers)?
    } else {
        local(context, args, readers)?
    };
    context.printer.data(&text)?;
    Ok(Exit::Done)
}

fn cluster(
    context: &Context,
    args: &DownArgs,
    home: Home,
    readers: Readers,
) -> Result<String, Error> {
    let request = DownRequest {
        home,
        purge: args.purge,
        release_finalizers: args.release_finalizers,
        who: context.env.who(),
        within: args.timeout,
    };
    let control = Control::default();
    let outcome = follow(context.printer, readers, |sink| {
        block_on_job(&control, async {
            Ok(kedactl_stack::down(&request, sink, &control).await?)
        })
    })?;
    if !context.json() {
        return Ok(view::stack::down(&outcome, args.purge));
    }
    let mut value = serde_json::json!(outcome);
    value["schema"] = "kedactl.down/v1".into();
    value["purged"] = args.purge.into();
    crate::output::json(&value)
}

fn local(context: &Context, args: &DownArgs, readers: Readers) -> Result<String, Error> {
    let dir = context.stack_dir()?;
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
    report(context, args, &outcome)
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
