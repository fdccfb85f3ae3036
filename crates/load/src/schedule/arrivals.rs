//! How arrivals lie between the marks of the rate: evenly, or at random as users come.
//!
//! It must not keep state that changes an answer: a cursor only remembers what it computed last.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Schedule;

/// Requests in a block of random arrivals.
const BLOCK: u64 = 1024;

/// The kind of arrivals.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Arrivals {
    /// Independent users. The cumulative count is cut into blocks of 1,024 requests; inside a block the arrivals are
    /// the order statistics of uniform points, which is what a Poisson process looks like when its count is known.
    /// So the count of the whole run is exact, and request i needs the seed and its own block alone.
    #[default]
    Poisson,
    /// Request i exactly where the integral of the rate reaches i.
    Uniform,
}

impl Arrivals {
    pub fn name(self) -> &'static str {
        match self {
            Self::Poisson => "poisson",
            Self::Uniform => "uniform",
        }
    }
}

/// The requests i with `i mod of == index`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    pub index: u64,
    pub of: u64,
}

impl Shard {
    /// All of the schedule.
    pub const WHOLE: Self = Self { index: 0, of: 1 };

    /// How many of the first `count` requests are in the shard.
    pub fn len(self, count: u64) -> u64 {
        (count + self.of - 1).saturating_sub(self.index) / self.of
    }

    pub fn is_empty(self, count: u64) -> bool {
        self.len(count) == 0
    }

    /// Index in the schedule of the shard's n-th request.
    pub fn nth(self, n: u64) -> u64 {
        n * self.of + self.index
    }
}

/// Answers "when is request i due"; fast when asked in order.
#[derive(Debug, Clone)]
pub struct Cursor<'a> {
    schedule: &'a Schedule,
    block: Option<u64>,
    offsets: Vec<f64>,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(schedule: &'a Schedule) -> Self {
        Self {
            schedule,
            block: None,
            offsets: Vec::new(),
        }
    }

    /// Nanoseconds from the start at which request `index` is due.
    pub fn due_ns(&mut self, index: u64) -> u64 {
        let requests = match self.schedule.arrivals {
            Arrivals::Uniform => index as f64,
            Arrivals::Poisson => self.random_position(index),
        };
        (self.schedule.moment_of(requests) * 1e9) as u64
    }

    fn random_position(&mut self, index: u64) -> f64 {
        let block = index / BLOCK;
        if self.block != Some(block) {
            self.fill(block);
            self.block = Some(block);
        }
        (block * BLOCK) as f64 + self.offsets[(index % BLOCK) as usize]
    }

    /// Order statistics without sorting: n + 1 exponential gaps, scaled to the width of the block.
    fn fill(&mut self, block: u64) {
        let points = BLOCK.min(self.schedule.count - block * BLOCK);
        let mut sum = 0.0;
        self.offsets.clear();
        for point in 0..=points {
            sum -= unit(self.schedule.seed, block, point).ln();
            self.offsets.push(sum);
        }
        let width = points as f64 / sum;
        self.offsets.pop();
        for offset in &mut self.offsets {
            *offset *= width;
        }
    }
}

/// A number in (0, 1] that depends on its three arguments alone (`SplitMix64`'s finaliser, applied twice).
fn unit(seed: u64, block: u64, point: u64) -> f64 {
    let word = mix(mix(seed ^ block.wrapping_mul(0x9E37_79B9_7F4A_7C15)).wrapping_add(point));
    ((word >> 11) + 1) as f64 / (1u64 << 53) as f64
}

fn mix(word: u64) -> u64 {
    let mut z = word.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
