//! `kedactl completions SHELL`.
//!
//! It must not install anything: the script goes to stdout.

use crate::args::CompletionsArgs;
use crate::context::Context;
use crate::error::{Error, Exit};

pub(crate) fn completions(context: &Context, args: &CompletionsArgs) -> Result<Exit, Error> {
    context
        .printer
        .data(&crate::shipped::completion(args.shell))?;
    Ok(Exit::Done)
}
