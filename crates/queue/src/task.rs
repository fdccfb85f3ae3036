//! What a task is: its kind, payload and rules.
//!
//! It must not talk to Redis; how a task is stored is `envelope`.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// Which waiting tasks go first. Strict, but every sixteenth claim serves the lowest first, so that nothing starves.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    Critical,
    High,
    #[default]
    Normal,
    Low,
}

impl Priority {
    pub const ALL: [Self; 4] = [Self::Critical, Self::High, Self::Normal, Self::Low];

    /// 0 (first) to 3 (last): the number of the ready list.
    pub fn level(self) -> usize {
        self as usize
    }
}

/// The wait before attempt n+1: `base · factor^(n−1)`, at most `max`, then a random part of it between one half and all.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Backoff {
    pub base_ms: u64,
    pub max_ms: u64,
    pub factor: f64,
}

impl Default for Backoff {
    /// 1 s, doubling, up to 10 minutes.
    fn default() -> Self {
        Self {
            base_ms: 1_000,
            max_ms: 600_000,
            factor: 2.0,
        }
    }
}

impl Backoff {
    /// The wait in milliseconds after the given number of failed attempts (from 1); `chance` is 0..1.
    pub fn delay_ms(&self, failed_attempts: u32, chance: f64) -> u64 {
        let exponent = failed_attempts.saturating_sub(1).min(64) as i32;
        let full = self.base_ms as f64 * self.factor.max(1.0).powi(exponent);
        let full = full.min(self.max_ms as f64);
        (full * (0.5 + 0.5 * chance.clamp(0.0, 1.0))) as u64
    }
}

/// Marks a task of an audited run: every finished execution of it is recorded in the run's stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditTag {
    /// 1 to 40 of `A-Z a-z 0-9 _ -`.
    pub run: String,
    pub index: u64,
}

/// A text that is no audit tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("audit tag must be <run>:<index>, the run 1 to 40 of A-Z a-z 0-9 _ -")]
pub struct BadAuditTag;

impl std::str::FromStr for AuditTag {
    type Err = BadAuditTag;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (run, index) = text.split_once(':').ok_or(BadAuditTag)?;
        let index = index.parse().map_err(|_| BadAuditTag)?;
        if run_fits(run) {
            Ok(Self {
                run: run.to_owned(),
                index,
            })
        } else {
            Err(BadAuditTag)
        }
    }
}

impl std::fmt::Display for AuditTag {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.run, self.index)
    }
}

/// Whether the text may name an audited run.
pub fn run_fits(run: &str) -> bool {
    (1..=40).contains(&run.len())
        && run
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

/// When a task becomes due.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum When {
    #[default]
    Now,
    /// So many milliseconds after the server has stored it.
    After(u64),
    /// At this time by the server's clock, milliseconds since 1970.
    At(u64),
}

/// A task to enqueue. `NewTask::new(kind, payload)` has the defaults; set the fields that differ.
#[derive(Debug, Clone)]
pub struct NewTask {
    /// Names the handler: 1 to 128 of `A-Z a-z 0-9 _ - . : /`.
    pub kind: String,
    /// Any JSON value; kept byte for byte.
    pub payload: Box<RawValue>,
    pub priority: Priority,
    pub when: When,
    /// Dropped (outcome expired) when it has not started so long after it was stored; with [`When::After`], so long
    /// after it became due.
    pub expires_in_ms: Option<u64>,
    /// How long one execution may take; the worker's default where absent.
    pub timeout_ms: Option<u64>,
    /// Executions that may fail before the task is dead; at least 1.
    pub max_attempts: u32,
    pub backoff: Backoff,
    /// Keeps the result so long; 0 keeps none.
    pub result_ttl_s: u32,
    /// A second task with the same key (1 to 200 bytes) within 24 h is answered with the first one's id.
    pub idempotency_key: Option<String>,
    pub audit: Option<AuditTag>,
    /// W3C trace context, handed to the worker as it is.
    pub traceparent: Option<String>,
    /// What tracing systems add to it; of no meaning without it.
    pub tracestate: Option<String>,
}

