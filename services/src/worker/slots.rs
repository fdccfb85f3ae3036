//! Slots: one thread each, so that a handler that blocks holds up itself and nobody else.
//!
//! It must not run anything of the worker's own: leases, probes and signals live on the control runtime.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use serde_json::value::RawValue;
use tokio::runtime::{Handle, Runtime};
use tokio::sync::mpsc;
use tokio::time::{sleep, sleep_until};
use tracing::Instrument as _;

use super::context::Context;
use super::handler::{Answer, AnyHandler};

/// How long a cancelled handler may take to wind up before its future is dropped.
const CANCEL_GRACE: Duration = Duration::from_secs(5);

/// How an attempt ended.
#[derive(Debug)]
pub(crate) enum Ended {
    Answered(Answer),
    Panicked(String),
    TimedOut,
    Cancelled,
}

/// A task for a slot.
pub(crate) struct Job {
    pub(crate) key: u64,
    pub(crate) handler: Arc<dyn AnyHandler>,
    pub(crate) payload: Box<RawValue>,
    pub(crate) context: Context,
}

/// What a slot tells when it is free again.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) key: u64,
    pub(crate) ended: Ended,
}

/// The threads and the runtime that drives the handlers' timers and sockets.
pub(crate) struct Slots {
    jobs: async_channel::Sender,
    runtime: Option<Runtime>,
}

impl std::fmt::Debug for Slots {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Slots").finish_non_exhaustive()
    }
}

/// A queue from one sender to many threads; the receiving end blocks.
mod async_channel {
    use super::Job;
    use std::sync::{Arc, Mutex, mpsc};

    pub(super) type Sender = mpsc::Sender<Job>;

    #[derive(Clone)]
    pub(super) struct Receiver(Arc<Mutex<mpsc::Receiver<Job>>>);

    pub(super) fn new() -> (Sender, Receiver) {
        let (sender, receiver) = mpsc::channel();
        (sender, Receiver(Arc::new(Mutex::new(receiver))))
    }

    impl Receiver {
        pub(super) fn next(&self) -> Option<Job> {
            self.0.lock().ok()?.recv().ok()
        }
    }
}

impl Slots {
    /// Starts `n` slots; each reports to `reports`.
    pub(crate) fn start(
        n: usize,
        reports: &mpsc::UnboundedSender<Report>,
    ) -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("handlers")
            .enable_all()
            .build()?;
        let (jobs, receiver) = async_channel::new();
        for i in 0..n {
            let (receiver, reports) = (receiver.clone(), reports.clone());
            let handle = runtime.handle().clone();
            std::thread::Builder::new()
                .name(format!("slot-{i}"))
                .spawn(move || {
                    while let Some(job) = receiver.next() {
                        let key = job.key;
                        let ended = run(&handle, job);
                        if reports.send(Report { key, ended }).is_err() {
                            break;
                        }
                    }
                })?;
        }
        Ok(Self {
            jobs,
            runtime: Some(runtime),
        })
    }

    /// Hands a task to a free slot; the caller counts the free ones.
    pub(crate) fn give(&self, job: Job) {
        if self.jobs.send(job).is_err() {
            tracing::error!("every slot has ended");
        }
    }
}

impl Drop for Slots {
    fn drop(&mut self) {
        // A handler that never returns must not keep the process from ending.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn run(handle: &Handle, job: Job) -> Ended {
    let Job {
        handler,
        payload,
        context,
        ..
    } = job;
    let attempt = AssertUnwindSafe(|| {
        handle.block_on(async {
            let (deadline, cancel) = (context.deadline(), context.0.cancel.clone());
            // Whatever the handler logs says whose it is.
            let span = tracing::error_span!(
                target: "task",
                "task",
                task_id = %context.id(),
                attempt = context.attempt(),
                trace_id = context.0.trace.as_ref().map(|it| tracing::field::display(it.trace_id())),
            );
            let running = span.in_scope(|| handler.start(payload.get(), context));
            let running = running.instrument(span);
            tokio::select! {
                biased;
                answer = running => Ended::Answered(answer),
                () = sleep_until(deadline) => Ended::TimedOut,
                () = async { cancel.cancelled().await; sleep(CANCEL_GRACE).await } => Ended::Cancelled,
            }
        })
    });
    catch_unwind(attempt).unwrap_or_else(|cause| {
        let text = cause
            .downcast_ref::<&str>()
            .map(|s| (*s).to_owned())
            .or_else(|| cause.downcast_ref::<String>().cloned());
        Ended::Panicked(text.unwrap_or_else(|| "no message".to_owned()))
    })
}
