//! Laws that hold for every input: bounds, monotony, the dead band, determinism.

mod support;

use std::collections::BTreeMap;

use kedactl_autoscale::Timestamp;
use kedactl_autoscale::formula::Formula;
use kedactl_autoscale::hpa::{
    Behavior, Hpa, HpaDecision, HpaInput, HpaMetric, HpaMetricKind, HpaOptions, HpaSpec, HpaState,
    HpaTarget, MetricReading, Policy, PolicyType, Recommendation, Rules, ScaleEvent, SelectPolicy,
};
use kedactl_autoscale::keda::{KedaLoop, KedaOptions, KedaState, PollInput, Reading};
use kedactl_autoscale::quantity::parse_milli;
use proptest::prelude::*;
use support::scaled_object;

const NOW: Timestamp = Timestamp::from_secs(1_000_000);

fn policy() -> impl Strategy<Value = Policy> {
    let kind = prop_oneof![Just(PolicyType::Pods), Just(PolicyType::Percent)];
    (kind, 1..300_i32, 1..1800_i64).prop_map(|(kind, value, period)| Policy {
        kind,
        value,
        period,
    })
}

fn rules() -> impl Strategy<Value = Rules> {
    let select = prop_oneof![
        Just(SelectPolicy::Max),
        Just(SelectPolicy::Min),
        Just(SelectPolicy::Disabled)
    ];
    let policies = prop::collection::vec(policy(), 1..3);
    (0..3600_i64, select, policies).prop_map(|(window, select, policies)| Rules {
        window,
        select,
        policies,
        tolerance: None,
    })
}

fn spec() -> impl Strategy<Value = HpaSpec> {
    let behavior = prop::option::of((rules(), rules()));
    (0..5_i32, 0..200_i32, 1..20_000_i64, behavior).prop_map(|(min, more, target, behavior)| {
        let kind = HpaMetricKind::External {
            name: "m".to_owned(),
            labels: BTreeMap::new(),
        };
        HpaSpec {
            name: "hpa".to_owned(),
            namespace: "default".to_owned(),
            min,
            max: (min + more).max(1),
            metrics: vec![HpaMetric {
                kind,
                target: HpaTarget::AverageValue(target),
            }],
            behavior: behavior.map(|(scale_up, scale_down)| Behavior {
                scale_up,
                scale_down,
            }),
        }
    })
}

fn state() -> impl Strategy<Value = HpaState> {
    let log = prop::collection::vec((0..300_i32, 0..4000_i64), 0..6);
    let events = || prop::collection::vec((1..50_i32, 0..2000_i64), 0..4);
    (prop::option::of(log), events(), events()).prop_map(|(log, up, down)| {
        let events = |list: Vec<(i32, i64)>| {
            let event = |(change, age): (i32, i64)| ScaleEvent {
                change,
                at: NOW.plus_secs(-age),
            };
            list.into_iter().map(event).collect()
        };
        let seen = |(replicas, age): (i32, i64)| Recommendation {
            replicas,
            at: NOW.plus_secs(-age),
        };
        HpaState {
            recommendations: log.map(|log| log.into_iter().map(seen).collect()),
            up_events: events(up),
            down_events: events(down),
        }
    })
}

fn sync(spec: &HpaSpec, state: &HpaState, size: i32, status: i32, milli: i64) -> HpaDecision {
    let input = HpaInput {
        spec_replicas: size,
        status_replicas: status,
        metrics: vec![MetricReading::single(milli)],
        pods: Vec::new(),
    };
    Hpa::restore(spec.clone(), HpaOptions::default(), state.clone()).sync(NOW, &input)
}

