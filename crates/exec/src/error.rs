//! What can go wrong between asking for a process and its end.
//! Must not carry a secret: command lines are masked before they come here.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Why a program could not be run to a good end.
#[derive(Debug, thiserror::Error)]
pub enum ExecError {
    /// The program is in none of the places where it was looked for.
    #[error("program {program} not found")]
    Missing {
        /// Name as it was asked for.
        program: String,
    },
    /// The operating system refused to start it.
    #[error("could not start `{command}`")]
    Start {
        /// Command line, secrets masked.
        command: String,
        /// The refusal.
        source: io::Error,
    },
    /// It ran and ended with a failure.
    #[error("`{command}` ended with {status}{}", tail(stderr_tail))]
    Failed {
        /// Command line, secrets masked.
        command: String,
        /// "exit code 3" or "signal 9".
        status: String,
        /// Exit code, unless a signal ended it.
        code: Option<i32>,
        /// The last lines of its standard error, secrets masked.
        stderr_tail: String,
    },
    /// It did not end in time and was killed.
    #[error("`{command}` did not end within {within:?}")]
    TimedOut {
        /// Command line, secrets masked.
        command: String,
        /// The limit.
        within: Duration,
    },
    /// It was asked to end before it was done, and has ended.
    #[error("`{command}` was cancelled ({how})")]
    Cancelled {
        /// Command line, secrets masked.
        command: String,
        /// How it ended: "exit code 1", "signal 2", "not started".
        how: String,
    },
    /// What it should read could not be produced; it saw a cut input.
    #[error("could not produce the input of `{command}`")]
    Feed {
        /// Command line, secrets masked.
        command: String,
        /// Why.
        source: io::Error,
    },
    /// A signal could not be sent.
    #[error("could not signal process {pid}")]
    Signal {
        /// The process.
        pid: u32,
        /// The refusal.
        source: io::Error,
    },
    /// Its log file could not be opened.
    #[error("could not open log file {}", path.display())]
    Log {
        /// The file.
        path: PathBuf,
        /// The refusal.
        source: io::Error,
    },
}

fn tail(stderr: &str) -> String {
    if stderr.is_empty() {
        String::new()
    } else {
        format!(": {stderr}")
    }
}
