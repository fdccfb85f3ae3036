//! Grammar of `lint`.
//!
//! Clap types only.

use clap::{Args, ValueEnum};
use std::path::PathBuf;

#[derive(Debug, Args)]
pub struct LintArgs {
    /// Manifests to check in place of the stack's own: YAML of any origin, `-` is standard input; may be repeated
    #[arg(short = 'f', long = "file", value_name = "FILE", num_args = 1.., conflicts_with_all = ["Settings", "values"])]
    pub files: Vec<PathBuf>,
    /// Lowest severity that is shown and fails the command
    #[arg(long, value_name = "LEVEL", default_value = "warning")]
    pub level: Level,
    /// Values file on top of the project's; may be repeated, later wins
    #[arg(long, value_name = "FILE", help_heading = "Configuration")]
    pub values: Vec<PathBuf>,
    #[command(flatten)]
    pub settings: super::Settings,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Level {
    /// Refused by the cluster, does not work, loses tasks, or gives a secret or the node away
    Error,
    /// A reviewer asks for it
    Warning,
    /// Worth knowing; often right as it is
    Note,
}
