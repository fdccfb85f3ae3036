//! `kedactl load`: what is asked becomes the library's options; what it found becomes text and an exit code.
//!
//! It must not measure or judge.

use super::{block_on, block_on_until_stopped};
use crate::args::{Arrivals, LoadArgs};
use crate::context::Context;
use crate::error::{Code, Error, Exit};
use crate::output::view;
use crate::running::{Running, StackObserver, queue_name};
use kedactl_load::{
    AuditOptions, ClientOptions, Hooks, Observe, Options, Outcome, RunId, RunResult, Schedule, Slo,
    Stage, Target, TaskTemplate, Verdict,
};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

pub(crate) fn load(context: &Context, args: &LoadArgs) -> Result<Exit, Error> {
    let slos = objectives(args)?;
    let run = run_id()?;
    let schedule = schedule(args)?;
    let result = match &args.url {
        Some(url) => {
            let target = plain_target(args, &run, url)?;
            let options = options(args, run, schedule, target);
            perform(context, options, kedactl_load::NoObserver)?
        }
        None => against_stack(context, args, run, schedule)?,
    };
    let verdict = kedactl_load::verdict(&result, &slos);
    report(context, args, &result, &verdict)
}

fn against_stack(
    context: &Context,
    args: &LoadArgs,
    run: RunId,
    schedule: Schedule,
) -> Result<RunResult, Error> {
    let running = Running::open(context)?;
    let queue = match &args.queue {
        Some(name) => queue_name(name)?,
        None => running.queue()?,
    };
    // Asked for on its own: what a connection needs to live ends with the runtime that it was opened in.
    let url = block_on(async { Running::open(context)?.api_url().await })?;
    let payload = serde_json::from_str(&args.payload)
        .map_err(|error| Error::new(Code::Usage, "--payload is not JSON").source(error))?;
    let task = TaskTemplate {
        queue: queue.to_string(),
        kind: args.kind.clone(),
        payload,
    };
    let target = Target::tasks(&run, &url, &task).map_err(usage)?;
    let mut options = options(args, run, schedule, target);
    let mut audit = AuditOptions::new(url, queue.to_string());
    audit.no_progress = args.drain_timeout;
    options.audit = Some(audit);
    options.wait_zero = args.wait_zero;
    perform(context, options, StackObserver::new(running, queue)?)
}

fn perform<O: Observe>(
    context: &Context,
    options: Options,
    observer: O,
) -> Result<RunResult, Error> {
    let (sender, receiver) = mpsc::channel(64);
    let stop = CancellationToken::new();
    let hooks = Hooks {
        observer,
        progress: Some(sender),
        stop: stop.clone(),
    };
    let screen = view::progress::Screen::start(context.printer, receiver, &options);
    let result = block_on_until_stopped(&stop, async {
        kedactl_load::run(options, hooks).await.map_err(internal)
    });
    screen.finish();
    result
}

fn objectives(args: &LoadArgs) -> Result<Vec<Slo>, Error> {
    let mut slos = Vec::new();
    for text in &args.slo {
        slos.extend(kedactl_load::parse_slos(text).map_err(usage)?);
    }
    Ok(slos)
}

fn schedule(args: &LoadArgs) -> Result<Schedule, Error> {
    let mut stages = Vec::new();
    for text in &args.stage {
        stages.extend(Stage::parse(text).map_err(usage)?);
    }
    if let Some(rps) = args.rps {
        stages.push(Stage::constant(rps, args.duration));
    }
    let arrivals = match args.arrivals {
        Arrivals::Poisson => kedactl_load::Arrivals::Poisson,
        Arrivals::Uniform => kedactl_load::Arrivals::Uniform,
    };
    Schedule::new(stages, arrivals, args.seed.unwrap_or_else(now_us)).map_err(usage)
}

fn plain_target(args: &LoadArgs, run: &RunId, url: &str) -> Result<Target, Error> {
    let body = args.body.as_deref().unwrap_or_default();
    let fallback = if body.is_empty() { "GET" } else { "POST" };
    let method = args.method.as_deref().unwrap_or(fallback);
    Target::http(run, method, url, &args.header, body).map_err(usage)
}

fn options(args: &LoadArgs, run: RunId, schedule: Schedule, target: Target) -> Options {
    let mut options = Options::new(run, schedule, target);
    options.client = ClientOptions {
        max_connections: args.connections,
        timeout: args.timeout,
        ..ClientOptions::default()
    };
    options
}

fn report(
    context: &Context,
    args: &LoadArgs,
    result: &RunResult,
    verdict: &Verdict,
) -> Result<Exit, Error> {
    let mut document = serde_json::to_value(result)
        .map_err(|error| Error::new(Code::Internal, "the result has no JSON form").source(error))?;
    document["verdict"] = serde_json::json!(verdict);
    if let Some(path) = &args.save {
        std::fs::write(path, crate::output::json(&document)?).map_err(|error| {
            Error::new(Code::Io, format!("{} could not be written", path.display())).source(error)
        })?;
    }
    let text = if context.json() {
        crate::output::json(&document)?
    } else {
        view::load::text(result, verdict)
    };
    context.printer.data(&text)?;
    let code = match verdict.outcome {
        Outcome::Passed => return Ok(Exit::Done),
        Outcome::Unreachable => Code::Unreachable,
        Outcome::AllFailed => Code::Failing,
        Outcome::AuditFailed => Code::TasksLost,
        Outcome::Unaccounted => Code::Internal,
        Outcome::GeneratorLimited => Code::GeneratorLimited,
        Outcome::SloMissed => Code::SloMissed,
        Outcome::Interrupted => Code::Interrupted,
    };
    Err(Error::new(code, verdict.reason.clone()))
}

fn usage(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(Code::Usage, error.to_string())
}

pub(super) fn internal(error: kedactl_load::LoadError) -> Error {
    Error::new(Code::Internal, "the load could not be generated").source(error)
}

pub(super) fn run_id() -> Result<RunId, Error> {
    format!("r{:x}-{:x}", now_us(), std::process::id())
        .parse()
        .map_err(usage)
}

/// Microseconds since the Unix epoch.
fn now_us() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.unwrap_or(Duration::ZERO).as_micros() as u64
}