proptest! {
    #[test]
    fn a_size_stays_between_the_bounds(
        spec in spec(), state in state(), size in 0..400_i32, status in 0..400_i32,
        milli in 0..i64::MAX,
    ) {
        let desired = sync(&spec, &state, size, status, milli).desired;
        prop_assert!(desired <= spec.max);
        if size == 0 && spec.min > 0 {
            prop_assert_eq!(desired, 0);
        } else {
            prop_assert!(desired >= spec.min, "{} below {}", desired, spec.min);
        }
    }

    #[test]
    fn more_load_never_means_fewer_pods(
        spec in spec(), state in state(), size in 0..400_i32, status in 1..400_i32,
        less in 0..4_000_000_i64, more in 0..4_000_000_i64,
    ) {
        let low = sync(&spec, &state, size, status, less);
        let high = sync(&spec, &state, size, status, less + more);
        prop_assert!(low.desired <= high.desired, "{:?}\n{:?}", low, high);
    }

    #[test]
    fn inside_the_tolerance_nothing_moves(
        spec in spec(), offset in 0..1000_i32, share in -990..=990_i64,
    ) {
        let least = spec.min.max(1);
        let size = least + offset % (spec.max - least + 1);
        let HpaTarget::AverageValue(target) = spec.metrics[0].target else { unreachable!() };
        // 9.9 % either way, rounded towards the target.
        let milli = target * i64::from(size) + target * i64::from(size) * share / 10_000;
        let nothing = HpaState { recommendations: Some(Vec::new()), ..HpaState::default() };
        let decision = sync(&spec, &nothing, size, size, milli);
        prop_assert_eq!(decision.desired, size);
        prop_assert!(decision.reason.is_none());
    }

    #[test]
    fn a_sync_is_a_function_of_what_it_sees(
        spec in spec(), state in state(), size in 0..400_i32, milli in 0..i64::MAX,
    ) {
        let json = serde_json::to_string(&state).unwrap();
        let kept: HpaState = serde_json::from_str(&json).unwrap();
        let first = sync(&spec, &state, size, size, milli);
        let again = sync(&spec, &kept, size, size, milli);
        prop_assert_eq!(&first, &again);
        let text = serde_json::to_string(&first).unwrap();
        prop_assert_eq!(first, serde_json::from_str::<HpaDecision>(&text).unwrap());
    }

    #[test]
    fn the_operator_only_takes_its_own_steps(
        min in prop::option::of(0..5_i32), size in 0..50_i32, length in prop::option::of(0..20_u64),
        last in prop::option::of(0..1000_i64), cooldown in prop::option::of(0..600_i32),
    ) {
        let mut object = scaled_object(5, true);
        object.spec.min_replica_count = min;
        object.spec.cooldown_period = cooldown;
        let last_active = last.map(|age| NOW.plus_secs(-age));
        let state = KedaState { last_active, ..KedaState::default() };
        let reading = match length {
            Some(length) => Reading::count(0, length),
            None => Reading::failed(0, "no connection"),
        };
        let input =
            PollInput { current_replicas: size, ready_replicas: size, readings: vec![reading] };
        let options = KedaOptions::default();
        let mut machine = KedaLoop::restore(&object, options, state.clone()).unwrap();
        let outcome = machine.poll(NOW, &input);
        let min = min.unwrap_or(0);
        if let Some(to) = outcome.action.map(|scale| scale.to) {
            prop_assert!(to == min || (to == 1 && min == 0), "to {}", to);
            prop_assert_ne!(to, size);
            prop_assert!(outcome.active || to == min);
        }
        if outcome.failed {
            prop_assert_eq!(outcome.action, None);
            prop_assert_eq!(outcome.last_active, last_active);
        }
        let mut again = KedaLoop::restore(&object, options, state).unwrap();
        prop_assert_eq!(outcome, again.poll(NOW, &input));
    }

    #[test]
    fn no_text_breaks_the_readers(text in ".{0,80}") {
        drop(parse_milli(&text));
        if let Ok(formula) = Formula::parse(&text) {
            drop(formula.evaluate(&|_| Some(1.0)));
        }
    }
}
