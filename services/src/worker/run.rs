//! The control loop of a worker: claims, reports, cancellations, time limits, and the way out.
//!
//! It must not run a handler: this runtime has one thread, and leases, probes and signals are on it.

use std::sync::Arc;
use std::time::Duration;

use kedactl_queue::{Claimed, Consumer, ConsumerOptions, Redis, Scheduler, SchedulerOptions};
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tokio_util::sync::CancellationToken;

use super::builder::{Worker, WorkerError};
use super::context::Progress;
use super::ledger::Ledger;
use super::metrics::WorkerMetrics;
use super::pages::{self, Pages};
use super::slots::{Report, Slots};
use crate::events::{AckFenced, Draining, Released};
use crate::health::Health;
use crate::shutdown::Shutdown;
use crate::trace::Exporter;

/// How often time limits are looked at.
const TICK: Duration = Duration::from_millis(200);
/// Most tasks of one claim: more would wait here while other workers idle.
const CLAIM_AT_ONCE: usize = 64;
/// How long leaving Redis may take; the rest of the 5 s reserve is the process's own.
const LEAVE_WITHIN: Duration = Duration::from_secs(3);
/// And how long the last spans may take.
const FLUSH_WITHIN: Duration = Duration::from_secs(1);
/// Progress values on their way.
const PROGRESS_ROOM: usize = 1024;

/// Why a worker ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It was asked to, and everything is finished or handed back.
    Drained,
    /// A handler blocks its thread past its time limit; the rest was finished or handed back.
    Stuck,
}

/// A claimed task with the place that it will take.
type Placed = (Claimed, OwnedSemaphorePermit);

pub(super) async fn run(worker: Worker, shutdown: Shutdown) -> Result<Ended, WorkerError> {
    let Worker { settings, handlers } = worker;
    let redis = Redis::start(settings.redis.clone())?;
    let metrics = Arc::new(WorkerMetrics::default());
    metrics.slots.set(settings.concurrency as i64);
    let (tracer, exporter) =
        Exporter::start(settings.trace.as_ref(), &settings.pod_name, &metrics.traces)
            .map_err(WorkerError::Traces)?;
    let health = Arc::new(Health::default());
    let background = CancellationToken::new();
    let _ends_background = background.clone().drop_guard();
    let shared = Pages {
        metrics: metrics.clone(),
        health: health.clone(),
        shutdown: shutdown.clone(),
    };
    pages::serve(settings.metrics_listen, shared, background.clone())?;
    tokio::spawn({
        let (health, redis, stop) = (health.clone(), redis.clone(), background.clone());
        async move { health.watch(&redis, &stop).await }
    });
    let mut options = ConsumerOptions::new(settings.queues.clone(), settings.pod_name.clone());
    options.lease = settings.lease;
    let Some(consumer) = register(&redis, options, &shutdown).await? else {
        return Ok(Ended::Drained);
    };
    tokio::spawn(Scheduler::new(&redis, SchedulerOptions::default()).run(background.clone()));
    let (report, reports) = mpsc::unbounded_channel();
    let slots =
        Slots::start(settings.concurrency, &report).map_err(|source| WorkerError::Start {
            what: "start a thread a slot".to_owned(),
            source,
        })?;
    let (progress, values) = mpsc::channel(PROGRESS_ROOM);
    tokio::spawn(send_progress(consumer.clone(), values));
    let ledger = Ledger::new(
        handlers,
        slots,
        consumer.clone(),
        metrics.clone(),
        tracer,
        progress,
        settings.task_timeout,
    );
    let control = Control {
        ledger,
        consumer,
        metrics,
        health,
        reports,
        fenced: 0,
    };
    let ended = control
        .run(settings.concurrency, settings.finish_within(), &shutdown)
        .await;
    exporter.flush(FLUSH_WITHIN).await;
    Ok(ended)
}

/// Registers the worker, for as long as Redis is away; nothing when asked to stop meanwhile.
async fn register(
    redis: &Redis,
    options: ConsumerOptions,
    shutdown: &Shutdown,
) -> Result<Option<Consumer>, WorkerError> {
    loop {
        let started = tokio::select! {
            started = Consumer::start(redis, options.clone()) => started,
            () = shutdown.draining.cancelled() => return Ok(None),
        };
        match started {
            Ok(consumer) => return Ok(Some(consumer)),
            Err(error) if error.retry_after().is_none() => return Err(error.into()),
            Err(error) => {
                tracing::warn!(%error, "waiting for redis");
                let pause = error.retry_after().unwrap_or(TICK);
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = shutdown.draining.cancelled() => return Ok(None),
                }
            }
        }
    }
}

