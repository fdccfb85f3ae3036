//! From a result to pass or fail: a pure function with its reasons.
//!
//! It must not print; the caller turns the outcome into an exit code's process end.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::result::{Abort, Generator, RunResult};
use crate::slo::{Check, Count, Metric, Slo};

/// How the run ended, worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Not one request was answered.
    Unreachable,
    /// Everything was answered, and not once as expected.
    AllFailed,
    /// The user stopped it: what was measured until then is good, what was outstanding then is not lost.
    Interrupted,
    /// Acknowledged tasks are lost, or ran twice.
    AuditFailed,
    /// The sums of the accounting do not agree: the generator itself is at fault.
    Unaccounted,
    /// The generator, not the target, set the figures.
    GeneratorLimited,
    /// An objective was missed.
    SloMissed,
    Passed,
}

impl Outcome {
    /// The exit code of the contract in the README.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Passed => 0,
            Self::Unaccounted => 1,
            Self::AllFailed | Self::AuditFailed | Self::SloMissed => 4,
            Self::GeneratorLimited => 7,
            Self::Unreachable => 8,
            Self::Interrupted => 130,
        }
    }
}

/// The outcome, its reason in one line, and every check.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Verdict {
    pub outcome: Outcome,
    pub reason: String,
    pub checks: Vec<Check>,
}

/// Judges a result. Lost and duplicated tasks fail every audited run unless an objective allows them.
///
/// A generator that was late is never the reason for a missed objective (that run is `GeneratorLimited`), but it is no
/// reason against objectives that hold: its lateness is in `response`, so what holds, holds all the more without it.
pub fn verdict(result: &RunResult, slos: &[Slo]) -> Verdict {
    let mut checks: Vec<Check> = slos.iter().map(|slo| slo.check(result)).collect();
    let given = slos
        .iter()
        .zip(&checks)
        .filter(|(slo, check)| is_audit(slo) && !check.ok);
    let given_failed = given.map(|(_, check)| describe(check)).next();
    let timed = slos
        .iter()
        .zip(&checks)
        .filter(|(slo, _)| matches!(slo.metric, Metric::Latency(..)));
    let bounds: Vec<bool> = timed.map(|(_, check)| check.ok).collect();
    let bounded = !bounds.is_empty() && bounds.iter().all(|ok| *ok);
    let audit = audit_checks(result, slos);
    let audit_failed = given_failed.or_else(|| audit.iter().find(|c| !c.ok).map(describe));
    checks.extend(audit);
    let missed: Vec<String> = checks.iter().filter(|c| !c.ok).map(describe).collect();
    let (outcome, reason) = unusable(result)
        .or_else(|| interrupted(result))
        .or_else(|| audit_failed.map(|what| (Outcome::AuditFailed, what)))
        .or_else(|| short(result).map(|why| (Outcome::GeneratorLimited, why)))
        .or_else(|| {
            late(result)
                .filter(|_| !bounded)
                .map(|why| (Outcome::GeneratorLimited, why))
        })
        .or_else(|| (!missed.is_empty()).then(|| (Outcome::SloMissed, missed.join("; "))))
        .unwrap_or_else(|| (Outcome::Passed, passed(result)));
    Verdict {
        outcome,
        reason,
        checks,
    }
}

fn passed(result: &RunResult) -> String {
    late(result).map_or_else(
        || "every check holds".to_owned(),
        |why| format!("every check holds, although {why}"),
    )
}

fn is_audit(slo: &Slo) -> bool {
    matches!(slo.metric, Metric::Count(Count::Lost | Count::Duplicated))
}

/// A result that says nothing about the target's quality.
fn unusable(result: &RunResult) -> Option<(Outcome, String)> {
    let sums = &result.accounting;
    let answered = sums.ok + sums.status.values().sum::<u64>();
    if let Some(fault) = sums.fault() {
        return Some((Outcome::Unaccounted, fault));
    }
    if answered == 0 && sums.intended > 0 && result.aborted != Some(Abort::Interrupted) {
        let reason = format!(
            "nothing answered at {}: {} refused, {} timed out, {} reset, {} never sent",
            result.setup.url, sums.connect_error, sums.timeout, sums.reset, sums.never_sent
        );
        return Some((Outcome::Unreachable, reason));
    }
    if sums.ok == 0 && answered > 0 {
        let statuses: Vec<_> = sums
            .status
            .iter()
            .map(|(code, n)| format!("{n} × {code}"))
            .collect();
        let reason = format!("no request succeeded: {}", statuses.join(", "));
        return Some((Outcome::AllFailed, reason));
    }
    None
}

fn interrupted(result: &RunResult) -> Option<(Outcome, String)> {
    let stopped = result.aborted == Some(Abort::Interrupted);
    stopped.then(|| {
        (
            Outcome::Interrupted,
            "stopped before the end of the schedule".to_owned(),
        )
    })
}

/// Why the generator, and not the target, set the latencies.
fn late(result: &RunResult) -> Option<String> {
    let lag = result.latency.lag.p99;
    let response = result.latency.response.p99;
    (lag > 2_000 && lag * 10 > response).then(|| {
        format!(
            "requests left late by themselves: lag p99 {:.1} ms of response p99 {:.1} ms",
            lag as f64 / 1e3,
            response as f64 / 1e3
        )
    })
}

/// Why the generator, and not the target, set the rate.
fn short(result: &RunResult) -> Option<String> {
    let generator = &result.generator;
    let busy = generator.busiest_sender > 0.9;
    (busy && generator.achieved_share() < 0.99).then(|| {
        format!(
            "a sender used {:.0} % of its core and reached {:.1} % of the offered rate",
            generator.busiest_sender * 100.0,
            generator.achieved_share() * 100.0
        )
    })
}

fn audit_checks(result: &RunResult, slos: &[Slo]) -> Vec<Check> {
    let Some(audit) = &result.audit else {
        return Vec::new();
    };
    let given = |count: Count| slos.iter().any(|s| s.metric == Metric::Count(count));
    let rows = [
        ("lost=0", Count::Lost, audit.lost),
        ("duplicated=0", Count::Duplicated, audit.duplicated),
    ];
    rows.into_iter()
        .filter(|(_, count, _)| !given(*count))
        .map(|(slo, _, n)| Check {
            slo: slo.to_owned(),
            measured: Some(n.to_string()),
            ok: n == 0,
        })
        .collect()
}

fn describe(check: &Check) -> String {
    match &check.measured {
        Some(measured) => format!("{} missed: measured {measured}", check.slo),
        None => format!("{} cannot be evaluated: nothing was measured", check.slo),
    }
}

impl Generator {
    /// Achieved rate ÷ offered rate.
    pub fn achieved_share(&self) -> f64 {
        if self.offered_rps > 0.0 {
            self.achieved_rps / self.offered_rps
        } else {
            0.0
        }
    }
}
