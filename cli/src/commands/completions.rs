//! `kedactl completions SHELL`.
//!
//! It must not install anything: the script goes to stdout.

use crate::args::CompletionsArgs;
use crate::context::Context;
use crate::error::{Error, Exit};

pub(crate) fn completions(context: &Context, args: &CompletionsArgs) -> Result<Exit, Error> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut crate::grammar(), "kedactl", &mut script);
    context.printer.data(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Done)
}
