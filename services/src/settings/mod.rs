//! Settings of both binaries: flags and environment variables of the same names, checked together.
//!
//! It must not connect to anything; the only files it reads are those that a setting names.

mod api;
mod problems;
mod redis;
mod serving;
mod tracing;
mod webhook;
mod worker;

pub use api::{ApiArgs, ApiSettings, Limits};
pub use problems::{Problems, SettingProblem, SettingsError};
pub use redis::RedisArgs;
pub use serving::ServingArgs;
pub(crate) use tracing::Protocol;
pub use tracing::{TraceArgs, TraceSettings};
pub use webhook::{WebhookArgs, WebhookSettings};
pub use worker::{HandlerSettings, WorkerArgs, WorkerSettings};

use std::ffi::OsString;

use clap::Parser;
use clap::error::ErrorKind;

/// Exit code for a flag that does not exist or lacks its value.
pub const EXIT_USAGE: u8 = 64;
/// Exit code for values that cannot work.
pub const EXIT_CONFIG: u8 = 65;

/// How the process logs; shared by both binaries.
#[derive(Debug, Clone, clap::Args)]
pub struct LogArgs {
    /// What to log: a level, or directives such as `info,task=debug`, which tells every step of every task
    #[arg(
        long,
        env = "KEDACTL_LOG",
        default_value = "info",
        value_name = "FILTER"
    )]
    pub log: String,
    /// How to log: `text`, `json`, or `auto` (text on a terminal, else JSON)
    #[arg(
        long,
        env = "KEDACTL_LOG_FORMAT",
        default_value = "auto",
        value_name = "FORMAT"
    )]
    pub log_format: String,
}

/// Returns the parsed arguments, or the text to print and the exit code: 0 for `--help` and
/// `--version`, [`EXIT_USAGE`] otherwise.
pub fn parse<A: Parser>(args: impl IntoIterator<Item = OsString>) -> Result<A, (clap::Error, u8)> {
    A::try_parse_from(args).map_err(|error| {
        let code = match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => 0,
            _ => EXIT_USAGE,
        };
        (error, code)
    })
}
