//! `kedactl load`: what is asked becomes the library's options; what it found becomes text and an exit code.
//!
//! It must not measure or judge.

use super::{block_on, block_on_until_stopped};
use crate::args::{Arrivals, LoadArgs, Shape};
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

/// What a load found, and what is to be thought of it.
#[derive(Debug)]
pub(super) struct Judged {
    pub(super) result: RunResult,
    pub(super) verdict: Verdict,
}

pub(crate) fn load(context: &Context, args: &LoadArgs) -> Result<Exit, Error> {
    let client = ClientOptions {
        max_connections: args.connections,
        timeout: args.timeout,
        ..ClientOptions::default()
    };
    let judged = if let Some(url) = &args.url {
        let asked = Asked::of(&args.shape)?;
        let target = plain_target(args, &asked.run, url)?;
        let mut options = Options::new(asked.run, asked.schedule, target);
        options.client = client;
        let result = perform(context, options, kedactl_load::NoObserver)?;
        judged(result, &asked.slos)
    } else {
        let open = || Running::open(context);
        on_stack(context, open, &args.shape, args.queue.as_deref(), client)?
    };
    report(context, args, &judged)
}

/// Whether the load that is asked for can be meant at all.
pub(super) fn check(shape: &Shape) -> Result<(), Error> {
    Asked::of(shape)?;
    payload(shape).map(drop)
}

/// Loads a stack. It is opened by the caller's word, once for each runtime that needs connections of its own.
pub(super) fn on_stack(
    context: &Context,
    open: impl Fn() -> Result<Running, Error>,
    shape: &Shape,
    queue: Option<&str>,
    client: ClientOptions,
) -> Result<Judged, Error> {
    let asked = Asked::of(shape)?;
    let running = open()?;
    let queue = match queue {
        Some(name) => queue_name(name)?,
        None => running.queue()?,
    };
    // Asked for on its own: what a connection needs to live ends with the runtime that it was opened in.
    let url = block_on(async { open()?.api_url().await })?;
    let task = TaskTemplate {
        queue: queue.to_string(),
        kind: shape.kind.clone(),
        payload: payload(shape)?,
    };
    let target = Target::tasks(&asked.run, &url, &task).map_err(usage)?;
    let mut options = Options::new(asked.run, asked.schedule, target);
    options.client = client;
    let mut audit = AuditOptions::new(url, queue.to_string());
    audit.no_progress = shape.drain_timeout;
    options.audit = Some(audit);
    options.wait_zero = shape.wait_zero;
    let result = perform(context, options, StackObserver::new(running, queue)?)?;
    Ok(judged(result, &asked.slos))
}

fn judged(result: RunResult, slos: &[Slo]) -> Judged {
    let verdict = kedactl_load::verdict(&result, slos);
    Judged { result, verdict }
}

/// What the command line asks for, read.
struct Asked {
    run: RunId,
    schedule: Schedule,
    slos: Vec<Slo>,
}

impl Asked {
    fn of(shape: &Shape) -> Result<Self, Error> {
        Ok(Self {
            slos: objectives(shape)?,
            run: run_id()?,
            schedule: schedule(shape)?,
        })
    }
}

fn payload(shape: &Shape) -> Result<serde_json::Value, Error> {
    serde_json::from_str(&shape.payload)
        .map_err(|error| Error::new(Code::Usage, "--payload is not JSON").source(error))
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

fn objectives(args: &Shape) -> Result<Vec<Slo>, Error> {
    let mut slos = Vec::new();
    for text in &args.slo {
        slos.extend(kedactl_load::parse_slos(text).map_err(usage)?);
    }
    Ok(slos)
}

fn schedule(args: &Shape) -> Result<Schedule, Error> {
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

fn report(context: &Context, args: &LoadArgs, judged: &Judged) -> Result<Exit, Error> {
    let document = judged.document()?;
    if let Some(path) = &args.save {
        crate::ci::write(path, &crate::output::json(&document)?)?;
    }
    let text = if context.json() {
        crate::output::json(&document)?
    } else {
        judged.text()
    };
    context.printer.data(&text)?;
    judged.failure().map_or(Ok(Exit::Done), Err)
}

impl Judged {
    /// The result with its verdict, as `-o json` has it.
    pub(super) fn document(&self) -> Result<serde_json::Value, Error> {
        let mut document = serde_json::to_value(&self.result).map_err(|error| {
            Error::new(Code::Internal, "the result has no JSON form").source(error)
        })?;
        document["verdict"] = serde_json::json!(self.verdict);
        Ok(document)
    }

    pub(super) fn text(&self) -> String {
        view::load::text(&self.result, &self.verdict)
    }

    /// The error of a load that is not as it should be.
    pub(super) fn failure(&self) -> Option<Error> {
        let code = code(self.verdict.outcome)?;
        Some(Error::new(code, self.verdict.reason.clone()))
    }
}

fn code(outcome: Outcome) -> Option<Code> {
    Some(match outcome {
        Outcome::Passed => return None,
        Outcome::Unreachable => Code::Unreachable,
        Outcome::AllFailed => Code::Failing,
        Outcome::AuditFailed => Code::TasksLost,
        Outcome::Unaccounted => Code::Internal,
        Outcome::GeneratorLimited => Code::GeneratorLimited,
        Outcome::SloMissed => Code::SloMissed,
        Outcome::Interrupted => Code::Interrupted,
    })
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
