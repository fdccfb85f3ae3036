//! A latency distribution in microseconds: three significant digits, memory by range, not by count.
//!
//! It must not lose a value: what is beyond an hour counts as an hour.

use hdrhistogram::Histogram;

use crate::result::Percentiles;

const LONGEST_US: u64 = 3_600_000_000;

/// Grows with the largest value seen (a few kilobytes for milliseconds, 190 kB for an hour).
#[derive(Debug, Clone)]
pub(crate) struct Distribution(Histogram<u64>);

impl Default for Distribution {
    fn default() -> Self {
        let mut histogram = Histogram::new_with_max(4_095, 3)
            .unwrap_or_else(|error| unreachable!("constant bounds are valid: {error}"));
        histogram.auto(true);
        Self(histogram)
    }
}

impl Distribution {
    pub(crate) fn record_ns(&mut self, ns: u64) {
        self.record_us(ns.div_ceil(1_000));
    }

    pub(crate) fn record_us(&mut self, us: u64) {
        // Resizing is on, so the only refusal left would be memory, which aborts by itself.
        let _grown = self.0.record(us.min(LONGEST_US));
    }

    pub(crate) fn add(&mut self, other: &Self) {
        let _grown = self.0.add(&other.0);
    }

    pub(crate) fn summary(&self) -> Percentiles {
        if self.0.is_empty() {
            return Percentiles::default();
        }
        let at = |q| self.0.value_at_quantile(q);
        Percentiles {
            count: self.0.len(),
            min: self.0.min(),
            mean: rounded(self.0.mean()),
            p50: at(0.5),
            p75: at(0.75),
            p90: at(0.9),
            p95: at(0.95),
            p99: at(0.99),
            p999: at(0.999),
            p9999: at(0.9999),
            max: self.0.max(),
        }
    }
}

/// Six decimals: what is measured has no more, and short numbers are the same after a trip through JSON.
pub(crate) fn rounded(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}
