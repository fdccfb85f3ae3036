//! Time as the caller gives it: integer microseconds from any fixed origin.
//!
//! Must not read a clock.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A point in time, in microseconds since an origin of the caller's choice (the Unix epoch in a journal).
///
/// Whole seconds of the origin matter: `lastActiveTime` is truncated to them, as the API server truncates it.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(i64);

const SECOND: i64 = 1_000_000;

impl Timestamp {
    /// Wraps microseconds since the origin.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Wraps whole seconds since the origin.
    pub const fn from_secs(seconds: i64) -> Self {
        Self(seconds.saturating_mul(SECOND))
    }

    /// Returns the microseconds since the origin.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Returns the point so many seconds later (earlier, where negative).
    #[must_use]
    pub const fn plus_secs(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds.saturating_mul(SECOND)))
    }

    /// Returns the point so many microseconds later (earlier, where negative).
    #[must_use]
    pub const fn plus_micros(self, micros: i64) -> Self {
        Self(self.0.saturating_add(micros))
    }

    /// Returns the start of this point's second, which is what survives a round trip through the API server.
    #[must_use]
    pub const fn truncated_to_second(self) -> Self {
        Self(self.0 - self.0.rem_euclid(SECOND))
    }

    /// Returns the whole seconds from `earlier` to this point, rounded down; negative when it lies before.
    pub const fn secs_since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0).div_euclid(SECOND)
    }
}

impl fmt::Display for Timestamp {
    /// Seconds with microseconds, such as `1700000000.250000`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}.{:06}",
            self.0.div_euclid(SECOND),
            self.0.rem_euclid(SECOND)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn truncates_towards_the_past() {
        assert_eq!(
            Timestamp::from_micros(1_999_999).truncated_to_second(),
            Timestamp::from_secs(1)
        );
        assert_eq!(
            Timestamp::from_micros(-1).truncated_to_second(),
            Timestamp::from_secs(-1)
        );
        assert_eq!(
            Timestamp::from_secs(5).secs_since(Timestamp::from_micros(4_500_000)),
            0
        );
    }
}
