//! The server's clock, as this process knows it.
//!
//! It must not read this machine's wall clock: a worker whose clock is ten minutes off has to behave right.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use tokio::time::Instant;

/// Server time = monotonic time + an offset that answers of the server set.
#[derive(Debug, Clone)]
pub(crate) struct ServerClock {
    origin: Instant,
    offset_us: Arc<AtomicI64>,
}

impl ServerClock {
    pub(crate) fn new() -> Self {
        Self {
            origin: Instant::now(),
            offset_us: Arc::new(AtomicI64::new(0)),
        }
    }

    fn mono_us(&self) -> i64 {
        i64::try_from(self.origin.elapsed().as_micros()).unwrap_or(i64::MAX)
    }

    /// Microseconds since 1970; 0 before the first answer.
    pub(crate) fn now_us(&self) -> u64 {
        match self.offset_us.load(Ordering::Relaxed) {
            0 => 0,
            offset => (self.mono_us() + offset).max(0) as u64,
        }
    }

    pub(crate) fn now_ms(&self) -> u64 {
        self.now_us() / 1000
    }

    /// Marks the moment at which a question is sent.
    pub(crate) fn ask(&self) -> i64 {
        self.mono_us()
    }

    /// Takes the server's time from an answer to a question sent at `asked`; the middle of the trip counts.
    pub(crate) fn set(&self, asked: i64, server_us: u64) {
        let middle = i64::midpoint(asked, self.mono_us());
        self.offset_us
            .store(server_us as i64 - middle, Ordering::Relaxed);
    }

    /// Takes a better time from any answer: it was read before it arrived, so a later one than ours is nearer.
    pub(crate) fn observe(&self, server_us: u64) {
        let floor = server_us as i64 - self.mono_us();
        self.offset_us.fetch_max(floor, Ordering::Relaxed);
    }
}
