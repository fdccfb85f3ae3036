//! What both services count, under the names that asynq and OpenTelemetry's messaging conventions use.
//!
//! It must not take a label from a client unbounded: past a number of queues the name becomes `other`.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::RwLock;

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// The content type of [`render`].
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// How many queue names get a series of their own.
pub(crate) const MAX_QUEUES: usize = 64;

/// Buckets from 100 µs to 10 s: enqueueing takes less than a millisecond, a fail-over seconds.
pub(crate) const LATENCY: [f64; 15] = [
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    10.0,
];

/// Buckets of a handler's run, 1 ms to 1 h.
pub(crate) const RUN_TIME: [f64; 14] = [
    0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0, 120.0, 600.0, 3600.0,
];

/// A histogram family's maker for [`LATENCY`].
pub(crate) fn latency() -> Histogram {
    Histogram::new(LATENCY)
}

/// A histogram family's maker for [`RUN_TIME`].
pub(crate) fn run_time() -> Histogram {
    Histogram::new(RUN_TIME)
}

/// A histogram with labels.
pub(crate) type HistogramFamily<L> = Family<L, Histogram, fn() -> Histogram>;

/// The label of metrics about a queue, named as asynq names it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct QueueLabel {
    pub queue: String,
}

/// The label of OpenTelemetry's messaging metrics.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct DestinationLabel {
    pub messaging_destination_name: String,
}

/// Labels of asynq's count of waiting tasks.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct StateLabels {
    pub queue: String,
    pub state: &'static str,
}

/// One counter a queue, found without building a label set.
#[derive(Debug)]
pub struct PerQueue {
    family: Family<DestinationLabel, Counter>,
    known: RwLock<HashMap<String, Counter>>,
}

impl PerQueue {
    /// Wraps a registered family.
    pub fn new(family: Family<DestinationLabel, Counter>) -> Self {
        Self {
            family,
            known: RwLock::default(),
        }
    }

    /// Adds to the counter of a queue.
    pub fn add(&self, queue: &str, n: u64) {
        if let Ok(known) = self.known.read()
            && let Some(counter) = known.get(queue)
        {
            counter.inc_by(n);
            return;
        }
        let Ok(mut known) = self.known.write() else {
            return;
        };
        let full = known.len() >= MAX_QUEUES && !known.contains_key(queue);
        let name = if full { "other" } else { queue };
        let label = DestinationLabel {
            messaging_destination_name: name.to_owned(),
        };
        let counter = self.family.get_or_create_owned(&label);
        counter.inc_by(n);
        if !full {
            known.insert(queue.to_owned(), counter);
        }
    }
}

/// What Redis says about the queues, read when somebody asks for the metrics.
#[derive(Debug, Default)]
pub struct QueueGauges {
    size: Family<QueueLabel, Gauge>,
    states: Family<StateLabels, Gauge>,
    paused: Family<QueueLabel, Gauge>,
    latency: Family<QueueLabel, Gauge<f64, std::sync::atomic::AtomicU64>>,
    processed: Family<QueueLabel, Counter>,
    failed: Family<QueueLabel, Counter>,
}

/// One queue's numbers for [`QueueGauges::set`].
#[derive(Debug, Clone, Default)]
pub struct QueueReading {
    pub queue: String,
    pub waiting: u64,
    pub running: u64,
    pub delayed: u64,
    pub dead: u64,
    pub paused: bool,
    /// How long the oldest waiting task has waited, seconds.
    pub latency_s: f64,
    pub processed: u64,
    pub failed: u64,
}

impl QueueGauges {
    /// Registers the gauges under asynq's names.
    pub fn register(&self, registry: &mut Registry) {
        let r = registry;
        r.register(
            "asynq_queue_size",
            "Tasks in a queue, running ones too",
            self.size.clone(),
        );
        r.register(
            "asynq_tasks_enqueued_total",
            "Tasks in a queue by state (a gauge, as in asynq)",
            self.states.clone(),
        );
        r.register(
            "asynq_queue_paused_total",
            "1 while a queue is paused",
            self.paused.clone(),
        );
        r.register(
            "asynq_queue_latency_seconds",
            "Age of the oldest waiting task",
            self.latency.clone(),
        );
        r.register(
            "asynq_tasks_processed",
            "Attempts that ended",
            self.processed.clone(),
        );
        r.register(
            "asynq_tasks_failed",
            "Attempts that failed",
            self.failed.clone(),
        );
    }

    /// Replaces every reading.
    pub fn set(&self, readings: &[QueueReading]) {
        self.size.clear();
        self.states.clear();
        self.paused.clear();
        self.latency.clear();
        for r in readings.iter().take(MAX_QUEUES) {
            let label = QueueLabel {
                queue: r.queue.clone(),
            };
            let states = [
                ("pending", r.waiting),
                ("active", r.running),
                ("scheduled", r.delayed),
                ("archived", r.dead),
            ];
            for (state, n) in states {
                let labels = StateLabels {
                    queue: r.queue.clone(),
                    state,
                };
                self.states.get_or_create(&labels).set(n as i64);
            }
            let size = r.waiting + r.running + r.delayed + r.dead;
            self.size.get_or_create(&label).set(size as i64);
            self.paused.get_or_create(&label).set(i64::from(r.paused));
            self.latency.get_or_create(&label).set(r.latency_s);
            let store = |family: &Family<QueueLabel, Counter>, n| {
                let counter = family.get_or_create_owned(&label);
                counter
                    .inner()
                    .store(n, std::sync::atomic::Ordering::Relaxed);
            };
            store(&self.processed, r.processed);
            store(&self.failed, r.failed);
        }
    }
}

/// Returns the registry as `OpenMetrics` text.
pub(crate) fn render(registry: &Registry) -> String {
    let mut out = String::with_capacity(16 * 1024);
    if text::encode(&mut out, registry).is_err() {
        out.clear();
        // Writing to a String cannot fail; were it ever to, an empty document is a valid one.
        let _: std::fmt::Result = out.write_str("# EOF\n");
    }
    out
}
