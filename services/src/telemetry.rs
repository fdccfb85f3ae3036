//! Logging to stderr, as text for people or as JSON for collectors.
//!
//! It must not print to stdout: that is data, and services have none.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;

use crate::settings::LogArgs;

/// Starts logging; a second call in one process changes nothing. Fails when the filter or format is not valid.
pub(crate) fn start(args: &LogArgs) -> Result<(), String> {
    let filter = EnvFilter::try_new(&args.log).map_err(|e| format!("`{}`: {e}", args.log))?;
    let json = match args.log_format.as_str() {
        "json" => true,
        "text" => false,
        "auto" => !std::io::stderr().is_terminal(),
        other => return Err(format!("`{other}` is not auto, text or json")),
    };
    let builder = fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = if json {
        // The innermost span alone: that is the task whose handler speaks.
        builder
            .json()
            .flatten_event(true)
            .with_span_list(false)
            .try_init()
    } else {
        builder.try_init()
    };
    if let Err(error) = started {
        tracing::debug!(%error, "logging had been started before");
    }
    Ok(())
}
