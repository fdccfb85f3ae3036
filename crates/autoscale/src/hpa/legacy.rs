//! The path of an HPA without `behavior`: highest proposal of the window, doubling at most.
//!
//! Must not be "fixed": its stabilizer also scales up towards an old proposal, as the real one does.

use super::{Limit, Recommendation};
use crate::time::Timestamp;

/// Returns the highest proposal of the window, and remembers the new one.
///
/// The last expired slot is overwritten; the list only grows when none has expired.
pub fn stabilize(log: &mut Vec<Recommendation>, now: Timestamp, window: i64, replicas: i32) -> i32 {
    let cutoff = now.plus_secs(-window);
    let mut highest = replicas;
    let mut expired = None;
    for (index, seen) in log.iter().enumerate() {
        if seen.at < cutoff {
            expired = Some(index);
        } else {
            highest = highest.max(seen.replicas);
        }
    }
    remember(log, expired, Recommendation { replicas, at: now });
    highest
}

/// Overwrites the expired slot, or appends.
pub(super) fn remember(log: &mut Vec<Recommendation>, expired: Option<usize>, new: Recommendation) {
    match expired.and_then(|index| log.get_mut(index)) {
        Some(slot) => *slot = new,
        None => log.push(new),
    }
}

/// Clamps a size between the bounds and to twice the present size (4 at least).
pub fn clamp(current: i32, desired: i32, min: i32, max: i32) -> (i32, Limit) {
    let doubled = (2.0 * f64::from(current)).max(4.0) as i32;
    let (most, limit) = if max > doubled {
        (doubled, Limit::ScaleUpLimit)
    } else {
        (max, Limit::TooManyReplicas)
    };
    if desired < min {
        (min, Limit::TooFewReplicas)
    } else if desired > most {
        (most, limit)
    } else {
        (desired, Limit::DesiredWithinRange)
    }
}