impl NewTask {
    /// A task with the defaults: normal priority, due now, 5 attempts, no result kept.
    pub fn new(kind: impl Into<String>, payload: Box<RawValue>) -> Self {
        Self {
            kind: kind.into(),
            payload,
            priority: Priority::Normal,
            when: When::Now,
            expires_in_ms: None,
            timeout_ms: None,
            max_attempts: 5,
            backoff: Backoff::default(),
            result_ttl_s: 0,
            idempotency_key: None,
            audit: None,
            traceparent: None,
            tracestate: None,
        }
    }

    /// Names the first field that cannot be taken.
    pub fn check(&self) -> Result<(), InvalidTask> {
        let kind_ok = (1..=128).contains(&self.kind.len())
            && self
                .kind
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"_-.:/".contains(&b));
        let key_ok = self
            .idempotency_key
            .as_ref()
            .is_none_or(|k| (1..=200).contains(&k.len()));
        let factor_ok =
            self.backoff.factor.is_finite() && (1.0..=100.0).contains(&self.backoff.factor);
        let trace_ok = self
            .traceparent
            .as_ref()
            .is_none_or(|t| t.len() <= 128 && t.is_ascii());
        let state_ok = self
            .tracestate
            .as_ref()
            .is_none_or(|t| t.len() <= 512 && t.is_ascii());
        let checks = [
            (
                kind_ok,
                "type",
                "must be 1 to 128 characters of A-Z a-z 0-9 _ - . : /",
            ),
            (key_ok, "idempotency_key", "must be 1 to 200 bytes"),
            (factor_ok, "backoff.factor", "must be between 1 and 100"),
            (
                trace_ok,
                "traceparent",
                "must be at most 128 characters of ASCII",
            ),
            (
                state_ok,
                "tracestate",
                "must be at most 512 characters of ASCII",
            ),
            (
                (1..=1000).contains(&self.max_attempts),
                "max_attempts",
                "must be between 1 and 1000",
            ),
            (
                self.audit.as_ref().is_none_or(|a| run_fits(&a.run)),
                "audit",
                "run must be 1 to 40 of A-Z a-z 0-9 _ -",
            ),
            (
                self.times_fit(),
                "delay_ms",
                "times must lie within 10 years",
            ),
        ];
        match checks.iter().find(|(ok, ..)| !ok) {
            Some(&(_, field, problem)) => Err(InvalidTask { field, problem }),
            None => Ok(()),
        }
    }

    fn times_fit(&self) -> bool {
        const TEN_YEARS_MS: u64 = 10 * 366 * 86_400_000;
        const YEAR_2200_MS: u64 = 7_258_118_400_000;
        let when = match self.when {
            When::Now => true,
            When::After(ms) => ms <= TEN_YEARS_MS,
            When::At(ms) => ms <= YEAR_2200_MS,
        };
        let spans = [
            self.expires_in_ms,
            self.timeout_ms,
            Some(self.backoff.base_ms),
            Some(self.backoff.max_ms),
        ];
        when && spans.iter().flatten().all(|&ms| ms <= TEN_YEARS_MS)
            && self.result_ttl_s <= 366 * 86_400
    }
}

/// A field of a task that cannot be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{field} {problem}")]
pub struct InvalidTask {
    pub field: &'static str,
    pub problem: &'static str,
}

/// When an enqueue counts as done.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// The master has it. A fail-over may lose it.
    None,
    /// The master and at least one replica have it: survives the loss of any one node. Needs a replica.
    #[default]
    One,
    /// The master and all replicas that Redis or the Sentinels know have it (at least one): survives all but one
    /// node's loss, and takes nothing while any replica is away.
    All,
}

impl Durability {
    /// How many replicas must confirm where so many are known.
    pub fn replicas(self, known: usize) -> usize {
        match self {
            Self::None => 0,
            Self::One => 1,
            Self::All => known.max(1),
        }
    }
}

impl std::str::FromStr for Durability {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "none" => Ok(Self::None),
            "one" => Ok(Self::One),
            "all" => Ok(Self::All),
            _ => Err("durability must be none, one or all"),
        }
    }
}
