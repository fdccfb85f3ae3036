//! Both machines against a small queue: the two traps of KEDA's defaults, and the cure that our manifests use.
//!
//! Must not claim a real cluster's figures; the world is a model of a few lines.

mod support;

use support::{Run, Signal, World, scaled_object};

const HOUR: u64 = 36_000;

/// 5 tasks a second, for ever.
fn steady(tick: u64) -> u64 {
    u64::from(tick.is_multiple_of(2))
}

/// 500 tasks at once.
fn burst(tick: u64) -> u64 {
    if tick == 0 { 500 } else { 0 }
}

fn run_steady(signal: Signal) -> Run {
    let object = scaled_object(5, false);
    World {
        object,
        signal,
        arrivals: steady,
        service: 10,
        start_delay: 50,
        ticks: HOUR,
    }
    .run()
}

fn run_burst(behavior: bool) -> Run {
    let object = scaled_object(5, behavior);
    let signal = Signal::Waiting;
    World {
        object,
        signal,
        arrivals: burst,
        service: 20,
        start_delay: 50,
        ticks: HOUR / 4,
    }
    .run()
}

#[test]
fn counting_only_what_waits_scales_a_busy_fleet_to_zero() {
    let run = run_steady(Signal::Waiting);
    // One cycle is the climb plus the cooldown of 300 s, so an hour holds eight or more.
    assert!(run.falls_to_zero() >= 8, "{} falls", run.falls_to_zero());
    assert!(run.done > 15_000);
}

#[test]
fn counting_what_runs_as_well_never_does() {
    let run = run_steady(Signal::WaitingAndRunning);
    assert_eq!(run.falls_to_zero(), 0);
    let settled = &run.replicas[HOUR as usize / 2..];
    assert!(settled.iter().all(|pods| *pods >= 1));
}

#[test]
fn without_behavior_a_burst_overshoots() {
    let (legacy, behavior) = (run_burst(false), run_burst(true));
    assert_eq!((legacy.done, behavior.done), (500, 500));
    assert!(legacy.peak() >= 90, "legacy peak {}", legacy.peak());
    assert!(behavior.peak() <= 50, "behavior peak {}", behavior.peak());
    assert!(behavior.pod_ticks * 10 < legacy.pod_ticks * 6);
}

#[test]
fn an_idle_platform_ends_at_zero() {
    for behavior in [false, true] {
        assert_eq!(run_burst(behavior).replicas.last(), Some(&0));
    }
}
