//! The result of a run: one serialisable document, versioned, from which every report is drawn.
//!
//! It must not compute verdicts and must not measure: it only names what was measured, with units.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::audit::AuditSummary;
use crate::observe::{Scaling, TimelinePoint};

/// The schema's name and version; it changes when a field changes its meaning.
pub const SCHEMA: &str = "kedactl.load/v1";

/// Everything one run found out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunResult {
    /// Always [`SCHEMA`] for documents of this version.
    pub schema: String,
    /// Name of the run, unique; it is also in every audit mark.
    pub run: String,
    /// Start of the schedule, microseconds since the Unix epoch.
    pub started_at_us: u64,
    /// Seconds from the start of the schedule until everything was accounted for.
    pub elapsed_s: f64,
    /// What was asked for.
    pub setup: Setup,
    /// Where every intended request went.
    pub accounting: Accounting,
    /// Latency over the whole run.
    pub latency: Latency,
    /// The generator's own condition.
    pub generator: Generator,
    /// The run, interval by interval (`interval_s` seconds each), bounded in length.
    pub interval_s: u32,
    pub series: Vec<Second>,
    /// The platform beside it, as the observer saw it; empty without an observer.
    pub timeline: Vec<TimelinePoint>,
    /// How the platform scaled; absent without an observer.
    pub scaling: Option<Scaling>,
    /// What became of the acknowledged tasks; absent when the target is not a task queue.
    pub audit: Option<AuditSummary>,
    /// Why the run ended before its schedule did.
    pub aborted: Option<Abort>,
}

/// Why a run ended before its schedule did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Abort {
    /// The user stopped it.
    Interrupted,
    /// Nothing answered since the start.
    Unreachable,
}

/// What the run was asked to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Setup {
    pub url: String,
    pub method: String,
    /// The stages in the notation of `--stage`.
    pub stages: Vec<String>,
    /// `poisson` or `uniform`.
    pub arrivals: String,
    /// Repeats the same due times.
    pub seed: u64,
    /// Seconds from the first due time to the end of the schedule.
    pub duration_s: f64,
    pub timeout_s: f64,
    pub senders: usize,
    pub max_connections: usize,
}

/// Where every intended request went. `intended = sent + never_sent` and
/// `sent = ok + Σ status + timeout + reset + connect_error + in_flight_at_end`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Accounting {
    /// Requests whose due time came (all of the schedule, unless the run was stopped).
    pub intended: u64,
    pub sent: u64,
    /// Due, but not sent when the run ended.
    pub never_sent: u64,
    /// Answered with the expected status.
    pub ok: u64,
    /// Answered with another status, by code.
    pub status: BTreeMap<u16, u64>,
    pub timeout: u64,
    /// The connection died between the first byte of the request and the end of the answer.
    pub reset: u64,
    /// No connection could be made.
    pub connect_error: u64,
    /// Sent, and neither answered nor timed out when the run ended.
    pub in_flight_at_end: u64,
}

/// Latency over the whole run. Every intended request is one sample of `response`: a request without an answer
/// counts with its age when it failed or when the run ended, which is a lower bound.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Latency {
    /// From the due time to the end of the answer.
    pub response: Percentiles,
    /// From the first byte written to the end of the answer.
    pub service: Percentiles,
    /// From the due time until a sender had it in hand: the generator's own lateness.
    pub lag: Percentiles,
    /// From a sender's hand to the first byte written: waiting for a connection.
    pub connection_wait: Percentiles,
    /// `response` of the requests in `ok` alone.
    pub response_ok: Percentiles,
}

/// A distribution in microseconds, three significant digits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Percentiles {
    pub count: u64,
    pub min: u64,
    pub mean: f64,
    pub p50: u64,
    pub p75: u64,
    pub p90: u64,
    pub p95: u64,
    pub p99: u64,
    pub p999: u64,
    pub p9999: u64,
    pub max: u64,
}

/// The generator's own condition, from which `generator_limited` is decided.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Generator {
    /// Requests a second that the schedule asked for, mean.
    pub offered_rps: f64,
    /// Requests a second that were sent, mean, until the last one was sent.
    pub achieved_rps: f64,
    /// Requests a second answered as expected, mean over the schedule.
    pub ok_rps: f64,
    /// CPU seconds of the pacer and the senders per second of run; the busiest sender alone.
    pub cpu_cores: f64,
    pub busiest_sender: f64,
    /// Most connections open at once, and connections opened in all.
    pub connections_peak: u64,
    pub connections_opened: u64,
    /// Most requests that waited for a connection at once.
    pub queue_peak: u64,
    /// Times the pacer woke more than a millisecond late, and the worst, in microseconds.
    pub stalls: u64,
    pub worst_stall_us: u64,
    /// The machine while it ran, where /proc tells.
    pub machine: Option<Machine>,
}

/// CPU shares of the whole machine during the run (0 to 1).
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Machine {
    pub busy: f64,
    pub steal: f64,
}

/// One interval of the run. Latencies are of the requests that ended in it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Second {
    /// Start of the interval, seconds from the start of the schedule.
    pub at_s: u32,
    /// Requests due in it, by the schedule.
    pub offered: u64,
    pub sent: u64,
    pub ok: u64,
    /// Ended in any other way.
    pub failed: u64,
    pub response: Percentiles,
    pub service: Percentiles,
    pub lag: Percentiles,
    /// At the end of the interval: sent and not ended, waiting for a connection, open connections.
    pub in_flight: u64,
    pub queued: u64,
    pub connections: u64,
}

impl Accounting {
    /// Which of the two sums does not agree, in words.
    pub fn fault(&self) -> Option<String> {
        let ended = self.ok
            + self.status.values().sum::<u64>()
            + self.timeout
            + self.reset
            + self.connect_error
            + self.in_flight_at_end;
        if self.intended != self.sent + self.never_sent {
            return Some(format!(
                "intended {} is not sent {} + never sent {}",
                self.intended, self.sent, self.never_sent
            ));
        }
        (self.sent != ended)
            .then(|| format!("sent {} is not the sum of its ends {ended}", self.sent))
    }
}
