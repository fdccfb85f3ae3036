//! The operator's loop beyond the vectors: fallback, formulas, pauses, cached metrics, versions, Jobs.

#![expect(clippy::unwrap_used, reason = "a helper of tests fails by panicking")]

mod support;

use kedactl_autoscale::Timestamp;
use kedactl_autoscale::api::{
    AdvancedConfig, Fallback, FallbackBehavior, MetricType, ScaledJobSpec, ScaledObject,
    ScalingModifiers, Trigger,
};
use kedactl_autoscale::hpa::MetricReading;
use kedactl_autoscale::keda::{
    KedaLoop, KedaOptions, KedaReason, KedaVersion, PollInput, PollOutcome, Reading, ServeInput,
};
use kedactl_autoscale::scaled_job::{self, JobInput, JobQueue};
use support::{metadata, scaled_object};

const NOW: Timestamp = Timestamp::from_secs(1_000_000);

fn start(object: &ScaledObject) -> KedaLoop {
    KedaLoop::new(object, KedaOptions::default()).unwrap()
}

fn poll(machine: &mut KedaLoop, at: i64, current: i32, reading: Reading) -> PollOutcome {
    let readings = vec![reading];
    let input = PollInput {
        current_replicas: current,
        ready_replicas: current,
        readings,
    };
    machine.poll(NOW.plus_secs(at), &input)
}

fn serve(machine: &mut KedaLoop, current: i32, readings: Vec<Reading>) -> MetricReading {
    let input = ServeInput {
        current_replicas: current,
        ready_replicas: current,
        readings,
    };
    machine.serve(&input).remove(0).reading
}

fn failed() -> Reading {
    Reading::failed(0, "no connection")
}

#[test]
fn polls_and_hpa_queries_count_failures_together() {
    let mut object = scaled_object(5, true);
    object.spec.fallback = Some(Fallback {
        failure_threshold: 3,
        replicas: 6,
        behavior: None,
    });
    let mut machine = start(&object);
    poll(&mut machine, 0, 2, Reading::count(0, 10));
    assert!(matches!(
        serve(&mut machine, 2, vec![failed()]),
        MetricReading::Failed { .. }
    ));
    assert!(matches!(
        serve(&mut machine, 2, vec![failed()]),
        MetricReading::Failed { .. }
    ));
    let third = poll(&mut machine, 30, 2, failed());
    assert_eq!(
        (third.reason, third.failed),
        (KedaReason::HeldByFallback, true)
    );
    assert_eq!(
        serve(&mut machine, 2, vec![failed()]),
        MetricReading::single(30_000)
    );
    let later = poll(&mut machine, 60, 2, failed());
    assert_eq!((later.active, later.reason), (true, KedaReason::Active));
    assert_eq!(
        serve(&mut machine, 2, vec![Reading::count(0, 7)]),
        MetricReading::single(7000)
    );
    assert!(matches!(
        serve(&mut machine, 2, vec![failed()]),
        MetricReading::Failed { .. }
    ));
}

#[test]
fn fallbacks_follow_their_behavior() {
    for (behavior, kind, current, want) in [
        (
            FallbackBehavior::Static,
            MetricType::AverageValue,
            9,
            30_000,
        ),
        (
            FallbackBehavior::CurrentReplicas,
            MetricType::AverageValue,
            9,
            45_000,
        ),
        (
            FallbackBehavior::CurrentReplicasIfHigher,
            MetricType::AverageValue,
            9,
            45_000,
        ),
        (
            FallbackBehavior::CurrentReplicasIfLower,
            MetricType::AverageValue,
            9,
            30_000,
        ),
        (FallbackBehavior::Static, MetricType::Value, 4, 7500),
    ] {
        let mut object = scaled_object(5, true);
        let behavior = Some(behavior);
        object.spec.fallback = Some(Fallback {
            failure_threshold: 0,
            replicas: 6,
            behavior,
        });
        object.spec.triggers[0].metric_type = Some(kind);
        let found = serve(&mut start(&object), current, vec![failed()]);
        assert_eq!(found, MetricReading::single(want), "{behavior:?}");
    }
}