struct Control {
    ledger: Ledger,
    consumer: Consumer,
    metrics: Arc<WorkerMetrics>,
    health: Arc<Health>,
    reports: mpsc::UnboundedReceiver<Report>,
    fenced: u64,
}

impl Control {
    async fn run(mut self, places: usize, finish_within: Duration, shutdown: &Shutdown) -> Ended {
        let claiming = CancellationToken::new();
        let (placed, mut claimed) = mpsc::channel(1);
        let places = Arc::new(Semaphore::new(places));
        tokio::spawn(claim(
            self.consumer.clone(),
            places,
            placed,
            claiming.clone(),
        ));
        let mut cancellations = self.consumer.cancellations();
        let mut ended = Ended::Drained;
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut until: Option<Instant> = None;
        loop {
            self.health.turn();
            tokio::select! {
                biased;
                Some(report) = self.reports.recv() => self.ledger.ended(report),
                id = cancellations.recv() => self.cancelled(&id, &mut cancellations),
                Some(batch) = claimed.recv() => self.start(batch),
                _ = tick.tick() => {
                    if self.tick() {
                        ended = Ended::Stuck;
                    }
                }
                () = shutdown.draining.cancelled(), if until.is_none() => {}
                () = sleep_until(until.unwrap_or_else(Instant::now)), if until.is_some() => break,
            }
            if until.is_none() && (shutdown.is_draining() || ended == Ended::Stuck) {
                claiming.cancel();
                until = Some(Instant::now() + finish_within);
                Draining {
                    under_way: self.ledger.running(),
                    within: finish_within,
                }
                .emit();
            }
            // The claimer drops its end of the channel when it has stopped: nothing can come after that.
            if until.is_some()
                && self.ledger.running() == 0
                && claimed.is_closed()
                && claimed.is_empty()
            {
                break;
            }
        }
        self.leave().await;
        ended
    }

    fn start(&mut self, batch: Vec<Placed>) {
        for (claimed, place) in batch {
            self.ledger.start(claimed, place);
        }
    }

    fn cancelled(
        &self,
        id: &Result<kedactl_queue::TaskId, RecvError>,
        from: &mut broadcast::Receiver<kedactl_queue::TaskId>,
    ) {
        match id {
            Ok(id) => self.ledger.cancel(*id),
            Err(RecvError::Lagged(missed)) => tracing::warn!(missed, "missed cancellations"),
            // The consumer has ended; a fresh subscription only keeps this branch from spinning.
            Err(RecvError::Closed) => *from = self.consumer.cancellations(),
        }
    }

    /// Returns whether a thread was lost.
    fn tick(&mut self) -> bool {
        let fenced = self.consumer.counters().fenced;
        AckFenced {
            count: fenced - self.fenced,
        }
        .emit(&self.metrics);
        self.fenced = fenced;
        let lost = self.ledger.find_lost();
        if lost {
            self.health.break_for_good();
        }
        lost
    }

    async fn leave(mut self) {
        let count = self.ledger.release_all();
        if count > 0 {
            Released { count }.emit(&self.metrics);
        }
        self.consumer.close(LEAVE_WITHIN).await;
    }
}

/// Claims as many tasks as there are free places, until told to stop. What is claimed and not passed on stays on
/// the consumer's books, and goes back to the queue when it closes.
async fn claim(
    consumer: Consumer,
    places: Arc<Semaphore>,
    to: mpsc::Sender<Vec<Placed>>,
    stop: CancellationToken,
) {
    let claiming = async {
        while let Ok(first) = places.clone().acquire_owned().await {
            let mut free = vec![first];
            while free.len() < CLAIM_AT_ONCE
                && let Ok(place) = places.clone().try_acquire_owned()
            {
                free.push(place);
            }
            let tasks = consumer.claim(free.len()).await;
            let batch: Vec<Placed> = tasks.into_iter().zip(free).collect();
            if !batch.is_empty() && to.send(batch).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = claiming => {}
    }
}

async fn send_progress(consumer: Consumer, mut values: mpsc::Receiver<Progress>) {
    while let Some(Progress { ticket, value }) = values.recv().await {
        if let Err(error) = consumer.progress(&ticket, &value).await {
            tracing::debug!(%error, "progress was not stored");
        }
    }
}
