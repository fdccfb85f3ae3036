//! How many Jobs a `ScaledJob` creates on one poll.
//!
//! Must not end a Job: KEDA never kills what runs, except on a rollout.

use serde::{Deserialize, Serialize};

use crate::api::{JobCalculation, JobStrategy, ScaledJobSpec, ScalingStrategy};

/// One trigger's queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct JobQueue {
    /// Length, the sum of the trigger's metrics, in thousandths.
    pub length_milli: i64,
    /// Items that one Job takes, in thousandths.
    pub target_milli: i64,
    /// Whether the trigger is active.
    pub active: bool,
}

/// Everything a poll looks at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct JobInput {
    /// One for each trigger that answered.
    pub queues: Vec<JobQueue>,
    /// Jobs that are neither complete nor failed.
    pub running: i64,
    /// Of these, Jobs with no pod that runs or has succeeded.
    pub pending: i64,
}

/// What a poll decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct JobDecision {
    /// Jobs to create now.
    pub create: i64,
    /// Whether a trigger (or a minimum) makes it active.
    pub active: bool,
    /// Items in the combined queue, rounded up.
    pub queue: i64,
    /// Jobs that the queue deserves before those that exist are taken off.
    pub max_scale: i64,
    /// What the strategy left of it.
    pub effective_max: i64,
    /// One sentence.
    pub message: String,
}

/// Decides one poll.
pub fn poll(spec: &ScaledJobSpec, input: &JobInput) -> JobDecision {
    let strategy = spec.scaling_strategy.clone().unwrap_or_default();
    let (min, max) = bounds(spec);
    let calculation = strategy.multiple_scalers_calculation.unwrap_or_default();
    let (length, wanted) = combine(&input.queues, calculation, max);
    let (mut queue, max_scale) = (length.ceil() as i64, wanted.min(max as f64).ceil() as i64);
    let active = min > 0 || input.queues.iter().any(|queue| queue.active);
    let mut decision = JobDecision {
        create: 0,
        active,
        queue,
        max_scale,
        effective_max: 0,
        message: String::new(),
    };
    if input.running < min {
        decision.create = min - input.running;
        decision.effective_max = decision.create;
        decision.message = format!(
            "{} of at least {min} Jobs run: {} more",
            input.running, decision.create
        );
        return decision;
    }
    let running = input.running - min;
    decision.effective_max = effective_max(&strategy, max_scale, running, input.pending, max);
    if strategy.strategy == Some(JobStrategy::Eager) {
        queue = max_scale;
    }
    if active {
        decision.create = queue.min(decision.effective_max).max(0);
    }
    decision.message = if active {
        format!(
            "queue {queue} deserves {max_scale} Jobs, {} run and {} are pending: {} more",
            input.running, input.pending, decision.create
        )
    } else {
        "no trigger is active".to_owned()
    };
    decision
}

/// Returns how many Jobs a strategy still allows; it may be negative.
///
/// `max_scale` is what the queue deserves, `max` the most that may run beside the minimum.
pub fn effective_max(
    strategy: &ScalingStrategy,
    max_scale: i64,
    running: i64,
    pending: i64,
    max: i64,
) -> i64 {
    match strategy.strategy.unwrap_or_default() {
        JobStrategy::Default => max_scale - running,
        JobStrategy::Custom => custom(strategy, max_scale, running, max),
        JobStrategy::Accurate => {
            if max_scale + running - pending > max {
                max - running
            } else {
                max_scale - pending
            }
        }
        JobStrategy::Eager => (max - running - pending).min(max_scale),
    }
}

fn custom(strategy: &ScalingStrategy, max_scale: i64, running: i64, max: i64) -> i64 {
    let text = strategy
        .custom_scaling_running_job_percentage
        .as_deref()
        .unwrap_or_default();
    // A share that cannot be read falls back to the default strategy, as upstream does after logging it.
    let Ok(share) = text.parse::<f64>() else {
        return max_scale - running;
    };
    let deduction = i64::from(strategy.custom_scaling_queue_length_deduction.unwrap_or(0));
    (max_scale - deduction - (running as f64 * share) as i64).min(max)
}

/// Returns the minimum, and the maximum beside it.
fn bounds(spec: &ScaledJobSpec) -> (i64, i64) {
    let max = i64::from(spec.max_replica_count.unwrap_or(100));
    let min = i64::from(spec.min_replica_count.unwrap_or(0)).min(max);
    (min, max - min)
}

/// Returns the combined length and the Jobs it deserves, over the active triggers.
fn combine(queues: &[JobQueue], calculation: JobCalculation, max: i64) -> (f64, f64) {
    let each: Vec<(f64, f64)> = queues
        .iter()
        .filter(|queue| queue.active)
        .map(|queue| deserved(queue, max))
        .collect();
    let count = each.len().max(1) as f64;
    let sum = each
        .iter()
        .fold((0.0, 0.0), |(a, b), (x, y)| (a + x, b + y));
    let by_length = |a: &&(f64, f64), b: &&(f64, f64)| a.0.total_cmp(&b.0);
    match calculation {
        // The first of equals wins in both, as in upstream's strict comparisons.
        JobCalculation::Max => each
            .iter()
            .rev()
            .max_by(by_length)
            .copied()
            .unwrap_or_default(),
        JobCalculation::Min => each.iter().min_by(by_length).copied().unwrap_or_default(),
        JobCalculation::Avg => (sum.0 / count, sum.1 / count),
        JobCalculation::Sum => sum,
    }
}

fn deserved(queue: &JobQueue, max: i64) -> (f64, f64) {
    let length = queue.length_milli as f64 / 1000.0;
    if queue.target_milli == 0 {
        return (length, 0.0);
    }
    (
        length,
        (length / (queue.target_milli as f64 / 1000.0)).min(max as f64),
    )
}
