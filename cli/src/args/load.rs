//! Grammar of `load`.
//!
//! Clap types only; a stage, a rate or an SLO is parsed by the library that means something by it.

use clap::{Args, ValueEnum};
use std::path::PathBuf;
use std::time::Duration;

/// Distribution of the gaps between requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Arrivals {
    /// As independent users arrive; repeatable by --seed
    Poisson,
    /// Even gaps
    Uniform,
}

/// What is sent, when, and what is asked of the answer.
#[derive(Debug, Args)]
pub struct Shape {
    /// Requests a second
    #[arg(long, value_name = "N")]
    pub rps: Option<f64>,
    /// How long to submit
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = duration, conflicts_with = "stage")]
    pub duration: Duration,
    /// A stage, as RATE/TIME or FROM..TO/TIME; may be repeated, run one after the other
    #[arg(long, value_name = "STAGE", conflicts_with = "rps")]
    pub stage: Vec<String>,
    /// Distribution of arrivals
    #[arg(long, value_name = "KIND", default_value = "poisson")]
    pub arrivals: Arrivals,
    /// Seed of the arrivals (default: random, printed)
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Objectives, as p99<50ms,errors<0.1%,e2e_p95<5s,lost=0; may be repeated; a missed one exits 4
    #[arg(long, value_name = "LIST")]
    pub slo: Vec<String>,
    /// Type of the tasks
    #[arg(long = "type", value_name = "TYPE", default_value = "sleep")]
    pub kind: String,
    /// Payload of the tasks, as JSON
    #[arg(long, value_name = "JSON", default_value = "{\"ms\":20}")]
    pub payload: String,
    /// How long to wait for accepted tasks to finish after the last request, while none finishes
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = duration)]
    pub drain_timeout: Duration,
    /// Wait until the workers are back at their minimum, at most this long
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub wait_zero: Option<Duration>,
}

#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("rate").args(["rps", "stage"]).required(true)))]
pub struct LoadArgs {
    /// Queue to submit to (default: the stack's)
    #[arg(long, value_name = "NAME")]
    pub queue: Option<String>,
    /// Load this address in place of a stack: plain requests, no tasks and no audit
    #[arg(long, value_name = "URL", conflicts_with_all = ["queue", "wait_zero"])]
    pub url: Option<String>,
    /// Method of the requests to --url (default: GET, or POST with a body)
    #[arg(long, value_name = "METHOD", requires = "url")]
    pub method: Option<String>,
    /// Body of the requests to --url; {{index}} and {{run}} are filled in
    #[arg(long, value_name = "TEXT", requires = "url")]
    pub body: Option<String>,
    /// Header of the requests to --url, as Name: value; may be repeated
    #[arg(long, value_name = "HEADER", requires = "url")]
    pub header: Vec<String>,
    /// When a request without an answer counts as timed out
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    pub timeout: Duration,
    /// Most connections at once
    #[arg(long, value_name = "N", default_value_t = 512)]
    pub connections: usize,
    /// Write the whole result as JSON to this file too
    #[arg(long, value_name = "FILE")]
    pub save: Option<PathBuf>,
    #[command(flatten)]
    pub shape: Shape,
}

/// Reads `1500ms`, `30s`, `5m`, `1h30m`; a bare number is refused, because its unit would be a guess.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    const UNITS: [(&str, f64); 4] = [("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];
    let bad = || format!("`{text}` is not a time; write it as 1500ms, 30s, 5m or 1h30m");
    let mut rest = text.trim();
    let mut seconds = 0.0;
    if rest.is_empty() {
        return Err(bad());
    }
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .ok_or_else(bad)?;
        let number: f64 = rest[..digits].parse().map_err(|_| bad())?;
        let unit = &rest[digits..];
        let end = unit
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(unit.len());
        let (_, scale) = UNITS
            .iter()
            .find(|(name, _)| *name == &unit[..end])
            .ok_or_else(bad)?;
        seconds += number * scale;
        rest = &unit[end..];
    }
    if seconds > 0.0 && seconds < 1e7 {
        Ok(Duration::from_secs_f64(seconds))
    } else {
        Err(bad())
    }
}

#[cfg(test)]
mod tests {
    use super::duration;
    use std::time::Duration;

    #[test]
    fn reads_times_with_units_and_refuses_the_rest() {
        assert_eq!(duration("1h30m").unwrap(), Duration::from_mins(90));
        assert_eq!(duration("250ms").unwrap(), Duration::from_millis(250));
        assert_eq!(duration("1.5s").unwrap(), Duration::from_millis(1500));
        for bad in [
            "", "5", "s", "-1s", "0s", "1d", "1.2.3s", "1e99h", "ms", "5 s 3",
        ] {
            assert!(duration(bad).is_err(), "{bad:?} was read");
        }
    }
}
