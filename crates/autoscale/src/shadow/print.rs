//! The report for a reader: one line a change, the quiet stretches between them in one line each.
//!
//! Must not leave out a step that is not equal.

use std::fmt;

use super::report::{Change, Comparison, Controller, Counts, Report, Step, Verdict};
use crate::time::Timestamp;

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let length = self.end.secs_since(self.start);
        writeln!(f, "{} for {length} s: {}", self.namespace, self.counts())?;
        for comparison in &self.comparisons {
            comparison.print(self.start, f)?;
        }
        list(
            f,
            "written by a controller, decided by none",
            &self.unclaimed,
            self.start,
        )?;
        list(f, "written by others", &self.foreign, self.start)?;
        for sentence in &self.unread {
            writeln!(f, "not compared: {sentence}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            seen,
            unseen,
            changes,
            equal,
            different,
            ..
        } = self;
        write!(
            f,
            "{} decisions ({seen} seen, {unseen} without a trace, {changes} changes of size), {equal} equal",
            self.compared()
        )?;
        for (cause, count) in &self.within {
            write!(f, ", {count} explained ({})", cause.phrase())?;
        }
        write!(f, ", {different} different")
    }
}

impl Comparison {
    fn print(&self, start: Timestamp, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let controller = match self.controller {
            Controller::Hpa => "HPA",
            Controller::Keda => "ScaledObject",
        };
        let sizes: Vec<String> = self.sizes().iter().map(ToString::to_string).collect();
        writeln!(
            f,
            "\n{controller} {} on {}: {}\n  {}",
            self.object,
            self.target,
            sizes.join(" "),
            self.counts()
        )?;
        let mut quiet: Vec<&Step> = Vec::new();
        for step in &self.steps {
            let loud = step.real != step.current || step.verdict != Verdict::Equal;
            let goes_on = quiet
                .first()
                .is_none_or(|it| it.reading == step.reading && it.current == step.current);
            if loud || !goes_on {
                flush(&mut quiet, start, f)?;
            }
            if loud {
                step.print(start, f)?;
            } else {
                quiet.push(step);
            }
        }
        flush(&mut quiet, start, f)
    }
}

impl Step {
    fn print(&self, start: Timestamp, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let predicted: Vec<String> = self.predicted.iter().map(ToString::to_string).collect();
        let size = if self.real == self.current {
            format!("{} stays", self.current)
        } else {
            format!("{} → {}", self.current, self.real)
        };
        write!(
            f,
            "  {} {size:<9} read {:<18} predicted {}",
            clock(self.at, start),
            self.reading,
            predicted.join(" or ")
        )?;
        match &self.verdict {
            Verdict::Equal => writeln!(f),
            Verdict::Within(cause) => writeln!(f, "  ({})", cause.phrase()),
            Verdict::Different(what) => writeln!(f, "\n    DIFFERENT: {what}"),
        }
    }
}

/// Writes steps that changed nothing as one line.
fn flush(quiet: &mut Vec<&Step>, start: Timestamp, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if let (Some(first), Some(last)) = (quiet.first(), quiet.last()) {
        let until = if quiet.len() > 1 {
            format!(
                ", {} times until {}",
                quiet.len(),
                clock(last.at, start).trim_start()
            )
        } else {
            String::new()
        };
        writeln!(
            f,
            "  {} {:<9} read {}{until}",
            clock(first.at, start),
            format!("{} stays", first.current),
            first.reading
        )?;
    }
    quiet.clear();
    Ok(())
}

fn list(
    f: &mut fmt::Formatter<'_>,
    title: &str,
    changes: &[Change],
    start: Timestamp,
) -> fmt::Result {
    for it in changes {
        writeln!(
            f,
            "{title}: {} {} {} → {} ({})",
            clock(it.at, start).trim_start(),
            it.target,
            it.from,
            it.to,
            it.writer
        )?;
    }
    Ok(())
}

/// Seconds since the start of the recording.
fn clock(at: Timestamp, start: Timestamp) -> String {
    let tenths = (at.as_micros() - start.as_micros()).div_euclid(100_000);
    format!(
        "{:>7} s",
        format!("{}.{}", tenths.div_euclid(10), tenths.rem_euclid(10))
    )
}
