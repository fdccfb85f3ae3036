//! What all `main` functions share: reading settings, starting logs and a runtime, and telling an error.
//!
//! It must not know what the process does.

use std::error::Error;
use std::ffi::OsString;
use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use crate::settings::{self, EXIT_CONFIG, LogArgs, SettingsError};
use crate::shutdown::Shutdown;
use crate::telemetry;

/// The `main` of a process that runs until a signal asks it to stop: settings, logs, a runtime of so many threads, the signals.
pub(crate) fn main<A: Parser, S, R: Future<Output = Result<(), String>>>(
    args: impl IntoIterator<Item = OsString>,
    resolve: impl FnOnce(&A) -> Result<S, SettingsError>,
    log: impl FnOnce(&A) -> &LogArgs,
    threads: impl FnOnce(&S) -> usize,
    run: impl FnOnce(S, Shutdown) -> R,
) -> ExitCode {
    let settings = match settings(args, resolve, log) {
        Ok(settings) => settings,
        Err(code) => return code,
    };
    block_on(threads(&settings), async {
        let shutdown = Shutdown::default();
        shutdown
            .listen()
            .map_err(|e| format!("cannot listen for signals: {e}"))?;
        run(settings, shutdown).await
    })
}

/// Returns the checked settings of this process with logging started, or tells the user what is wrong and
/// returns the exit code.
fn settings<A: Parser, S>(
    args: impl IntoIterator<Item = OsString>,
    resolve: impl FnOnce(&A) -> Result<S, SettingsError>,
    log: impl FnOnce(&A) -> &LogArgs,
) -> Result<S, ExitCode> {
    let args = settings::parse::<A>(args).map_err(|(error, code)| {
        // Nobody is left to be told when the terminal is gone.
        drop(error.print());
        ExitCode::from(code)
    })?;
    let checked = resolve(&args).map_err(|e| bad(&e.to_string()))?;
    telemetry::start(log(&args)).map_err(|e| bad(&format!("bad setting\n  `--log`: {e}")))?;
    Ok(checked)
}

/// Runs the future on a runtime of so many threads; an error is logged and is exit code 1.
fn block_on(threads: usize, main: impl Future<Output = Result<(), String>>) -> ExitCode {
    let mut builder = if threads == 1 {
        tokio::runtime::Builder::new_current_thread()
    } else {
        tokio::runtime::Builder::new_multi_thread()
    };
    if threads > 1 {
        builder.worker_threads(threads);
    }
    let runtime = match builder.enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return bad(&format!("cannot start threads: {error}")),
    };
    let ended = runtime.block_on(main);
    runtime.shutdown_timeout(Duration::from_millis(100));
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error, "stopped");
            ExitCode::FAILURE
        }
    }
}

/// Returns an error with its causes in one line.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}

fn bad(text: &str) -> ExitCode {
    // Logging may not run yet; a closed stderr is no reason to fail differently.
    drop(writeln!(std::io::stderr(), "error: {text}"));
    ExitCode::from(EXIT_CONFIG)
}
