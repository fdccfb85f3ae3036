//! How long to wait before a process that ended is started again, as the kubelet does it.
//! Must not know why it ended.

use std::time::Duration;

/// At once the first time, then doubling from `initial` to `max`; over again after a long enough run.
#[derive(Debug, Clone)]
pub(crate) struct Backoff {
    initial: Duration,
    max: Duration,
    reset_after: Duration,
    next: Duration,
}

impl Backoff {
    pub(crate) fn new(initial: Duration, max: Duration, reset_after: Duration) -> Self {
        Self {
            initial,
            max,
            reset_after,
            next: Duration::ZERO,
        }
    }

    /// The wait before the next start, given how long the process ran this time.
    pub(crate) fn after(&mut self, ran: Duration) -> Duration {
        if ran >= self.reset_after {
            self.next = Duration::ZERO;
        }
        let wait = self.next;
        self.next = (self.next * 2).clamp(self.initial, self.max);
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_its_limit_and_starts_over_after_a_long_run() {
        let s = Duration::from_secs;
        let mut backoff = Backoff::new(s(10), s(300), s(600));
        let waits: Vec<u64> = (0..8).map(|_| backoff.after(s(1)).as_secs()).collect();
        assert_eq!(waits, [0, 10, 20, 40, 80, 160, 300, 300]);
        assert_eq!(backoff.after(s(600)), s(0));
        assert_eq!(backoff.after(s(1)), s(10));
    }
}
