//! The `kedactl` command line: grammar, terminal and wiring.
//!
//! Law: it knows the user and decides nothing about stacks. A command reads its arguments, asks a library crate,
//! and turns the answer into text and an exit code; nothing depends on this crate but tests and `cargo xtask gen`.

pub mod args;
mod ci;
mod commands;
mod context;
mod env;
pub mod error;
mod life;
mod output;
mod reference;
mod running;
pub mod shipped;
mod status;
mod tail;

pub use output::events_schema;
pub use reference::reference;

use clap::CommandFactory as _;
use context::Context;
use error::{Error, Exit};
use output::Printer;
use std::process::ExitCode;

/// Parses the command line, runs the command and reports its error.
pub fn main_impl() -> ExitCode {
    let words = env::args();
    if let Some(result) = commands::local::run(&words).or_else(|| commands::tunnel::run(&words)) {
        return result.map_or_else(
            |error| ExitCode::from(error.exit() as u8),
            |exit| ExitCode::from(exit as u8),
        );
    }
    let cli = match args::Cli::read(words) {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    let env = env::Env::read();
    let printer = Printer::new(&cli.global, &env);
    output::log(&cli.global);
    let context = Context::new(cli.global, env, printer);
    match commands::run(&context, cli.command) {
        Ok(exit) => ExitCode::from(exit as u8),
        Err(error) => finish(printer, &error),
    }
}

/// The grammar, for completions and the generated reference.
pub fn grammar() -> clap::Command {
    args::Cli::command()
}

fn finish(printer: Printer, error: &Error) -> ExitCode {
    if error.is_broken_pipe() {
        return ExitCode::SUCCESS;
    }
    printer.error(&error.report());
    ExitCode::from(error.exit() as u8)
}

/// Prints clap's own text: help and version are data (exit 0), a mistake is exit 64.
fn usage(error: &clap::Error) -> ExitCode {
    // Nobody is left to tell when the stream is closed.
    drop(error.print());
    let exit = if error.use_stderr() {
        Exit::Usage
    } else {
        Exit::Done
    };
    ExitCode::from(exit as u8)
}
