//! What a run came to, for people: a table in the log, and Markdown for the page of the run.
//!
//! It must not hide a phase that failed behind one that failed before it.

use super::{End, Ended, Folder, plain};
use crate::output::style;
use crate::output::table::Table;

/// Files that are worth a name in the log; the others lie beside them.
const NAMED: usize = 8;

/// The table for the log.
pub(crate) fn text(phases: &[Ended], folder: &Folder) -> String {
    let mut table = Table::default();
    for phase in phases {
        let mark = match phase.end {
            End::Passed => style::good("passed"),
            End::Failed(_) => style::bad("failed"),
            End::Skipped(_) => style::dim("skipped"),
        };
        let took = match phase.end {
            End::Skipped(_) => String::new(),
            _ => style::millis(phase.took.as_millis() as f64),
        };
        table.row([phase.phase.name().to_owned(), mark, took, phase.about()]);
    }
    let files = folder.files();
    let top: Vec<&str> = files
        .iter()
        .map(|it| it.split('/').next().unwrap_or(it))
        .fold(Vec::new(), |mut all, it| {
            if all.last() != Some(&it) {
                all.push(it);
            }
            all
        });
    let named = top[..top.len().min(NAMED)].join(", ");
    format!(
        "{}{} files in {}: {named}{}\n",
        table.text(),
        files.len(),
        folder.path().display(),
        if top.len() > NAMED { ", …" } else { "" }
    )
}

/// The page of the run.
pub(crate) fn markdown(stack: &str, phases: &[Ended]) -> String {
    let mut out = format!("## kedactl ci: {stack}\n\n| phase | | took | |\n|---|---|---|---|\n");
    for phase in phases {
        let took = match phase.end {
            End::Skipped(_) => String::new(),
            _ => plain(&style::millis(phase.took.as_millis() as f64)),
        };
        let about = cell(&phase.about());
        let (name, word) = (phase.phase.name(), phase.word());
        out += &format!("| {name} | {word} | {took} | {about} |\n");
    }
    for phase in phases {
        if let End::Failed(error) = &phase.end {
            let report = plain(&error.report());
            let name = phase.phase.name();
            out += &format!("\n**{name}**\n\n```text\n{}\n```\n", fenced(&report));
        }
    }
    out
}

/// One cell of a table: no line ends, no bars.
fn cell(text: &str) -> String {
    plain(text).replace('|', "\\|").replace('\n', " ")
}

/// Text that cannot end the fence around it.
fn fenced(text: &str) -> String {
    text.replace("```", "'''")
}
