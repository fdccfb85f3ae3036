//! The pacer: a thread of its own that releases request i when it is due, and says how late it was.
//!
//! It must not send, allocate per request, or speed up beyond 1.8 times the schedule after a stall.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::sync::Notify;

use crate::clock::{self, Clock};
use crate::schedule::{Schedule, Shard};

/// What the pacer tells the senders. Requests `0..released` may be sent.
///
/// The queue between them is this one number: a request's due time follows from its index, so a million requests
/// that wait cost no memory.
#[derive(Debug)]
pub(crate) struct Gate {
    released: AtomicU64,
    /// Requests whose due time has come; known at the end.
    intended: AtomicU64,
    /// Nanosecond at which the pacer ended; 0 while it runs.
    ended_ns: AtomicU64,
    stop: AtomicBool,
    senders: Vec<Arc<Notify>>,
}

impl Gate {
    pub(crate) fn new(senders: usize) -> Self {
        Self {
            released: AtomicU64::new(0),
            intended: AtomicU64::new(0),
            ended_ns: AtomicU64::new(0),
            stop: AtomicBool::new(false),
            senders: (0..senders).map(|_| Arc::new(Notify::new())).collect(),
        }
    }

    pub(crate) fn bell(&self, sender: usize) -> Arc<Notify> {
        Arc::clone(&self.senders[sender])
    }

    pub(crate) fn released(&self) -> u64 {
        self.released.load(Ordering::Acquire)
    }

    pub(crate) fn intended(&self) -> u64 {
        self.intended.load(Ordering::Acquire)
    }

    /// When the last request was released, if it was.
    pub(crate) fn ended_ns(&self) -> Option<u64> {
        Some(self.ended_ns.load(Ordering::Acquire)).filter(|at| *at > 0)
    }

    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Release);
    }

    pub(crate) fn stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    fn release(&self, from: u64, to: u64) {
        self.released.store(to, Ordering::Release);
        let senders = self.senders.len() as u64;
        for (sender, bell) in (0..senders).zip(&self.senders) {
            let shard = Shard {
                index: sender,
                of: senders,
            };
            if shard.len(to) > shard.len(from) {
                bell.notify_one();
            }
        }
    }

    /// Ends the schedule; the first caller's figures stand.
    fn end(&self, intended: u64, at_ns: u64) {
        if self.ended_ns().is_some() {
            return;
        }
        self.intended.store(intended, Ordering::Release);
        self.ended_ns.store(at_ns.max(1), Ordering::Release);
        for bell in &self.senders {
            bell.notify_one();
        }
    }
}

/// How the pacer itself fared.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct PacerReport {
    pub(crate) stalls: u64,
    pub(crate) worst_stall_ns: u64,
    pub(crate) cpu_ns: u64,
}

/// Ends the schedule when the pacer is gone for whatever reason, so that no sender waits for it.
#[derive(Debug)]
struct EndsWithIt<'a>(&'a Gate, Clock);

impl Drop for EndsWithIt<'_> {
    fn drop(&mut self) {
        self.0.end(self.0.released(), self.1.now_ns());
    }
}

/// Above this rate the gaps are too short to spin in without burning a core.
const SPIN_BELOW_RPS: f64 = 5_000.0;
/// Above this rate requests leave in groups, one wake-up each.
const GROUP_ABOVE_RPS: f64 = 20_000.0;
const GROUP_NS: u64 = 50_000;
/// Longest sleep, so that a stop is noticed.
const NAP_NS: u64 = 20_000_000;

