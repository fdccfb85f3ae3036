//! When each request is due: a pure function of the stages, the kind of arrivals, the seed and the index.
//!
//! It must not read a clock and must not accumulate: due times of the same schedule are equal on every machine.

use std::time::Duration;

mod arrivals;
mod stage;

pub use arrivals::{Arrivals, Cursor, Shard};
pub(crate) use stage::parse_time;
pub use stage::{Stage, StageError};

/// Stages one after another, with the kind of arrivals and the seed.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    stages: Vec<Stage>,
    arrivals: Arrivals,
    seed: u64,
    /// Requests due before stage k (cumulative, not rounded), and its start in seconds; one entry more than stages.
    marks: Vec<Mark>,
    count: u64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Mark {
    requests: f64,
    seconds: f64,
}

/// A schedule that cannot be run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    #[error("a schedule needs at least one stage")]
    Empty,
    #[error("the schedule asks for no request at all")]
    NoRequests,
    #[error("the schedule asks for more than 10^12 requests")]
    TooMany,
}

impl Schedule {
    /// Joins stages; refuses a schedule without requests.
    pub fn new(stages: Vec<Stage>, arrivals: Arrivals, seed: u64) -> Result<Self, ScheduleError> {
        if stages.is_empty() {
            return Err(ScheduleError::Empty);
        }
        let mut marks = vec![Mark {
            requests: 0.0,
            seconds: 0.0,
        }];
        let mut end = marks[0];
        for stage in &stages {
            end.requests += stage.requests();
            end.seconds += stage.seconds();
            marks.push(end);
        }
        // Request i is due where the cumulative count reaches i, so a total of 15,000 holds i = 0..=14,999;
        // the margin keeps sums of fractions from adding a request.
        let count = (end.requests - 1e-6).ceil().max(0.0);
        if count < 1.0 {
            return Err(ScheduleError::NoRequests);
        }
        if count > 1e12 {
            return Err(ScheduleError::TooMany);
        }
        Ok(Self {
            stages,
            arrivals,
            seed,
            marks,
            count: count as u64,
        })
    }

    /// One stage of a constant rate.
    pub fn constant(
        rps: f64,
        duration: Duration,
        arrivals: Arrivals,
        seed: u64,
    ) -> Result<Self, ScheduleError> {
        Self::new(vec![Stage::constant(rps, duration)], arrivals, seed)
    }

    /// Requests in the whole schedule.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// From the start to the end of the last stage.
    pub fn duration(&self) -> Duration {
        Duration::from_secs_f64(self.end().seconds)
    }

    pub fn stages(&self) -> &[Stage] {
        &self.stages
    }

    pub fn arrivals(&self) -> Arrivals {
        self.arrivals
    }

    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Requests a second that the stages ask for at `seconds` from the start; 0 outside of them.
    pub fn rate_at(&self, seconds: f64) -> f64 {
        let inside =
            |k: &usize| (self.marks[*k].seconds..self.marks[k + 1].seconds).contains(&seconds);
        let stage = (0..self.stages.len()).find(inside);
        stage.map_or(0.0, |k| {
            self.stages[k].rate_at(seconds - self.marks[k].seconds)
        })
    }

    /// Requests that the stages ask for until `seconds` from the start (the integral of the rate).
    pub fn requests_until(&self, seconds: f64) -> f64 {
        let k = self
            .marks
            .partition_point(|m| m.seconds <= seconds)
            .saturating_sub(1);
        match self.stages.get(k) {
            Some(stage) => {
                self.marks[k].requests + stage.requests_until(seconds - self.marks[k].seconds)
            }
            None => self.end().requests,
        }
    }

    /// The moment, in seconds, at which the stages have asked for `requests`: the inverse of [`Self::requests_until`].
    fn moment_of(&self, requests: f64) -> f64 {
        let after = self.marks.partition_point(|m| m.requests <= requests);
        let k = after.saturating_sub(1).min(self.stages.len() - 1);
        let moment =
            self.marks[k].seconds + self.stages[k].moment_of(requests - self.marks[k].requests);
        moment.min(self.end().seconds)
    }

    fn end(&self) -> Mark {
        self.marks[self.marks.len() - 1]
    }

    /// Due times of a shard in order, or of any index; keeps the block it computed last.
    pub fn cursor(&self) -> Cursor<'_> {
        Cursor::new(self)
    }
}
