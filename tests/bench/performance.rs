//! docs/performance.md: the figures of one run as a table.
//!
//! It must not add words about figures that were not measured in that run.

use crate::report::Report;
use std::fmt::Write as _;
use std::path::Path;

/// Writes the document.
pub(crate) fn write(path: &Path, report: &Report) -> anyhow::Result<()> {
    let mut text = String::from(
        "# Performance\n\nFigures of `cargo xtask bench --write docs/performance.md`, each beside a peer or a floor \
         measured in the same run. Compare ratios, not numbers: machines differ.\n\n\
         | figure | value | unit | peer or floor | its value | ratio | goal | |\n|---|---|---|---|---|---|---|---|\n",
    );
    for figure in report.figures() {
        let (peer, value, ratio) = figure.peer.as_ref().map_or_else(
            || ("–".to_owned(), "–".to_owned(), "–".to_owned()),
            |(name, value)| {
                (
                    name.clone(),
                    format!("{value:.4}"),
                    format!("{:.2}", figure.value / value),
                )
            },
        );
        let mark = if figure.ok() { "ok" } else { "short" };
        writeln!(
            text,
            "| {} | {:.4} | {} | {peer} | {value} | {ratio} | {} | {mark} |",
            figure.name, figure.value, figure.unit, figure.goal
        )?;
    }
    for note in report.notes() {
        writeln!(text, "\n{note}")?;
    }
    std::fs::write(path, text)?;
    Ok(())
}
