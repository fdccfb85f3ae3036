//! `kedactl config show|schema`.
//!
//! It must not merge or check anything by itself.

use crate::args::{ConfigArgs, ConfigCommand, ConfigShowArgs};
use crate::context::Context;
use crate::error::{Error, Exit};

pub(crate) fn config(context: &Context, args: &ConfigArgs) -> Result<Exit, Error> {
    let text = match &args.command {
        ConfigCommand::Show(args) => show(context, args)?,
        ConfigCommand::Schema => crate::output::json(&kedactl_config::schema())?,
    };
    context.printer.data(&text)?;
    Ok(Exit::Done)
}

fn show(context: &Context, args: &ConfigShowArgs) -> Result<String, Error> {
    let loaded = context.load(&args.layers)?;
    if context.json() {
        return crate::output::json(&loaded.to_json(args.origin));
    }
    Ok(loaded.to_text(args.origin))
}
