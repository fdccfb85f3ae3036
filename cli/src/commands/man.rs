//! `kedactl man [DIR]`.
//!
//! It must not install anything: a folder is filled only where one is named.

use crate::args::ManArgs;
use crate::context::Context;
use crate::error::{Code, Error, Exit};
use crate::shipped::manual;
use std::path::Path;

pub(crate) fn man(context: &Context, args: &ManArgs) -> Result<Exit, Error> {
    let pages = manual();
    let Some(dir) = &args.dir else {
        let page = pages.first().map(|(_, page)| page.as_str());
        context.printer.data(page.unwrap_or_default())?;
        return Ok(Exit::Done);
    };
    let wrote = |path: &Path, result: std::io::Result<()>| {
        let refused = |error| {
            let message = format!("{} could not be written", path.display());
            Error::new(Code::Io, message).source(error)
        };
        result.map_err(refused)
    };
    wrote(dir, std::fs::create_dir_all(dir))?;
    for (name, page) in &pages {
        let path = dir.join(name);
        wrote(&path, std::fs::write(&path, page))?;
    }
    context
        .printer
        .say(&format!("{} pages in {}", pages.len(), dir.display()));
    Ok(Exit::Done)
}
