//! The end of `kedactl up --verify`: the platform proves itself with tasks of its own and a fail-over.
//!
//! It must not judge: the proof does.

use super::{block_on, block_on_until_stopped};
use crate::context::Context;
use crate::error::{Code, Error};
use crate::output::{Readers, follow};
use crate::running::{Running, StackObserver};
use kedactl_config::{Config, QueueKind};
use kedactl_load::{Fault, Phase, Progress, Proof, Proven, prove};
use kedactl_plan::Step;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// What the way back to zero may take beyond the autoscaler's own clocks.
const SLACK: Duration = Duration::from_mins(2);

/// Refuses before anything is done where nothing could be proven at the end.
pub(super) fn possible(config: &Config) -> Result<(), Error> {
    if config.queue.kind == QueueKind::Kedactl {
        return Ok(());
    }
    let message = "--verify sends tasks of its own, and the queue belongs to another library";
    Err(Error::new(Code::Usage, message).hint("leave --verify out"))
}

/// Runs the proof on the stack `name`, which is up.
pub(super) fn verify(
    context: &Context,
    name: &str,
    config: &Config,
    readers: Readers,
) -> Result<Proven, Error> {
    let find = || {
        let found = Running::find(context, name)?;
        found.ok_or_else(|| Error::new(Code::NoStack, format!("stack {name} is gone")))
    };
    let running = find()?;
    let queue = running.queue()?;
    // Each runtime needs connections of its own.
    let url = block_on(async { find()?.api_url().await })?;
    let proof = Proof {
        run: super::load::run_id()?,
        api_url: url,
        queue: queue.to_string(),
        idle_workers: idle_workers(config),
        back_within: back_within(config),
    };
    let observer = StackObserver::new(running, queue)?;
    let stop = CancellationToken::new();
    follow(context.printer, readers, |sink| {
        let step = Step::start(sink, "verify", "proof");
        let (sender, mut receiver) = mpsc::channel(64);
        let told = async {
            let mut last = String::new();
            while let Some(progress) = receiver.recv().await {
                tell(&step, &progress, &mut last);
            }
        };
        let proven = block_on_until_stopped(&stop, async {
            let fault = (config.redis.sentinels > 0).then(|| fail_over(find()));
            let proven = prove(&proof, observer, fault, Some(sender), stop.clone());
            let (proven, ()) = tokio::join!(Box::pin(proven), told);
            proven.map_err(super::load::internal)
        });
        match &proven {
            Ok(proven) if proven.failures.is_empty() => step.done("proven", false),
            Ok(proven) => step.failed(&Error::new(Code::Check, proven.failures.join("; ")), None),
            Err(error) => step.failed(error, None),
        }
        proven
    })
}

async fn fail_over(running: Result<Running, Error>) -> Result<Fault, String> {
    let moved = match running {
        Ok(running) => running.fail_over().await,
        Err(error) => Err(error),
    };
    let moved = moved.map_err(|error| format!("the fail-over did not happen: {error}"))?;
    Ok(Fault {
        what: format!("fail-over from {} to {}", moved.from, moved.to),
        took_ms: moved.took_ms,
    })
}

/// Tells what is new; the count of tasks alone is not.
fn tell(step: &Step<'_>, progress: &Progress, last: &mut String) {
    let workers = progress.sample.as_ref().map_or(0, |it| it.workers.ready);
    let note = match progress.phase {
        Phase::Sending => format!("{workers} workers"),
        Phase::Finishing | Phase::Draining => format!("{workers} workers finish"),
        Phase::WaitingForZero => format!("{workers} workers, on the way back to zero"),
        Phase::Done => return,
    };
    if note == *last {
        return;
    }
    last.clone_from(&note);
    let finished = progress.finished.unwrap_or_default();
    step.progress(finished, progress.acknowledged, note);
}

/// Workers that stay when there is nothing to do.
fn idle_workers(config: &Config) -> u32 {
    let scaling = &config.worker.autoscaling;
    scaling.idle_replicas.unwrap_or(scaling.min_replicas)
}

fn back_within(config: &Config) -> Duration {
    let scaling = &config.worker.autoscaling;
    let window = scaling.behavior.scale_down.stabilization_window_seconds;
    let seconds = scaling.cooldown_period + scaling.polling_interval + window;
    Duration::from_secs(seconds.into()) + SLACK
}

/// The error of a proof that failed; `None` where everything is proven.
pub(super) fn failure(proven: &Proven) -> Option<Error> {
    if proven.failures.is_empty() {
        return None;
    }
    Some(Error::new(Code::Check, proven.failures.join("; ")))
}