#[test]
fn the_cooldown_counts_from_the_whole_second() {
    let mut machine = start(&scaled_object(5, true));
    let half = |at: i64| NOW.plus_secs(at).plus_micros(500_000);
    let input = |length| PollInput {
        current_replicas: 3,
        ready_replicas: 3,
        readings: vec![Reading::count(0, length)],
    };
    assert_eq!(machine.poll(half(0), &input(1)).last_active, Some(NOW));
    let held = machine.poll(half(299), &input(0));
    assert_eq!(
        held.reason,
        KedaReason::HeldByCooldown {
            until: NOW.plus_secs(300)
        }
    );
    assert!(
        held.message
            .contains("cooldownPeriod holds 3 until 1000300.000000 (1 s more)")
    );
    assert_eq!(
        machine
            .poll(half(300), &input(0))
            .action
            .map(|scale| scale.to),
        Some(0)
    );
}

#[test]
fn a_first_deployment_can_be_held() {
    let mut object = scaled_object(5, true);
    object.spec.initial_cooldown_period = Some(120);
    let options = KedaOptions {
        created: NOW,
        ..KedaOptions::default()
    };
    let mut machine = KedaLoop::new(&object, options).unwrap();
    let held = poll(&mut machine, 120, 1, Reading::count(0, 0));
    assert_eq!(
        held.reason,
        KedaReason::HeldByInitialCooldown {
            until: NOW.plus_secs(120)
        }
    );
    assert_eq!(
        poll(&mut machine, 121, 1, Reading::count(0, 0)).reason,
        KedaReason::Deactivated
    );
}

#[test]
fn a_write_that_fails_is_no_activity() {
    let mut machine = start(&scaled_object(5, true));
    assert_eq!(
        poll(&mut machine, 0, 0, Reading::count(0, 1)).last_active,
        Some(NOW)
    );
    machine.scale_failed();
    assert_eq!(machine.state().last_active, None);
}

#[test]
fn a_pause_stands_still_or_pins_the_count() {
    let mut object = scaled_object(5, true);
    object.metadata.annotations = Some(metadata(&[("autoscaling.keda.sh/paused", "true")]));
    let mut machine = start(&object);
    assert!(!machine.has_hpa());
    assert_eq!(
        poll(&mut machine, 0, 0, Reading::count(0, 9)).reason,
        KedaReason::Paused
    );
    object.metadata.annotations = Some(metadata(&[("autoscaling.keda.sh/paused-replicas", "4")]));
    machine.update(&object).unwrap();
    assert_eq!(
        poll(&mut machine, 30, 9, Reading::count(0, 9))
            .action
            .map(|s| s.to),
        Some(4)
    );
    assert_eq!(
        poll(&mut machine, 60, 4, Reading::count(0, 9)).reason,
        KedaReason::Paused
    );
}

#[test]
fn cached_metrics_are_those_of_the_last_poll() {
    let mut object = scaled_object(5, true);
    object.spec.triggers[0].use_cached_metrics = true;
    let mut machine = start(&object);
    poll(&mut machine, 0, 1, Reading::count(0, 8));
    let found = serve(&mut machine, 1, vec![Reading::count(0, 99)]);
    assert_eq!(found, MetricReading::single(8000));
}

#[test]
fn newer_operators_reuse_what_the_hpa_saw() {
    let mut object = scaled_object(5, true);
    object.spec.min_replica_count = Some(1);
    let options = KedaOptions {
        version: KedaVersion::V2_21,
        created: NOW,
    };
    let mut machine = KedaLoop::new(&object, options).unwrap();
    assert!(!machine.polls_triggers());
    serve(&mut machine, 1, vec![Reading::count(0, 3)]);
    let input = PollInput {
        current_replicas: 1,
        ready_replicas: 1,
        readings: Vec::new(),
    };
    assert_eq!(machine.poll(NOW, &input).reason, KedaReason::Active);
    object.spec.min_replica_count = Some(0);
    assert!(KedaLoop::new(&object, options).unwrap().polls_triggers());
}

