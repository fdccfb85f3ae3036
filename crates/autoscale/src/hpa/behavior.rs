//! The path of an HPA with `behavior`: a window and a rate for each direction.
//!
//! Must keep the operand order of the percent policies; the last bit of an `f64` decides whole pods.

use super::spec::{Behavior, PolicyType, Rules, SelectPolicy};
use super::{HpaState, Limit, Recommendation, ScaleEvent, legacy};
use crate::time::Timestamp;

/// Returns the present size moved into the range that both windows allow, and remembers the proposal.
pub fn stabilize(
    log: &mut Vec<Recommendation>,
    now: Timestamp,
    behavior: &Behavior,
    current: i32,
    replicas: i32,
) -> i32 {
    let up_cutoff = now.plus_secs(-behavior.scale_up.window);
    let down_cutoff = now.plus_secs(-behavior.scale_down.window);
    let obsolete = up_cutoff.min(down_cutoff);
    let (mut lowest, mut highest, mut expired) = (replicas, replicas, None);
    for (index, seen) in log.iter().enumerate() {
        if seen.at > up_cutoff {
            lowest = lowest.min(seen.replicas);
        }
        if seen.at > down_cutoff {
            highest = highest.max(seen.replicas);
        }
        if seen.at < obsolete {
            expired = Some(index);
        }
    }
    legacy::remember(log, expired, Recommendation { replicas, at: now });
    // Not `clamp`: the two limits may cross, and then the upper one wins.
    let mut size = current;
    if size < lowest {
        size = lowest;
    }
    if size > highest {
        size = highest;
    }
    size
}

/// Applies the rates and the bounds to a stabilized size.
pub fn limit(
    now: Timestamp,
    behavior: &Behavior,
    state: &HpaState,
    bounds: (i32, i32),
    current: i32,
    desired: i32,
) -> (i32, Limit) {
    let (min, max) = bounds;
    if desired > current {
        let rate = rate_limit_up(
            now,
            &behavior.scale_up,
            current,
            &state.up_events,
            &state.down_events,
        );
        let rate = rate.max(current);
        let (most, limit) = if max > rate {
            (rate, Limit::ScaleUpLimit)
        } else {
            (max, Limit::TooManyReplicas)
        };
        if desired > most {
            return (most, limit);
        }
    } else if desired < current {
        let rate = rate_limit_down(
            now,
            &behavior.scale_down,
            current,
            &state.up_events,
            &state.down_events,
        );
        let rate = rate.min(current);
        let (least, limit) = if min < rate {
            (rate, Limit::ScaleDownLimit)
        } else {
            (min, Limit::TooFewReplicas)
        };
        if desired < least {
            return (least, limit);
        }
    }
    (desired, Limit::DesiredWithinRange)
}

/// Returns the largest size that the policies allow now.
pub fn rate_limit_up(
    now: Timestamp,
    rules: &Rules,
    current: i32,
    up: &[ScaleEvent],
    down: &[ScaleEvent],
) -> i32 {
    let each = rules.policies.iter().map(|policy| {
        let start = period_start(now, policy.period, current, up, down);
        match policy.kind {
            PolicyType::Pods => start.saturating_add(policy.value),
            PolicyType::Percent => {
                (f64::from(start) * (1.0 + f64::from(policy.value) / 100.0)).ceil() as i32
            }
        }
    });
    match rules.select {
        SelectPolicy::Disabled => Some(current),
        SelectPolicy::Max => each.max(),
        SelectPolicy::Min => each.min(),
    }
    .unwrap_or(current)
}

/// Returns the smallest size that the policies allow now; it may be negative.
pub fn rate_limit_down(
    now: Timestamp,
    rules: &Rules,
    current: i32,
    up: &[ScaleEvent],
    down: &[ScaleEvent],
) -> i32 {
    let each = rules.policies.iter().map(|policy| {
        let start = period_start(now, policy.period, current, up, down);
        match policy.kind {
            PolicyType::Pods => start.saturating_sub(policy.value),
            PolicyType::Percent => {
                (f64::from(start) * (1.0 - f64::from(policy.value) / 100.0)) as i32
            }
        }
    });
    match rules.select {
        SelectPolicy::Disabled => Some(current),
        SelectPolicy::Max => each.min(),
        SelectPolicy::Min => each.max(),
    }
    .unwrap_or(current)
}

/// Returns the size at the start of a period, as the remembered changes tell it.
fn period_start(
    now: Timestamp,
    period: i64,
    current: i32,
    up: &[ScaleEvent],
    down: &[ScaleEvent],
) -> i32 {
    let cutoff = now.plus_secs(-period);
    let within = |events: &[ScaleEvent]| -> i32 {
        events
            .iter()
            .filter(|event| event.at > cutoff)
            .fold(0, |sum, event| sum.saturating_add(event.change))
    };
    current
        .saturating_sub(within(up))
        .saturating_add(within(down))
}

/// Remembers a change; an event older than every policy's period gives up its slot.
pub fn record(events: &mut Vec<ScaleEvent>, now: Timestamp, rules: &Rules, change: i32) {
    let cutoff = now.plus_secs(-rules.longest_period());
    let new = ScaleEvent { change, at: now };
    match events
        .iter()
        .rposition(|event| event.at < cutoff)
        .and_then(|i| events.get_mut(i))
    {
        Some(slot) => *slot = new,
        None => events.push(new),
    }
}
