//! Objectives against a result.
//!
//! It must not guess: what was not measured is `None`, and fails.

use super::{Check, Count, Figure, Metric, Share, Slo, Span, Time};
use crate::result::{Percentiles, RunResult};

impl Slo {
    /// What the result says about this objective.
    pub fn check(&self, result: &RunResult) -> Check {
        let measured = measure(self.metric, result);
        Check {
            slo: self.text.clone(),
            measured: measured.map(|value| shown(self.metric, value)),
            ok: measured.is_some_and(|value| self.comparison.holds(value, self.limit)),
        }
    }
}

fn measure(metric: Metric, result: &RunResult) -> Option<f64> {
    match metric {
        Metric::Latency(span, figure) => latency(span, figure, result),
        Metric::Share(share) => self::share(share, result),
        Metric::Count(count) => self::count(count, result).map(|n| n as f64),
        Metric::Time(time) => self::time(time, result),
    }
}

fn latency(span: Span, figure: Figure, result: &RunResult) -> Option<f64> {
    let audit = result.audit.as_ref();
    let distribution = match span {
        Span::Response => Some(&result.latency.response),
        Span::Service => Some(&result.latency.service),
        Span::Lag => Some(&result.latency.lag),
        Span::EndToEnd => audit.map(|a| &a.total),
        Span::Submit => audit.map(|a| &a.submit),
        Span::Wait => audit.map(|a| &a.wait),
        Span::Run => audit.map(|a| &a.run),
    };
    let distribution = distribution.filter(|d| d.count > 0)?;
    Some(match figure {
        Figure::Percentile(p) => distribution.percentile(p)? as f64,
        Figure::Mean => distribution.mean,
        Figure::Max => distribution.max as f64,
    })
}

fn share(share: Share, result: &RunResult) -> Option<f64> {
    let sums = &result.accounting;
    let intended = (sums.intended > 0).then_some(sums.intended as f64)?;
    match share {
        Share::Errors => Some((sums.intended - sums.ok) as f64 / intended),
        Share::Achieved => Some(result.generator.achieved_share()),
    }
}

fn count(count: Count, result: &RunResult) -> Option<u64> {
    let audit = result.audit.as_ref();
    match count {
        Count::Lost => audit.map(|a| a.lost),
        Count::Duplicated => audit.map(|a| a.duplicated),
        Count::Dead => audit.map(|a| a.dead),
        Count::Unexpected => audit.map(|a| a.unexpected),
        Count::NeverSent => Some(result.accounting.never_sent),
        Count::Timeouts => Some(result.accounting.timeout),
        Count::Resets => Some(result.accounting.reset),
        Count::BacklogPeak => result.scaling.as_ref().map(|s| s.backlog_peak),
    }
}

fn time(time: Time, result: &RunResult) -> Option<f64> {
    let scaling = result.scaling.as_ref()?;
    match time {
        Time::FirstWorker => scaling.first_worker_s,
        Time::T50 => scaling.t50_s,
        Time::T90 => scaling.t90_s,
        Time::Drain => scaling.drain_s,
        Time::ToZero => scaling.to_zero_s,
    }
}

fn shown(metric: Metric, value: f64) -> String {
    match metric {
        Metric::Latency(..) if value >= 1e6 => format!("{:.2}s", value / 1e6),
        Metric::Latency(..) if value >= 1e3 => format!("{:.1}ms", value / 1e3),
        Metric::Latency(..) => format!("{value:.0}us"),
        Metric::Share(_) => format!("{:.3}%", value * 100.0),
        Metric::Count(_) => format!("{value:.0}"),
        Metric::Time(_) => format!("{value:.1}s"),
    }
}

impl Percentiles {
    /// The kept percentile `p` (50, 75, 90, 95, 99, 99.9 or 99.99), in microseconds.
    pub fn percentile(&self, p: f64) -> Option<u64> {
        match (p * 100.0).round() as u64 {
            5_000 => Some(self.p50),
            7_500 => Some(self.p75),
            9_000 => Some(self.p90),
            9_500 => Some(self.p95),
            9_900 => Some(self.p99),
            9_990 => Some(self.p999),
            9_999 => Some(self.p9999),
            _ => None,
        }
    }
}
