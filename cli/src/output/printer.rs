//! The only place that writes to stdout and stderr: stdout is data, everything else goes to stderr.
//!
//! It must not format domain values; it knows streams, colour and broken pipes.

use anstream::{AutoStream, ColorChoice};
use clap::ColorChoice as Choice;
use std::io::{self, IsTerminal as _, Write as _};

/// How much goes to stderr.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    Quiet,
    Default,
    Verbose,
}

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Bars and live views: stderr is a terminal.
    Live,
    /// One line an event.
    Lines,
    /// The log of GitHub Actions: a group a step, annotations for failures.
    Actions,
    /// The log of GitLab: a section a step.
    Sections,
    None,
}

/// Where a command's words go. Cheap to copy.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Printer {
    level: Level,
    progress: Progress,
    color: Choice,
}

impl Printer {
    /// Settles colour and progress from flags, the terminal and CI.
    pub(crate) fn new(global: &crate::args::Global, env: &crate::env::Env) -> Self {
        let terminal = io::stderr().is_terminal();
        let progress = if global.quiet {
            Progress::None
        } else if terminal && !global.no_progress && !env.ci && global.verbose == 0 {
            Progress::Live
        } else if env.github_actions {
            Progress::Actions
        } else if env.gitlab_ci {
            Progress::Sections
        } else {
            Progress::Lines
        };
        let level = match (global.quiet, global.verbose) {
            (true, _) => Level::Quiet,
            (_, 0) => Level::Default,
            _ => Level::Verbose,
        };
        Self {
            level,
            progress,
            color: global.color,
        }
    }

    /// For a background program, whose stderr is its log.
    pub(crate) fn plain() -> Self {
        Self {
            level: Level::Default,
            progress: Progress::None,
            color: Choice::Never,
        }
    }

    pub(crate) fn progress(self) -> Progress {
        self.progress
    }

    /// Whether stdout is a terminal, so that a live view may redraw it.
    pub(crate) fn stdout_is_terminal() -> bool {
        io::stdout().is_terminal()
    }

    /// Writes data to stdout, with a line end.
    ///
    /// # Errors
    /// The stream's own error; a broken pipe ends the program with exit code 0 further up.
    pub(crate) fn data(self, text: &str) -> io::Result<()> {
        let mut out = AutoStream::new(io::stdout(), self.choice(io::stdout().is_terminal()));
        out.write_all(text.as_bytes())?;
        if !text.ends_with('\n') {
            out.write_all(b"\n")?;
        }
        out.flush()
    }

    /// Writes a line for people to stderr, unless `--quiet`.
    pub(crate) fn say(self, text: &str) {
        if self.level > Level::Quiet {
            self.stderr(text);
        }
    }

    /// Writes an error to stderr, always.
    pub(crate) fn error(self, text: &str) {
        self.stderr(text);
    }

    fn stderr(self, text: &str) {
        let mut err = AutoStream::new(io::stderr(), self.choice(io::stderr().is_terminal()));
        // A closed stderr leaves nobody to tell.
        drop(writeln!(err, "{text}"));
    }

    fn choice(self, terminal: bool) -> ColorChoice {
        match self.color {
            Choice::Always => ColorChoice::Always,
            Choice::Auto if terminal => AutoStream::choice(&io::stdout()),
            Choice::Never | Choice::Auto => ColorChoice::Never,
        }
    }
}
