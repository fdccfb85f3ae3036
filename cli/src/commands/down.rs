//! `kedactl down`.
//!
//! It must not fail where nothing runs: down twice is down.

use super::block_on_job;
use crate::args::DownArgs;
use crate::context::Context;
use crate::error::{Code, Error, Exit};
use crate::output::{Readers, follow, view};
use kedactl_local::{DownOutcome, LocalError};
use kedactl_plan::Control;
use kedactl_stack::{DownRequest, Home, Record};

/// A stack that was taken down.
#[derive(Debug)]
pub(super) struct Taken {
    /// As `-o json` has it.
    pub(super) value: serde_json::Value,
    /// For people.
    pub(super) text: String,
}

pub(crate) fn down(context: &Context, args: &DownArgs) -> Result<Exit, Error> {
    let readers = Readers::new(args.stream.events.as_ref())?;
    let taken = take(context, &context.stack_name(), args, readers, 0)?;
    let text = if context.json() {
        crate::output::json(&taken.value)?
    } else {
        taken.text
    };
    context.printer.data(&text)?;
    Ok(Exit::Done)
}

/// Takes the stack `name` down. So many signals are let pass before one is obeyed.
pub(super) fn take(
    context: &Context,
    name: &str,
    args: &DownArgs,
    readers: Readers,
    spared: usize,
) -> Result<Taken, Error> {
    let home = context.home(name)?;
    let mut taken = if Record::read(&home)?.is_some() {
        cluster(context, args, home, readers, spared)?
    } else {
        if args.purge {
            // A run that was refused may have unpacked a bundle, whose values may hold secrets.
            Record::remove(&home)?;
        }
        local(context, name, args, readers, spared)?
    };
    taken.value["schema"] = "kedactl.down/v1".into();
    taken.value["purged"] = args.purge.into();
    Ok(taken)
}

fn cluster(
    context: &Context,
    args: &DownArgs,
    home: Home,
    readers: Readers,
    spared: usize,
) -> Result<Taken, Error> {
    let request = DownRequest {
        home,
        purge: args.purge,
        release_finalizers: args.release_finalizers,
        who: context.env.who(),
        within: args.timeout,
    };
    let control = Control::default();
    let outcome = follow(context.printer, readers, |sink| {
        block_on_job(&control, spared, async {
            Ok(kedactl_stack::down(&request, sink, &control).await?)
        })
    })?;
    Ok(Taken {
        text: view::stack::down(&outcome, args.purge),
        value: serde_json::json!(outcome),
    })
}

fn local(
    context: &Context,
    name: &str,
    args: &DownArgs,
    readers: Readers,
    spared: usize,
) -> Result<Taken, Error> {
    let dir = context.dir_of(name)?;
    let result = follow(context.printer, readers, |sink| {
        let control = Control::default();
        block_on_job(&control, spared, async {
            tokio::select! {
                ended = kedactl_local::down(&dir, args.purge, sink) => Ok(ended),
                () = control.stop.cancelled() => Err(Error::new(Code::Interrupted, "interrupted")),
            }
        })
    })?;
    let outcome = match result {
        Err(LocalError::NotRunning { .. }) => DownOutcome {
            changed: false,
            stopped: 0,
        },
        other => other?,
    };
    Ok(Taken {
        text: text(&outcome, args.purge),
        value: serde_json::json!({"changed": outcome.changed, "stopped": outcome.stopped}),
    })
}

fn text(outcome: &DownOutcome, purge: bool) -> String {
    match (outcome.changed, purge) {
        (false, _) => "nothing was running".to_owned(),
        (true, false) => format!(
            "stopped {} processes; the data is kept for the next `kedactl up`",
            outcome.stopped
        ),
        (true, true) => format!("stopped {} processes and removed the data", outcome.stopped),
    }
}
