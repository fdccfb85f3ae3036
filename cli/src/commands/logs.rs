//! `kedactl logs`.
//!
//! It must not hold a file open that was rotated away.

use super::block_on;
use crate::args::LogsArgs;
use crate::context::Context;
use crate::error::{Code, Error, Exit};
use crate::stack::Stack;
use crate::tail::{Tail, names};
use std::collections::BTreeMap;
use std::time::Duration;

const EVERY: Duration = Duration::from_millis(200);

pub(crate) fn logs(context: &Context, args: &LogsArgs) -> Result<Exit, Error> {
    let stack = Stack::open(context)?;
    let folder = stack.layout.dir().join("logs");
    let mut tails = BTreeMap::new();
    let found = names(&folder, &args.services)?;
    if found.is_empty() && !args.follow {
        let wanted = args.services.join(", ");
        return Err(
            Error::new(Code::NoTask, format!("no log matches `{wanted}`"))
                .hint("`kedactl status` lists the processes by name and role"),
        );
    }
    for name in found {
        let (lines, tail) = Tail::open(&stack.layout.log(&name), args.lines)?;
        show(context, &name, &lines)?;
        tails.insert(name, tail);
    }
    if !args.follow {
        return Ok(Exit::Done);
    }
    block_on(async {
        let mut beat = tokio::time::interval(EVERY);
        loop {
            beat.tick().await;
            for name in names(&folder, &args.services)? {
                let tail = tails
                    .entry(name.clone())
                    .or_insert_with(|| Tail::from_start(&stack.layout.log(&name)));
                show(context, &name, &tail.more())?;
            }
        }
    })
}

fn show(context: &Context, name: &str, lines: &[String]) -> Result<(), Error> {
    if lines.is_empty() {
        return Ok(());
    }
    let line = |text: &String| {
        if context.json() {
            serde_json::json!({"process": name, "line": text}).to_string()
        } else {
            format!(
                "{} {text}",
                crate::output::style::dim(&format!("{name:<16}"))
            )
        }
    };
    let text: Vec<String> = lines.iter().map(line).collect();
    Ok(context.printer.data(&text.join("\n"))?)
}
