//! One run from the first due time to the last accounted task.
//!
//! It must not judge the result.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};
use tokio_util::sync::CancellationToken;

use crate::audit::follow::{self, SharedTracker};
use crate::audit::{AuditSource, AuditSummary, HttpAudit};
use crate::clock::Clock;
use crate::http::Connector;
use crate::observe::Observe;
use crate::options::Options;
use crate::progress::{Phase, Progress};
use crate::result::{Abort, RunResult};
use crate::sender::Connect;
use crate::target::TargetError;

mod beside;
mod conclude;
mod threads;

use beside::{Beside, SharedTimeline, lock};
use threads::Threads;

/// How long tasks that were acknowledged before the user stopped the run may take to end.
const DRAIN_STOPPED: Duration = Duration::from_secs(5);

/// What a run is given besides its options.
#[derive(Debug)]
pub struct Hooks<O> {
    pub observer: O,
    /// One snapshot a second; a full channel drops the snapshot, never delays the run.
    pub progress: Option<mpsc::Sender<Progress>>,
    /// Cancelled by the user: the schedule stops, the accounting is finished, the result is returned.
    pub stop: CancellationToken,
}

/// A run that could not start or broke.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("the audit cannot be asked")]
    Audit { source: TargetError },
    #[error("the target cannot be asked")]
    Target(#[from] TargetError),
    #[error("the schedule is empty")]
    Schedule(#[from] crate::ScheduleError),
    #[error("a generator thread could not start")]
    Thread { source: std::io::Error },
    #[error("a generator thread ended early")]
    ThreadDied,
}

/// Time between the start of the threads and the first due time: connections are opened in it.
const LEAD: Duration = Duration::from_millis(100);

/// Runs the schedule over HTTP and returns its result; a target that is dead is a result, not an error.
pub async fn run<O: Observe>(options: Options, hooks: Hooks<O>) -> Result<RunResult, LoadError> {
    let source = options
        .audit
        .as_ref()
        .map(|audit| HttpAudit::new(audit, &options.run));
    let source = source
        .transpose()
        .map_err(|source| LoadError::Audit { source })?;
    let connect = Connector::new(options.target.clone());
    run_with(options, hooks, connect, source).await
}

/// The same over any connections and any source of audit records.
pub async fn run_with<C: Connect, S: AuditSource, O: Observe>(
    options: Options,
    hooks: Hooks<O>,
    connect: C,
    source: Option<S>,
) -> Result<RunResult, LoadError> {
    let clock = Clock::starting_in(LEAD.as_nanos() as u64);
    let cpu = crate::machine::CpuTicks::read();
    let mut threads = Threads::start(&options, clock, &connect)?;
    let mut beside = Beside::start(
        clock,
        hooks.observer,
        threads.tracker(&options),
        source,
        &options,
    );
    let mut run = Run {
        clock,
        progress: hooks.progress,
        stop: hooks.stop,
        aborted: None,
        timeline: beside.timeline(),
        tracker: beside.tracker(),
    };
    run.send(&mut threads, &options).await?;
    let audit = run.drain(&mut threads, &mut beside, &options).await;
    run.wait_for_zero(&threads, &options).await;
    run.tell(&threads, Phase::Done, &options);
    beside.stop();
    let machine = crate::machine::CpuTicks::read().and_then(|now| now.since(cpu?));
    Ok(run.conclude(threads, &options, audit, machine))
}

struct Run {
    clock: Clock,
    progress: Option<mpsc::Sender<Progress>>,
    stop: CancellationToken,
    aborted: Option<Abort>,
    timeline: SharedTimeline,
    tracker: Option<SharedTracker>,
}

impl Run {
    /// From the first due time until every sender has closed its books.
    async fn send(&mut self, threads: &mut Threads, options: &Options) -> Result<(), LoadError> {
        let mut ticks = self.ticks();
        loop {
            tokio::select! {
                biased;
                report = threads.reports.recv() => match report {
                    Some(report) => threads.collector.take(&report),
                    None => break,
                },
                () = self.stop.cancelled(), if self.aborted.is_none() => {
                    self.aborted = Some(Abort::Interrupted);
                    threads.gate.stop();
                }
                _ = ticks.tick() => self.look_around(threads, options),
            }
        }
        self.note_the_end(threads);
        if threads.collector.is_complete() {
            Ok(())
        } else {
            Err(LoadError::ThreadDied)
        }
    }

    /// One tick a second, a little after the senders have closed their pages.
    fn ticks(&self) -> tokio::time::Interval {
        let into = Duration::from_nanos(self.clock.now_ns() % 1_000_000_000);
        let first = Instant::now() + LEAD + Duration::from_millis(1_050) - into.min(LEAD);
        let mut ticks = interval_at(first, Duration::from_secs(1));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks
    }

    fn look_around(&mut self, threads: &mut Threads, options: &Options) {
        self.note_the_end(threads);
        let total = threads.collector.total();
        let failed = total.connect_error + total.reset;
        let patience = options
            .abort_unreachable_after
            .map_or(f64::INFINITY, |d| d.as_secs_f64());
        let dead = total.answered() == 0 && failed > 0 && self.elapsed_s() > patience;
        if dead && self.aborted.is_none() {
            self.aborted = Some(Abort::Unreachable);
            threads.gate.stop();
        }
        let over = threads.gate.ended_ns().is_some();
        self.tell(
            threads,
            if over {
                Phase::Finishing
            } else {
                Phase::Sending
            },
            options,
        );
    }

    fn note_the_end(&self, threads: &Threads) {
        if let Some(end) = threads.gate.ended_ns() {
            lock(&self.timeline).schedule_ended(end as f64 / 1e9);
        }
    }

    /// Until every acknowledged task has ended, or the patience is over.
    async fn drain<S: AuditSource>(
        &mut self,
        threads: &mut Threads,
        beside: &mut Beside<S>,
        options: &Options,
    ) -> Option<AuditSummary> {
        let audit = options.audit.as_ref()?;
        let tracker = self.tracker.clone()?;
        let impatient = self.impatience();
        let gave_up = {
            let mut drained = std::pin::pin!(follow::drained(&tracker, audit, &impatient));
            let mut ticks = self.ticks();
            loop {
                tokio::select! {
                    biased;
                    gave_up = &mut drained => break gave_up,
                    _ = ticks.tick() => self.tell(threads, Phase::Draining, options),
                }
            }
        };
        if gave_up.is_some() && self.stop.is_cancelled() {
            self.aborted = Some(Abort::Interrupted);
        }
        beside.sweep(&tracker, audit).await;
        self.one_more_sample().await;
        let gave_up = gave_up.filter(|_| follow::lock(&tracker).outstanding() > 0);
        Some(follow::lock(&tracker).summary(gave_up))
    }

    /// What ends the drain early. A run that was stopped still gets a moment: what was sent last is not lost yet.
    fn impatience(&self) -> CancellationToken {
        if !self.stop.is_cancelled() {
            return self.stop.clone();
        }
        let impatient = CancellationToken::new();
        let ended = impatient.clone();
        tokio::spawn(async move {
            tokio::time::sleep(DRAIN_STOPPED).await;
            ended.cancel();
        });
        impatient
    }

    /// The observer's next look, so that the timeline shows the drained queue.
    async fn one_more_sample(&self) {
        let since = self.elapsed_s();
        if lock(&self.timeline).last().is_some() {
            let seen = self.until(|timeline| timeline.last_at_s() >= Some(since));
            let _late = timeout(Duration::from_secs(3), seen).await;
        }
    }

    async fn wait_for_zero(&mut self, threads: &Threads, options: &Options) {
        let Some(patience) = options.wait_zero else {
            return;
        };
        let since = self.elapsed_s();
        let stop = self.stop.clone();
        let mut ticks = self.ticks();
        let timeline = Arc::clone(&self.timeline);
        let mut zero = std::pin::pin!(timeout(patience, at_zero(timeline, since)));
        loop {
            tokio::select! {
                biased;
                _ = &mut zero => return,
                () = stop.cancelled() => return,
                _ = ticks.tick() => self.tell(threads, Phase::WaitingForZero, options),
            }
        }
    }

    async fn until(&self, condition: impl Fn(&crate::observe::Timeline) -> bool) {
        while !condition(&lock(&self.timeline)) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn elapsed_s(&self) -> f64 {
        self.clock.now_ns() as f64 / 1e9
    }
}

async fn at_zero(timeline: SharedTimeline, since_s: f64) {
    while !lock(&timeline).is_at_zero(since_s) {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
