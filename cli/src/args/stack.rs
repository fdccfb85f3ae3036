//! Grammar of `up` and `down`.
//!
//! Clap types only.

use clap::{Args, ValueEnum};

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
    /// Write the events of this run to stdout, one JSON object a line
    #[arg(long, value_name = "FORM")]
    pub events: Option<Events>,
}

/// Form of the event stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Events {
    Jsonl,
}

#[derive(Debug, Args)]
pub struct DownArgs {
    /// Remove the data of Redis and the logs too
    #[arg(long)]
    pub purge: bool,
}
