//! What every request may use: the queue, the settings, the metrics, and how the service is.
//!
//! It must not hold anything about one request.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use kedactl_queue::{Durability, Inspector, Producer, ProducerOptions, QueueName, Redis};
use tokio::time::Instant;

use super::metrics::ApiMetrics;
use super::problem::Problem;
use crate::health::Health;
use crate::settings::ApiSettings;
use crate::shutdown::Shutdown;
use crate::trace::Tracer;

/// Shared by all requests; clones share.
#[derive(Debug, Clone)]
pub struct ApiState(Arc<Inner>);

/// The parts of [`ApiState`].
#[derive(Debug)]
pub struct Inner {
    pub settings: ApiSettings,
    pub redis: Redis,
    pub producer: Producer,
    pub inspector: Inspector,
    pub metrics: ApiMetrics,
    pub(crate) tracer: Tracer,
    pub health: Health,
    pub shutdown: Shutdown,
    pub open: Arc<AtomicUsize>,
    pub queues_read: tokio::sync::Mutex<Option<Instant>>,
    /// Somebody asked for metrics.
    pub scraped: tokio::sync::Notify,
    active: AtomicUsize,
    overloaded: AtomicBool,
}

impl std::ops::Deref for ApiState {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl ApiState {
    /// Joins the parts; nothing is sent to Redis yet.
    pub(crate) fn new(
        settings: ApiSettings,
        redis: Redis,
        shutdown: Shutdown,
        metrics: ApiMetrics,
        tracer: Tracer,
    ) -> Self {
        let options = ProducerOptions {
            name: settings.pod_name.clone(),
            lanes: settings.lanes,
            max_batch: settings.commit_tasks,
            linger: settings.linger,
            wait_timeout: settings.replica_timeout,
            ..ProducerOptions::default()
        };
        Self(Arc::new(Inner {
            producer: Producer::new(&redis, options),
            inspector: Inspector::new(&redis),
            health: Health::default(),
            metrics,
            tracer,
            open: Arc::default(),
            queues_read: tokio::sync::Mutex::default(),
            scraped: tokio::sync::Notify::new(),
            active: AtomicUsize::new(0),
            overloaded: AtomicBool::new(false),
            settings,
            redis,
            shutdown,
        }))
    }

    /// Returns what a 202 for this queue promises.
    pub fn durability(&self, queue: &QueueName) -> Durability {
        let per_queue = &self.settings.queue_durability;
        if per_queue.is_empty() {
            return self.settings.durability;
        }
        per_queue
            .get(queue.as_str())
            .copied()
            .unwrap_or(self.settings.durability)
    }

    /// Returns a place among the requests under way, or 503 when all are taken.
    pub fn enter(&self) -> Result<Entered, Problem> {
        let before = self.active.fetch_add(1, Ordering::Relaxed);
        let entered = Entered(self.clone());
        if before < self.settings.limits.max_requests {
            if before == 0 {
                self.overloaded.store(false, Ordering::Relaxed);
            }
            return Ok(entered);
        }
        if !self.overloaded.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                limit = self.settings.limits.max_requests,
                "too many requests at once"
            );
        }
        Err(Problem::unavailable(
            "overloaded",
            "too many requests at once",
        ))
    }

    /// Returns how many requests are under way.
    pub fn active(&self) -> usize {
        self.active.load(Ordering::Relaxed)
    }

    /// Returns how long a request may take, waits for results aside.
    pub fn request_timeout(&self) -> Duration {
        self.settings.limits.request_timeout
    }
}

/// A place among the requests under way, given back on drop.
#[derive(Debug)]
pub struct Entered(ApiState);

impl Drop for Entered {
    fn drop(&mut self) {
        self.0.active.fetch_sub(1, Ordering::Relaxed);
    }
}
