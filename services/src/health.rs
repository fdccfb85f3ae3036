//! Whether the process lives (its control loop turns) and whether it is of use (Redis answers).
//!
//! It must not ask Redis itself when a probe comes: a probe must be cheap and must not hang.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use http::StatusCode;
use kedactl_queue::Redis;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use crate::events::RedisReachable;

/// How often Redis is asked.
const PERIOD: Duration = Duration::from_millis(500);
/// How long Redis may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// A control loop that has not turned for so long is stuck.
const STUCK_AFTER: Duration = Duration::from_secs(15);

/// The state behind the probes.
#[derive(Debug)]
pub struct Health {
    started: Instant,
    last_turn_ms: AtomicU64,
    redis: AtomicBool,
    broken: AtomicBool,
}

impl Default for Health {
    fn default() -> Self {
        Self {
            started: Instant::now(),
            last_turn_ms: AtomicU64::new(0),
            redis: AtomicBool::new(false),
            broken: AtomicBool::new(false),
        }
    }
}

impl Health {
    /// Notes that the control loop turns.
    pub fn turn(&self) {
        let now = self.started.elapsed().as_millis() as u64;
        self.last_turn_ms.store(now, Ordering::Relaxed);
    }

    /// Notes that the process cannot recover by itself.
    pub fn break_for_good(&self) {
        self.broken.store(true, Ordering::Relaxed);
    }

    /// Returns whether Redis answered lately.
    pub fn redis(&self) -> bool {
        self.redis.load(Ordering::Relaxed)
    }

    /// Answers `/healthz`.
    pub fn alive(&self) -> (StatusCode, &'static str) {
        let last = Duration::from_millis(self.last_turn_ms.load(Ordering::Relaxed));
        if self.broken.load(Ordering::Relaxed) {
            (
                StatusCode::SERVICE_UNAVAILABLE,
                "a handler blocks its thread for good\n",
            )
        } else if self.started.elapsed().saturating_sub(last) > STUCK_AFTER {
            (
                StatusCode::SERVICE_UNAVAILABLE,
                "the control loop is stuck\n",
            )
        } else {
            (StatusCode::OK, "ok\n")
        }
    }

    /// Answers `/readyz`.
    pub fn ready(&self, draining: bool) -> (StatusCode, &'static str) {
        if draining {
            (StatusCode::SERVICE_UNAVAILABLE, "draining\n")
        } else if self.redis() {
            (StatusCode::OK, "ready\n")
        } else {
            (StatusCode::SERVICE_UNAVAILABLE, "redis is not reachable\n")
        }
    }

    /// Asks Redis twice a second until `stop`.
    pub async fn watch(&self, redis: &Redis, stop: &CancellationToken) {
        let mut tick = interval(PERIOD);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = tick.tick() => {}
                () = stop.cancelled() => return,
            }
            self.turn();
            let reachable = matches!(timeout(PATIENCE, redis.ping()).await, Ok(Ok(())));
            if self.redis.swap(reachable, Ordering::Relaxed) != reachable {
                RedisReachable { reachable }.emit();
            }
        }
    }
}
