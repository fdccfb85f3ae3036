//! Everything that reaches a screen: the printer, the readers of an event stream, and the views of results.
//!
//! Nothing here may ask a library for anything; values come in, text goes out.

mod bars;
mod events;
mod groups;
mod heart;
mod lines;
mod printer;
pub(crate) mod style;
pub(crate) mod table;
pub(crate) mod view;

pub use events::events_schema;
pub(crate) use events::{Reader, Readers, follow};
pub(crate) use groups::annotation;
pub(crate) use printer::{Printer, Progress};

use tracing_subscriber::EnvFilter;

/// Our own parts, at a level that is good for reports.
const OURS: &str = "warn,kedactl=debug,kedactl_images=debug,kedactl_local=debug,kedactl_load=debug,kedactl_queue=debug,kedactl_tunnel=debug,kedactl_tools=debug,kedactl_stack=debug,kedactl_cluster=debug";

/// Sends the libraries' own log to stderr with `-vv`, and everything that any library says with `-vvv`; without it they
/// are silent.
pub(crate) fn log(global: &crate::args::Global) {
    match global.verbose {
        0 | 1 => {}
        2 => subscribe(OURS, true),
        _ => subscribe("trace", true),
    }
}

/// Keeps what `-vv` would show in a file, unless it is shown.
pub(crate) fn log_to_file(global: &crate::args::Global, file: std::fs::File) {
    if global.verbose < 2 {
        tracing_subscriber::fmt()
            .with_env_filter(EnvFilter::new(OURS))
            .with_writer(std::sync::Mutex::new(file))
            .with_ansi(false)
            .init();
    }
}

/// Sends a background program's log to its stderr, which is a file.
pub(crate) fn log_of_helper() {
    subscribe("warn", false);
}

fn subscribe(filter: &str, color: bool) {
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(filter))
        .with_writer(std::io::stderr)
        .with_ansi(color && std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .init();
}

/// A JSON document for stdout.
pub(crate) fn json(value: &impl serde::Serialize) -> Result<String, crate::error::Error> {
    serde_json::to_string_pretty(value).map_err(|error| {
        crate::error::Error::new(crate::error::Code::Internal, "a result has no JSON form")
            .source(error)
    })
}
