//! A run of CI around the other commands: its clock and signals, what each phase came to, and what is left of it as files.
//!
//! It must not do the work of a phase itself; `commands::ci` asks the commands.

mod cases;
mod folder;
mod junit;
mod summary;
mod timeline;
mod watch;

pub(crate) use cases::{Case, Recorder, Verdict, of_events};
pub(crate) use folder::{Folder, write};
pub(crate) use junit::report;
pub(crate) use summary::{markdown, text};
pub(crate) use timeline::Timeline;
pub(crate) use watch::{Told, Watch};

use crate::error::Error;
use serde::Serialize;
use std::time::Duration;

/// What a run consists of, in its order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Phase {
    Up,
    Verify,
    Load,
    Command,
    Artifacts,
    Down,
}

impl Phase {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Verify => "verify",
            Self::Load => "load",
            Self::Command => "command",
            Self::Artifacts => "artifacts",
            Self::Down => "down",
        }
    }
}

/// How a phase ended.
#[derive(Debug)]
pub(crate) enum End {
    Passed,
    Failed(Error),
    /// With the reason.
    Skipped(String),
}

/// A phase that ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) phase: Phase,
    pub(crate) end: End,
    pub(crate) took: Duration,
    /// One line for people.
    pub(crate) note: String,
    /// Its parts; where there are none, the phase itself is the one case.
    pub(crate) cases: Vec<Case>,
    /// What the command gave, as `-o json` has it.
    pub(crate) value: serde_json::Value,
}

impl Ended {
    /// As `run.json` has it.
    pub(crate) fn document(&self) -> serde_json::Value {
        let code = match &self.end {
            End::Failed(error) => Some(error.code().entry().code),
            _ => None,
        };
        serde_json::json!({
            "phase": self.phase, "end": self.word(), "took_ms": self.took.as_millis() as u64,
            "about": plain(&self.about()), "code": code, "value": self.value,
        })
    }

    pub(crate) fn failed(&self) -> bool {
        matches!(self.end, End::Failed(_))
    }

    pub(crate) fn word(&self) -> &'static str {
        match self.end {
            End::Passed => "passed",
            End::Failed(_) => "failed",
            End::Skipped(_) => "skipped",
        }
    }

    /// What is said about it: the note, the error, or why it was left out.
    pub(crate) fn about(&self) -> String {
        match &self.end {
            End::Passed => self.note.clone(),
            End::Failed(error) => error.to_string(),
            End::Skipped(reason) => reason.clone(),
        }
    }
}

/// Text without colours.
pub(crate) fn plain(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}
