//! What a run must reach: `p99<50ms,errors<0.1%,e2e_p95<5s,lost=0`.
//!
//! It must not decide exit codes; an objective without data fails rather than passes.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

mod evaluate;
mod parse;

pub use parse::{SloError, parse_slos};

/// One objective: a metric, a comparison and a limit.
#[derive(Debug, Clone, PartialEq)]
pub struct Slo {
    pub metric: Metric,
    pub comparison: Comparison,
    /// Microseconds for latencies, seconds for times, a fraction for shares, else a count.
    pub limit: f64,
    /// As it was written.
    pub text: String,
}

/// What can be measured against a limit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Metric {
    /// A figure of a distribution, in microseconds.
    Latency(Span, Figure),
    /// A share between 0 and 1 (may exceed 1 for `achieved`).
    Share(Share),
    /// A number of requests, tasks or replicas.
    Count(Count),
    /// A time in seconds, read from the platform's timeline.
    Time(Time),
}

/// Which distribution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Span {
    Response,
    Service,
    Lag,
    /// Due time to task finished; and its three parts.
    EndToEnd,
    Submit,
    Wait,
    Run,
}

/// Which figure of a distribution.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Figure {
    /// One of the percentiles that a result keeps: 50, 75, 90, 95, 99, 99.9, 99.99.
    Percentile(f64),
    Mean,
    Max,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    /// Requests that did not end in `ok`, of all intended ones.
    Errors,
    /// Sent rate of the offered rate.
    Achieved,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    Lost,
    Duplicated,
    Dead,
    Unexpected,
    NeverSent,
    Timeouts,
    Resets,
    BacklogPeak,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Time {
    FirstWorker,
    T50,
    T90,
    Drain,
    ToZero,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Equal,
}

impl Comparison {
    pub(crate) fn holds(self, measured: f64, limit: f64) -> bool {
        match self {
            Self::Less => measured < limit,
            Self::LessOrEqual => measured <= limit,
            Self::Greater => measured > limit,
            Self::GreaterOrEqual => measured >= limit,
            Self::Equal => (measured - limit).abs() < f64::EPSILON,
        }
    }
}

impl fmt::Display for Slo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// An objective with what was measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Check {
    /// As it was written, or the name of a check that holds for every run.
    pub slo: String,
    /// In the unit the objective is written in; absent when there was nothing to measure.
    pub measured: Option<String>,
    pub ok: bool,
}
