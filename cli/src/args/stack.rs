//! Grammar of `up` and `down`.
//!
//! Clap types only.

use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// Where a stack runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Provider {
    /// The recorded stack's provider, else local
    Auto,
    /// Supervised processes on this machine, scaled by the rendered manifests
    Local,
}

#[derive(Debug, Args)]
pub struct UpArgs {
    #[command(flatten)]
    pub layers: super::Layers,
    /// Where the stack runs
    #[arg(long, value_name = "PROVIDER", default_value = "auto")]
    pub provider: Provider,
    /// How long to wait until everything is ready
    #[arg(long, value_name = "TIME", default_value = "90s", value_parser = super::load::duration)]
    pub timeout: std::time::Duration,
    #[command(flatten)]
    pub stream: EventsArgs,
}

/// The event stream of a long job.
#[derive(Debug, Args)]
pub struct EventsArgs {
    /// Write what happens as JSON, one object a line: `jsonl` to stderr in place of progress, `jsonl=FILE` to a file beside it
    #[arg(long, value_name = "jsonl[=FILE]", value_parser = events)]
    pub events: Option<Events>,
}

/// Where the event stream goes: to a file, or to stderr.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Events {
    pub file: Option<PathBuf>,
}

fn events(text: &str) -> Result<Events, String> {
    let file = match text.strip_prefix("jsonl") {
        Some("") => None,
        Some(rest) if rest.len() > 1 && rest.starts_with('=') => Some(PathBuf::from(&rest[1..])),
        _ => return Err("the only form is jsonl, or jsonl=FILE".to_owned()),
    };
    Ok(Events { file })
}

#[derive(Debug, Args)]
pub struct DownArgs {
    /// Remove the data of Redis and the logs too
    #[arg(long)]
    pub purge: bool,
    #[command(flatten)]
    pub stream: EventsArgs,
}