fn with_formula(formula: &str) -> ScaledObject {
    let mut object = scaled_object(5, true);
    object.spec.triggers[0].name = Some("queue".to_owned());
    object.spec.triggers.push(Trigger {
        kind: "prometheus".to_owned(),
        name: Some("busy".to_owned()),
        metadata: metadata(&[
            ("threshold", "1"),
            ("serverAddress", "http://p"),
            ("query", "q"),
        ]),
        ..Trigger::default()
    });
    let scaling_modifiers = Some(ScalingModifiers {
        formula: formula.to_owned(),
        target: "2".to_owned(),
        activation_target: Some("3".to_owned()),
        metric_type: None,
    });
    object.spec.advanced = Some(AdvancedConfig {
        scaling_modifiers,
        ..AdvancedConfig::default()
    });
    object
}

#[test]
fn a_formula_decides_activity_and_value() {
    let mut machine = start(&with_formula("(queue + busy) / 2"));
    let readings = |queue, busy| vec![Reading::count(0, queue), Reading::milli(1, busy)];
    let input = |readings| PollInput {
        current_replicas: 0,
        ready_replicas: 0,
        readings,
    };
    let calm = machine.poll(NOW, &input(readings(5, 1000)));
    assert_eq!((calm.active, calm.composite_milli), (false, Some(3000)));
    let busy = machine.poll(NOW, &input(readings(5, 1333)));
    assert_eq!((busy.active, busy.composite_milli), (true, Some(3166)));
    assert_eq!(
        serve(&mut machine, 1, readings(4, 500)),
        MetricReading::single(2250)
    );
    let half = vec![Reading::count(0, 4)];
    assert!(matches!(
        serve(&mut machine, 1, half.clone()),
        MetricReading::Failed { .. }
    ));
    let mut tolerant = start(&with_formula("busy ?? queue"));
    assert_eq!(serve(&mut tolerant, 1, half), MetricReading::single(4000));
}

#[test]
fn a_formula_without_value_falls_back() {
    let mut object = with_formula("queue + busy");
    object.spec.fallback = Some(Fallback {
        failure_threshold: 0,
        replicas: 7,
        behavior: None,
    });
    let found = serve(&mut start(&object), 1, vec![Reading::count(0, 4)]);
    assert_eq!(found, MetricReading::single(14_000));
}

#[test]
fn names_in_a_formula_must_be_triggers() {
    let error = KedaLoop::new(&with_formula("queue + idle"), KedaOptions::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "scalingModifiers.formula mentions `idle`, which is not the name of an external trigger"
    );
}

#[test]
fn jobs_are_created_for_the_share_of_the_queue_that_has_none() {
    let queue = |length| JobQueue {
        length_milli: length,
        target_milli: 5000,
        active: length > 0,
    };
    let spec = ScaledJobSpec {
        max_replica_count: Some(10),
        ..ScaledJobSpec::default()
    };
    let input = |length, running| JobInput {
        queues: vec![queue(length)],
        running,
        pending: 0,
    };
    assert_eq!(scaled_job::poll(&spec, &input(21_000, 0)).create, 5);
    assert_eq!(scaled_job::poll(&spec, &input(21_000, 3)).create, 2);
    assert_eq!(scaled_job::poll(&spec, &input(500_000, 4)).create, 6);
    assert_eq!(scaled_job::poll(&spec, &input(0, 0)).create, 0);
    let floor = ScaledJobSpec {
        min_replica_count: Some(2),
        ..spec
    };
    assert_eq!(scaled_job::poll(&floor, &input(0, 0)).create, 2);
    // The minimum is taken off the maximum and off what runs.
    assert_eq!(scaled_job::poll(&floor, &input(500_000, 2)).create, 8);
}
