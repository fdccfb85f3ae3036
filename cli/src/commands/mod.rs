//! One file a verb: read the arguments, ask a library, turn the answer into text and an exit code.
//!
//! A command adapts; it must not decide.

mod alerts;
mod alerts_test;
mod bundle;
mod charts;
mod ci;
mod completions;
mod config;
mod doctor;
mod down;
mod images;
mod lint;
mod load;
pub(crate) mod local;
mod logs;
mod man;
mod place;
mod plan;
mod queue;
mod redis;
mod render;
mod status;
pub(crate) mod tunnel;
pub(crate) mod up;
mod verify;

use crate::args::Command;
use crate::context::Context;
use crate::error::{Code, Error, Exit};
use kedactl_plan::Control;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How long threads whose result nobody wants any more may hold up the end of the program.
const GIVEN_UP_WITHIN: Duration = Duration::from_secs(1);

/// Runs the command.
pub(crate) fn run(context: &Context, command: Command) -> Result<Exit, Error> {
    match command {
        Command::Up(args) => up::up(context, &args),
        Command::Plan(args) => plan::plan(context, &args),
        Command::Diff(args) => plan::diff(context, &args),
        Command::Down(args) => down::down(context, &args),
        Command::Status(args) => status::status(context, &args),
        Command::Ci(args) => ci::ci(context, &args),
        Command::Load(args) => load::load(context, &args),
        Command::Tunnel(args) => tunnel::tunnel(context, &args),
        Command::Logs(args) => logs::logs(context, &args),
        Command::Alerts(args) => alerts::alerts(context, args),
        Command::Queue(args) => queue::queue(context, args),
        Command::Images(args) => images::images(context, &args),
        Command::Bundle(args) => bundle::bundle(context, &args),
        Command::Charts(args) => charts::charts(context, &args),
        Command::Redis(args) => redis::redis(context, &args),
        Command::Doctor(args) => doctor::doctor(context, &args),
        Command::Render(args) => render::render(context, &args),
        Command::Lint(args) => lint::lint(context, &args),
        Command::Config(args) => config::config(context, &args),
        Command::Completions(args) => completions::completions(context, &args),
        Command::Man(args) => man::man(context, &args),
    }
}

/// Runs asynchronous work on one thread; the first SIGINT or SIGTERM ends it with its exit code.
fn block_on<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    use tokio::signal::unix::{SignalKind, signal};
    block_on_one_thread(async {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            result = work => result,
            _ = interrupt.recv() => Err(Error::new(Code::Interrupted, "interrupted")),
            _ = terminate.recv() => Err(Error::new(Code::Terminated, "told to end")),
        }
    })
}

/// Runs asynchronous work; the first SIGINT or SIGTERM only asks it to stop, the second ends it.
fn block_on_until_stopped<T>(
    stop: &CancellationToken,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    use tokio::signal::unix::{SignalKind, signal};
    block_on_one_thread(async {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut told = None;
        tokio::pin!(work);
        loop {
            let code = tokio::select! {
                result = &mut work => return result.map_err(|error| by_signal(error, told)),
                _ = interrupt.recv() => Code::Interrupted,
                _ = terminate.recv() => Code::Terminated,
            };
            if stop.is_cancelled() {
                return Err(Error::new(code, "ended before the accounting was done"));
            }
            told = Some(code);
            stop.cancel();
        }
    })
}

/// What work that was asked to stop ends with: the code of the signal that asked.
fn by_signal(error: Error, told: Option<Code>) -> Error {
    match told {
        Some(code) if error.code() == Code::Interrupted => error.recoded(code),
        _ => error,
    }
}

/// Runs a job of nodes; the first SIGINT or SIGTERM asks it to stop and waits for what was begun, the second breaks it off.
/// Before them, so many are let pass.
fn block_on_job<T>(
    control: &Control,
    mut spared: usize,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    use tokio::signal::unix::{SignalKind, signal};
    block_on_one_thread(async {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut told = None;
        tokio::pin!(work);
        loop {
            let code = tokio::select! {
                result = &mut work => return result.map_err(|error| by_signal(error, told)),
                _ = interrupt.recv() => Code::Interrupted,
                _ = terminate.recv() => Code::Terminated,
            };
            if spared > 0 {
                spared -= 1;
                continue;
            }
            told = Some(code);
            control.escalate();
        }
    })
}

fn block_on_one_thread<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let result = runtime.block_on(work);
    // A thread that still builds or sends an image was given up; what it writes is there whole or not at all.
    runtime.shutdown_timeout(GIVEN_UP_WITHIN);
    result
}
