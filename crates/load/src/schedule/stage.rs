//! One stage of a schedule: a rate that stays or changes along a straight line, and its notation.
//!
//! It must not know arrivals or other stages.

use std::fmt;
use std::time::Duration;

/// A rate over a time: constant where `from` equals `to`, else a ramp.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stage {
    from: f64,
    to: f64,
    duration: Duration,
}

/// A stage's notation that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StageError {
    #[error("stage `{text}` has no `/`: write RATE/TIME, such as `500/30s` or `0..2000/30s`")]
    NoTime { text: String },
    #[error(
        "rate `{rate}` in stage `{text}` is not a number of requests a second from 0 to 10,000,000"
    )]
    Rate { text: String, rate: String },
    #[error("`{time}` in stage `{text}` is not a time such as `30s`, `500ms` or `2m`")]
    Time { text: String, time: String },
    #[error("`{steps}` in stage `{text}` is not a number of steps from 2 to 1000")]
    Steps { text: String, steps: String },
}

impl Stage {
    /// `rps` requests a second for `duration`.
    pub fn constant(rps: f64, duration: Duration) -> Self {
        Self::ramp(rps, rps, duration)
    }

    /// From one rate to another along a straight line.
    pub fn ramp(from: f64, to: f64, duration: Duration) -> Self {
        Self {
            from: from.max(0.0),
            to: to.max(0.0),
            duration,
        }
    }

    /// `steps` constant stages of equal length from one rate to another, both included.
    pub fn steps(from: f64, to: f64, steps: u32, duration: Duration) -> Vec<Self> {
        let steps = steps.max(2);
        let rate = |k: u32| from + (to - from) * f64::from(k) / f64::from(steps - 1);
        (0..steps)
            .map(|k| Self::constant(rate(k), duration / steps))
            .collect()
    }

    /// Reads `500/30s`, `0..2000/30s` (ramp) or `100..500:5/50s` (five steps); the last gives several stages.
    pub fn parse(text: &str) -> Result<Vec<Self>, StageError> {
        let owned = || text.to_owned();
        let (rates, time) = text
            .trim()
            .rsplit_once('/')
            .ok_or_else(|| StageError::NoTime { text: owned() })?;
        let duration =
            parse_time(time)
                .filter(|d| !d.is_zero())
                .ok_or_else(|| StageError::Time {
                    text: owned(),
                    time: time.to_owned(),
                })?;
        let rate = |r: &str| {
            parse_rate(r).ok_or_else(|| StageError::Rate {
                text: owned(),
                rate: r.to_owned(),
            })
        };
        let Some((from, to)) = rates.split_once("..") else {
            return Ok(vec![Self::constant(rate(rates)?, duration)]);
        };
        let Some((to, steps)) = to.split_once(':') else {
            return Ok(vec![Self::ramp(rate(from)?, rate(to)?, duration)]);
        };
        let count = steps.trim().parse().ok().filter(|n| (2..=1000).contains(n));
        let count = count.ok_or_else(|| StageError::Steps {
            text: owned(),
            steps: steps.to_owned(),
        })?;
        Ok(Self::steps(rate(from)?, rate(to)?, count, duration))
    }

    pub(super) fn seconds(self) -> f64 {
        self.duration.as_secs_f64()
    }

    pub(super) fn requests(self) -> f64 {
        f64::midpoint(self.from, self.to) * self.seconds()
    }

    pub(super) fn rate_at(self, seconds: f64) -> f64 {
        self.from + self.slope() * seconds
    }

    pub(super) fn requests_until(self, seconds: f64) -> f64 {
        let t = seconds.clamp(0.0, self.seconds());
        self.from * t + self.slope() * t * t / 2.0
    }

    /// Solves `from·t + slope·t²/2 = requests` in the form that loses no digits when the slope is small.
    pub(super) fn moment_of(self, requests: f64) -> f64 {
        let root = (self.from * self.from + 2.0 * self.slope() * requests)
            .max(0.0)
            .sqrt();
        let divisor = self.from + root;
        if divisor <= 0.0 {
            0.0
        } else {
            (2.0 * requests / divisor).clamp(0.0, self.seconds())
        }
    }

    fn slope(self) -> f64 {
        let seconds = self.seconds();
        if seconds > 0.0 {
            (self.to - self.from) / seconds
        } else {
            0.0
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.from)?;
        if self.from.to_bits() != self.to.to_bits() {
            write!(f, "..{}", self.to)?;
        }
        write!(f, "/{}s", self.seconds())
    }
}

fn parse_rate(text: &str) -> Option<f64> {
    let rate: f64 = text.trim().parse().ok()?;
    (0.0..=1e7).contains(&rate).then_some(rate)
}

/// Reads `30s`, `1.5m`, `500ms`, `2h`; a bare number is not a time.
pub(crate) fn parse_time(text: &str) -> Option<Duration> {
    let text = text.trim();
    let split = text.find(|c: char| c.is_ascii_alphabetic() || c == 'µ')?;
    let (number, unit) = text.split_at(split);
    let number: f64 = number.trim_end().parse().ok().filter(|n: &f64| *n >= 0.0)?;
    let unit = match unit {
        "us" | "µs" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        _ => return None,
    };
    Duration::try_from_secs_f64(number * unit)
        .ok()
        .filter(|d| d.as_secs() <= 31 * 86_400)
}
