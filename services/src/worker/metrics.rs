//! What the worker counts.
//!
//! It must not take a task type as a label unless a handler is registered for it.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::metrics::{DestinationLabel, HistogramFamily, PerQueue, QueueLabel, run_time};
use crate::trace::TraceMetrics;

/// Labels of OpenTelemetry's `messaging.process.duration`, with the task's type and how it ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ProcessLabels {
    pub messaging_destination_name: String,
    pub task_type: String,
    pub outcome: &'static str,
}

/// Every handle of the worker.
#[derive(Debug)]
pub struct WorkerMetrics {
    pub registry: Registry,
    pub consumed: PerQueue,
    pub fenced: Counter,
    pub released: Counter,
    pub slots_lost: Counter,
    pub slots: Gauge,
    pub busy: Gauge,
    pub(crate) traces: TraceMetrics,
    process: HistogramFamily<ProcessLabels>,
    in_progress: Family<QueueLabel, Gauge>,
}

impl Default for WorkerMetrics {
    fn default() -> Self {
        let mut registry = Registry::default();
        let r = &mut registry;
        let consumed = Family::<DestinationLabel, Counter>::default();
        r.register(
            "messaging_client_consumed_messages",
            "Tasks taken",
            consumed.clone(),
        );
        let process = HistogramFamily::<ProcessLabels>::new_with_constructor(run_time as fn() -> _);
        r.register(
            "messaging_process_duration_seconds",
            "Run time of attempts",
            process.clone(),
        );
        let in_progress = Family::<QueueLabel, Gauge>::default();
        r.register(
            "asynq_tasks_in_progress",
            "Tasks that run here",
            in_progress.clone(),
        );
        let [fenced, released, slots_lost] = [(); 3].map(|()| Counter::default());
        r.register(
            "kedactl_worker_fenced",
            "Outcomes refused: lease lost",
            fenced.clone(),
        );
        r.register(
            "kedactl_worker_released",
            "Tasks handed back",
            released.clone(),
        );
        r.register(
            "kedactl_worker_slots_lost",
            "Threads blocked for good",
            slots_lost.clone(),
        );
        let (slots, busy) = (Gauge::default(), Gauge::default());
        r.register(
            "kedactl_worker_slots",
            "Tasks that may run at once",
            slots.clone(),
        );
        r.register(
            "kedactl_worker_busy_slots",
            "Tasks that run now",
            busy.clone(),
        );
        let traces = TraceMetrics::default();
        traces.register(r);
        let consumed = PerQueue::new(consumed);
        Self {
            registry,
            consumed,
            fenced,
            released,
            slots_lost,
            slots,
            busy,
            traces,
            process,
            in_progress,
        }
    }
}

impl WorkerMetrics {
    /// Counts tasks that were taken.
    pub fn started(&self, queue: &str) {
        self.consumed.add(queue, 1);
        self.busy.inc();
        self.in_progress
            .get_or_create(&QueueLabel {
                queue: queue.to_owned(),
            })
            .inc();
    }

    /// Counts an attempt that ended.
    pub fn ended(&self, queue: &str, kind: &str, outcome: &'static str, took: Duration) {
        self.busy.dec();
        self.in_progress
            .get_or_create(&QueueLabel {
                queue: queue.to_owned(),
            })
            .dec();
        let labels = ProcessLabels {
            messaging_destination_name: queue.to_owned(),
            task_type: kind.to_owned(),
            outcome,
        };
        self.process
            .get_or_create(&labels)
            .observe(took.as_secs_f64());
    }
}
