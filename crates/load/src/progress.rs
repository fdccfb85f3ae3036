//! What a live view needs, once a second.
//!
//! It must not hold a history: a reader that wants one keeps the snapshots it got.

use crate::observe::Sample;
use crate::result::Percentiles;

/// What the run is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Requests are due.
    Sending,
    /// The schedule is over; answers are outstanding.
    Finishing,
    /// Every request ended; acknowledged tasks are still being worked on.
    Draining,
    /// Everything is done; the workers have not gone back to zero yet.
    WaitingForZero,
    /// The last snapshot of the run.
    Done,
}

/// One snapshot. Counts are totals since the start; `response`, `lag` and rates are of the last second.
#[derive(Debug, Clone)]
pub struct Progress {
    pub phase: Phase,
    /// Seconds since the start of the schedule, and its length.
    pub elapsed_s: f64,
    pub duration_s: f64,
    pub offered_rps: f64,
    pub sent_rps: f64,
    pub ok_rps: f64,
    pub intended: u64,
    pub sent: u64,
    pub ok: u64,
    pub failed: u64,
    pub in_flight: u64,
    pub queued: u64,
    pub connections: u64,
    /// Microseconds, of the requests that ended in the last second.
    pub response: Percentiles,
    pub lag: Percentiles,
    /// Microseconds, of the whole run so far.
    pub response_total: Percentiles,
    /// Tasks acknowledged and finished so far; absent without an audit.
    pub acknowledged: Option<u64>,
    pub finished: Option<u64>,
    /// End-to-end latency so far, due time to finished, microseconds; absent without an audit.
    pub e2e_total: Option<Percentiles>,
    pub sample: Option<Sample>,
}
