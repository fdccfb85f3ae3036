//! Grammar of `alerts`.
//!
//! Clap types only.

use clap::{Args, Subcommand};
use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, Args)]
pub struct AlertsArgs {
    #[command(subcommand)]
    pub command: AlertsCommand,
}

#[derive(Debug, Subcommand)]
pub enum AlertsCommand {
    /// List groups of alerts that a chat is not shown yet, and why
    Ls {
        /// Most groups to show
        #[arg(short = 'n', long, value_name = "N", default_value_t = 50)]
        limit: u32,
    },
    /// Try dead groups again, and those that wait for a chat that takes nothing
    Retry {
        /// Groups, as `alerts ls` names them (default: all)
        #[arg(value_name = "GROUP")]
        groups: Vec<String>,
    },
    /// Forget groups: what is not shown of them will not be
    Drop {
        /// Groups, as `alerts ls` names them
        #[arg(value_name = "GROUP", required_unless_present = "dead")]
        groups: Vec<String>,
        /// All dead ones
        #[arg(long, conflicts_with = "groups")]
        dead: bool,
    },
    /// Print a notification of Alertmanager as a chat would be shown it
    Render(AlertsRenderArgs),
    /// Send an alert of its own through Alertmanager to the chats, let it end, and say how long both took
    Test(AlertsTestArgs),
}

#[derive(Debug, Args)]
pub struct AlertsRenderArgs {
    /// The notification, as Alertmanager posts it; `-` is standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Route whose template is taken
    #[arg(long, value_name = "NAME", default_value = "default")]
    pub route: String,
    #[command(flatten)]
    pub layers: super::Layers,
}

#[derive(Debug, Args)]
pub struct AlertsTestArgs {
    /// Severity of the alert, by which Alertmanager may choose its way
    #[arg(long, value_name = "WORD", default_value = "info")]
    pub severity: String,
    /// How long each of the two may take
    #[arg(long, value_name = "TIME", default_value = "90s", value_parser = super::load::duration)]
    pub within: Duration,
}
