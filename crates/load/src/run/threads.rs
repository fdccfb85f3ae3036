//! The generator's threads: a pacer and the senders, with what they share.
//!
//! It must not outlive the run: dropping it stops the schedule.

use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use tokio::sync::mpsc;

use super::LoadError;
use crate::audit::follow::SharedTracker;
use crate::audit::{Promises, Tracker};
use crate::clock::Clock;
use crate::collector::Collector;
use crate::lane::books::Report;
use crate::lane::{self, LaneSpec, Limits};
use crate::machine::connections_allowed;
use crate::options::{ClientOptions, Options};
use crate::pacer::{self, Gate, PacerReport};
use crate::schedule::Schedule;
use crate::sender::Connect;

/// New connections a second, all senders together.
const GROWTH_PER_S: f64 = 1_000.0;
/// What is unfinished this long after the user stopped the run counts as such.
const FINISH_STOPPED_NS: u64 = 2_000_000_000;

pub(super) struct Threads {
    pub(super) gate: Arc<Gate>,
    stop: StopOnDrop,
    pub(super) collector: Collector,
    pub(super) reports: mpsc::UnboundedReceiver<Report>,
    pub(super) schedule: Arc<Schedule>,
    pub(super) max_connections: usize,
    promises: Option<Arc<Promises>>,
    clock: Clock,
    pacer: Option<JoinHandle<PacerReport>>,
}

impl Threads {
    pub(super) fn start<C: Connect>(
        options: &Options,
        clock: Clock,
        connect: &C,
    ) -> Result<Self, LoadError> {
        let client = &options.client;
        let senders = client.senders.max(1);
        let schedule = Arc::new(options.schedule.clone());
        let gate = Arc::new(Gate::new(senders));
        let promises = options
            .audit
            .as_ref()
            .map(|_| Arc::new(Promises::new(schedule.count())));
        let (sender, reports) = mpsc::unbounded_channel();
        let max_connections = client.max_connections.min(connections_allowed()).max(1);
        let threads = Self {
            collector: Collector::new(Arc::clone(&schedule), senders),
            stop: StopOnDrop(Arc::clone(&gate)),
            gate: Arc::clone(&gate),
            reports,
            schedule: Arc::clone(&schedule),
            max_connections,
            promises: promises.clone(),
            clock,
            pacer: None,
        };
        for index in 0..senders {
            let spec = LaneSpec {
                sender: index,
                senders,
                schedule: Arc::clone(&schedule),
                clock,
                gate: Arc::clone(&gate),
                limits: limits(client, max_connections),
                expect: options.target.expect,
                promises: promises.clone(),
                reports: sender.clone(),
            };
            let connect = connect.clone();
            spawn(&format!("load-sender-{index}"), move || {
                if let Err(error) = lane::run(&spec, &connect) {
                    tracing::error!(%error, "a sender could not start");
                }
            })?;
        }
        let pacer = spawn("load-pacer", move || pacer::run(&schedule, clock, &gate))?;
        Ok(Self {
            pacer: Some(pacer),
            ..threads
        })
    }

    /// The tracker of this run's promises, when it is audited.
    pub(super) fn tracker(&self, options: &Options) -> Option<SharedTracker> {
        options.audit.as_ref()?;
        let promises = Arc::clone(self.promises.as_ref()?);
        let epoch = self.clock.origin_epoch_us();
        Some(Arc::new(Mutex::new(Tracker::new(
            promises,
            Arc::clone(&self.schedule),
            epoch,
        ))))
    }

    /// The books, when nobody writes them any more.
    pub(super) fn into_collector(self) -> Collector {
        drop(self.stop);
        self.collector
    }

    /// The pacer's report; it has ended before the senders did.
    pub(super) fn pacer_report(&mut self) -> PacerReport {
        self.pacer
            .take()
            .and_then(|handle| handle.join().ok())
            .unwrap_or_default()
    }
}

/// A run that is dropped half-way must not go on sending.
struct StopOnDrop(Arc<Gate>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.stop();
    }
}

fn limits(client: &ClientOptions, max_connections: usize) -> Limits {
    let senders = client.senders.max(1);
    let timeout_ns = client.timeout.as_nanos() as u64;
    Limits {
        min_connections: client
            .min_connections
            .min(max_connections)
            .div_ceil(senders),
        max_connections: max_connections.div_ceil(senders),
        growth_per_s: GROWTH_PER_S / senders as f64,
        age_ns: client.max_connection_age.as_nanos() as u64,
        timeout_ns,
        // A request sent at the very end may take its whole time-out; a tenth more lets it be entered as one.
        finish_ns: timeout_ns + timeout_ns / 10,
        finish_stopped_ns: FINISH_STOPPED_NS.min(timeout_ns),
    }
}

fn spawn<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>, LoadError> {
    let thread = std::thread::Builder::new().name(name.to_owned());
    thread
        .spawn(work)
        .map_err(|source| LoadError::Thread { source })
}