/// Releases the whole schedule; blocks its thread.
pub(crate) fn run(schedule: &Schedule, clock: Clock, gate: &Gate) -> PacerReport {
    clock::make_punctual();
    let _guard = EndsWithIt(gate, clock);
    let mut report = PacerReport::default();
    let mut cursor = schedule.cursor();
    let mut catch_up = CatchUp::default();
    let count = schedule.count();
    let mut index = 0;
    let mut due = cursor.due_ns(0);
    loop {
        let from = index;
        while index < count && due <= catch_up.virtual_ns {
            index += 1;
            due = if index < count {
                cursor.due_ns(index)
            } else {
                u64::MAX
            };
        }
        if index > from {
            gate.release(from, index);
        }
        if index == count || gate.stopped() {
            break;
        }
        let rate = schedule.rate_at(catch_up.virtual_ns as f64 / 1e9);
        let floor = if rate > GROUP_ABOVE_RPS {
            catch_up.at_ns + GROUP_NS
        } else {
            0
        };
        let wake = catch_up
            .reaches(due)
            .max(floor)
            .min(catch_up.at_ns + NAP_NS);
        clock.sleep_until(wake, rate <= SPIN_BELOW_RPS);
        let late = catch_up.woke(wake, clock.now_ns());
        report.worst_stall_ns = report.worst_stall_ns.max(late);
        report.stalls += u64::from(late > SLIP_NS);
    }
    let now = clock.now_ns();
    while index < count && due <= now {
        index += 1;
        due = if index < count {
            cursor.due_ns(index)
        } else {
            u64::MAX
        };
    }
    gate.end(index, now);
    report.cpu_ns = clock::thread_cpu_ns();
    report
}

/// Lateness that is made up for at once.
const SLIP_NS: u64 = 900_000;
/// Speed of the schedule while it is behind, in tenths.
const HASTE_TENTHS: u64 = 18;

/// The schedule's own time: real time, except that after a stall it runs at 1.8 times the speed until it has caught
/// up. In any 10 ms it so advances by at most 18.9 ms: never twice the requests the schedule has there.
#[derive(Debug, Default)]
struct CatchUp {
    virtual_ns: u64,
    at_ns: u64,
}

impl CatchUp {
    /// Real time at which the schedule's time gets to `due`.
    fn reaches(&self, due: u64) -> u64 {
        let ahead = due.saturating_sub(self.virtual_ns);
        due.max(self.at_ns + (ahead * 10).div_ceil(HASTE_TENTHS))
    }

    /// Takes note of a wake-up planned for `wake`; says how late it was.
    fn woke(&mut self, wake: u64, now: u64) -> u64 {
        let late = now.saturating_sub(wake);
        let run = wake.saturating_sub(self.at_ns) * HASTE_TENTHS / 10;
        let planned = (self.virtual_ns + run).min(wake);
        self.virtual_ns = (planned + late.min(SLIP_NS)).min(now);
        self.at_ns = now;
        late
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Drives the schedule's time through wake-ups with the given lateness and returns the release times.
    fn releases(rps: u64, lateness: impl Fn(u64) -> u64) -> Vec<u64> {
        let gap = 1_000_000_000 / rps;
        let mut time = CatchUp::default();
        let (mut due, mut out) = (0, Vec::new());
        for wake_up in 0..rps {
            while due <= time.virtual_ns {
                out.push(time.at_ns);
                due += gap;
            }
            let wake = time.reaches(due);
            time.woke(wake, wake + lateness(wake_up));
        }
        out
    }

    fn worst_window(times: &[u64]) -> usize {
        let within = |k: usize| {
            times[k..]
                .iter()
                .take_while(|t| **t < times[k] + 10_000_000)
                .count()
        };
        (0..times.len()).map(within).max().unwrap_or(0)
    }

    #[test]
    fn a_punctual_pacer_releases_exactly_on_time() {
        let times = releases(1_000, |_| 0);
        assert!(
            times
                .iter()
                .enumerate()
                .all(|(k, t)| *t == k as u64 * 1_000_000)
        );
    }

    #[test]
    fn no_stall_makes_more_than_twice_the_requests_in_ten_milliseconds() {
        for rps in [500, 2_000, 5_000, 20_000] {
            for stall_ms in [1, 3, 10, 40, 300] {
                let late = |k: u64| {
                    if k % 97 == 96 {
                        stall_ms * 1_000_000
                    } else {
                        60_000
                    }
                };
                let worst = worst_window(&releases(rps, late));
                assert!(
                    worst <= (rps / 50) as usize,
                    "{rps}/s, {stall_ms} ms stalls: {worst}"
                );
            }
        }
    }

    #[test]
    fn it_catches_up_completely() {
        let times = releases(1_000, |k| if k == 100 { 50_000_000 } else { 0 });
        let last = times.len() - 1;
        assert_eq!(times[last], last as u64 * 1_000_000);
    }
}
