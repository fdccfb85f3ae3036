//! The one clock of a run: monotonic, in nanoseconds from the first due time, with an absolute precise sleep.
//!
//! It must not be read through tokio: its timers have a grain of a millisecond, ten times the latencies measured here.

use std::num::NonZeroU64;

use rustix::thread::{clock_nanosleep_absolute, set_current_timer_slack};
use rustix::time::{ClockId, Timespec, clock_gettime};

/// Below this much, spinning is more punctual than sleeping (a woken thread is 30 to 100 µs late).
const SPIN_NS: u64 = 50_000;

/// Counts from its origin, which may lie ahead: until then it reads 0.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    origin_ns: u64,
    origin_epoch_us: u64,
}

impl Clock {
    /// A clock whose zero is `lead_ns` from now.
    pub(crate) fn starting_in(lead_ns: u64) -> Self {
        Self {
            origin_ns: read(ClockId::Monotonic) + lead_ns,
            origin_epoch_us: (read(ClockId::Realtime) + lead_ns) / 1_000,
        }
    }

    pub(crate) fn now_ns(self) -> u64 {
        read(ClockId::Monotonic).saturating_sub(self.origin_ns)
    }

    /// The origin as microseconds since the Unix epoch.
    pub(crate) fn origin_epoch_us(self) -> u64 {
        self.origin_epoch_us
    }

    /// Blocks the thread until `at_ns`; with `spin` the last 50 µs are spent awake.
    pub(crate) fn sleep_until(self, at_ns: u64, spin: bool) {
        let at = self.origin_ns + at_ns;
        let wake = if spin { at.saturating_sub(SPIN_NS) } else { at };
        while read(ClockId::Monotonic) < wake {
            let request = Timespec {
                tv_sec: (wake / 1_000_000_000) as i64,
                tv_nsec: (wake % 1_000_000_000) as i64,
            };
            // An interrupted sleep is taken up again by the loop.
            let _interrupted = clock_nanosleep_absolute(ClockId::Monotonic, &request);
        }
        while read(ClockId::Monotonic) < at {
            std::hint::spin_loop();
        }
    }
}

/// The monotonic clock as the kernel has it, for spans that need no origin.
pub(crate) fn monotonic_ns() -> u64 {
    read(ClockId::Monotonic)
}

/// CPU time of the calling thread, nanoseconds.
pub(crate) fn thread_cpu_ns() -> u64 {
    read(ClockId::ThreadCPUTime)
}

/// Makes the calling thread punctual as far as its rights go: no timer slack, and first in line where allowed.
pub(crate) fn make_punctual() {
    let _kept = set_current_timer_slack(NonZeroU64::new(1));
    // Lowering niceness needs a right that a desktop user lacks; without it the lag is measured all the same.
    let _refused = rustix::process::setpriority_process(None, -10);
}

fn read(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}
