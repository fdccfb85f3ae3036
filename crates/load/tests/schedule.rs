//! Due times are a pure function of the index: the count is the integral, order holds, shards add up.
//!
//! It must not run anything.

use std::time::Duration;

use kedactl_load::{Arrivals, Schedule, Shard, Stage, StageError};
use proptest::prelude::*;

fn stages() -> impl Strategy<Value = Vec<Stage>> {
    let stage = (
        0.0..3_000.0f64,
        0.0..3_000.0f64,
        50u64..2_000,
        any::<bool>(),
    );
    let stage = stage.prop_map(|(from, to, ms, flat)| {
        Stage::ramp(
            from,
            if flat { from } else { to },
            Duration::from_millis(ms),
        )
    });
    prop::collection::vec(stage, 1..5)
}

fn schedule() -> impl Strategy<Value = Schedule> {
    let kind = prop_oneof![Just(Arrivals::Uniform), Just(Arrivals::Poisson)];
    (stages(), kind, any::<u64>()).prop_filter_map("no request", |(stages, kind, seed)| {
        Schedule::new(stages, kind, seed).ok()
    })
}

fn dues(schedule: &Schedule) -> Vec<u64> {
    let mut cursor = schedule.cursor();
    (0..schedule.count()).map(|i| cursor.due_ns(i)).collect()
}

proptest! {
    #[test]
    fn the_count_is_the_integral_of_the_rate(schedule in schedule()) {
        let asked = schedule.requests_until(schedule.duration().as_secs_f64() + 1.0);
        prop_assert!((schedule.count() as f64 - asked).abs() <= 1.0);
    }

    #[test]
    fn due_times_ascend_and_end_with_the_schedule(schedule in schedule()) {
        let dues = dues(&schedule);
        prop_assert!(dues.is_sorted());
        prop_assert!(dues[dues.len() - 1] <= schedule.duration().as_nanos() as u64 + 1_000);
    }

    #[test]
    fn any_order_of_asking_gives_the_same_times(schedule in schedule(), picks in prop::collection::vec(any::<u64>(), 20)) {
        let dues = dues(&schedule);
        let mut cursor = schedule.cursor();
        for pick in picks {
            let index = pick % schedule.count();
            prop_assert_eq!(cursor.due_ns(index), dues[index as usize]);
        }
    }

    #[test]
    fn arrivals_follow_the_rate_everywhere(schedule in schedule()) {
        // Uniform: request i is where the integral reaches i. Poisson: never more than a block away from it.
        let tolerance = if schedule.arrivals() == Arrivals::Uniform { 1e-3 } else { 1_024.0 };
        for (index, due) in dues(&schedule).iter().enumerate() {
            let reached = schedule.requests_until(*due as f64 / 1e9);
            prop_assert!((reached - index as f64).abs() <= tolerance, "{index} at {due}: {reached}");
        }
    }

    #[test]
    fn shards_are_a_partition(count in 0u64..10_000, of in 1u64..9) {
        let shards = (0..of).map(|index| Shard { index, of });
        let mut all: Vec<u64> = shards.flat_map(|s| (0..s.len(count)).map(move |n| s.nth(n))).collect();
        all.sort_unstable();
        prop_assert!(all.into_iter().eq(0..count));
    }

    #[test]
    fn stages_are_read_as_they_are_written(from in 0u32..100_000, to in 0u32..100_000, seconds in 1u32..10_000) {
        let text = format!("{from}..{to}/{seconds}s");
        let shown = Stage::parse(&text).unwrap()[0].to_string();
        let flat = format!("{from}/{seconds}s");
        prop_assert_eq!(shown, if from == to { flat } else { text });
    }

    #[test]
    fn no_text_breaks_the_reader(text in "[0-9./:smh,x -]{0,20}") {
        let _either = Stage::parse(&text);
    }
}

#[test]
fn random_arrivals_are_a_poisson_process_in_the_small() {
    let schedule =
        Schedule::constant(1_000.0, Duration::from_secs(100), Arrivals::Poisson, 42).unwrap();
    let dues = dues(&schedule);
    assert_eq!(dues.len(), 100_000);
    let gaps: Vec<f64> = dues
        .windows(2)
        .map(|w| (w[1] - w[0]) as f64 / 1e6)
        .collect();
    let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
    let variance = gaps.iter().map(|g| (g - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
    // Exponential gaps: the standard deviation equals the mean, and e⁻¹ of them are longer than it.
    assert!(
        (variance.sqrt() / mean - 1.0).abs() < 0.02,
        "{variance} {mean}"
    );
    let long = gaps.iter().filter(|g| **g > mean).count() as f64 / gaps.len() as f64;
    assert!((long - (-1.0f64).exp()).abs() < 0.01, "{long}");
    // Counts in 10 ms: variance equals the mean.
    let mut counts = vec![0.0f64; 10_000];
    for due in &dues {
        counts[(*due / 10_000_000) as usize] += 1.0;
    }
    let spread = counts.iter().map(|c| (c - 10.0).powi(2)).sum::<f64>() / counts.len() as f64;
    assert!((9.0..11.0).contains(&spread), "{spread}");
}

#[test]
fn seeds_repeat_and_differ() {
    let with =
        |seed| Schedule::constant(500.0, Duration::from_secs(3), Arrivals::Poisson, seed).unwrap();
    assert_eq!(dues(&with(1)), dues(&with(1)));
    assert_ne!(dues(&with(1)), dues(&with(2)));
}

#[test]
fn steps_and_ramps_have_their_counts() {
    let count = |text: &str| {
        let stages = text
            .split(',')
            .flat_map(|s| Stage::parse(s).unwrap())
            .collect();
        Schedule::new(stages, Arrivals::Uniform, 0).unwrap().count()
    };
    assert_eq!(count("500/30s"), 15_000);
    assert_eq!(count("0..2000/30s"), 30_000);
    assert_eq!(count("100..500:5/50s"), 15_000);
    assert_eq!(count("0..100/10s,100/10s,100..0/10s"), 2_000);
}

#[test]
fn errors_name_what_is_wrong() {
    let error = |text: &str| Stage::parse(text).unwrap_err().to_string();
    assert_eq!(
        error("500"),
        "stage `500` has no `/`: write RATE/TIME, such as `500/30s` or `0..2000/30s`"
    );
    assert_eq!(
        error("5/30"),
        "`30` in stage `5/30` is not a time such as `30s`, `500ms` or `2m`"
    );
    assert!(matches!(Stage::parse("x/30s"), Err(StageError::Rate { rate, .. }) if rate == "x"));
    assert!(
        matches!(Stage::parse("1..2:1/3s"), Err(StageError::Steps { steps, .. }) if steps == "1")
    );
}
