//! Whole sequences of syncs, each the answer to a question that users ask about the HPA.

use std::collections::BTreeMap;

use kedactl_autoscale::Timestamp;
use kedactl_autoscale::calculators::{Tolerance, external_average, external_value};
use kedactl_autoscale::hpa::{
    Behavior, Hpa, HpaDecision, HpaInput, HpaMetric, HpaMetricKind, HpaOptions, HpaSpec, HpaTarget,
    MetricReading, Policy, PolicyType, Recommendation, Rules, ScaleEvent, behavior, legacy,
};

const START: Timestamp = Timestamp::from_secs(1_000_000);

fn hpa(with_behavior: bool) -> Hpa {
    let labels = BTreeMap::from([("scaledobject.keda.sh/name".to_owned(), "worker".to_owned())]);
    let kind = HpaMetricKind::External {
        name: "s0-redis-jobs".to_owned(),
        labels,
    };
    let rules = Behavior {
        scale_up: Rules::default_up(),
        scale_down: Rules::default_down(300),
    };
    let spec = HpaSpec {
        name: "keda-hpa-worker".to_owned(),
        namespace: "keda".to_owned(),
        min: 1,
        max: 100,
        metrics: vec![HpaMetric {
            kind,
            target: HpaTarget::AverageValue(1000),
        }],
        behavior: with_behavior.then_some(rules),
    };
    Hpa::new(spec, HpaOptions::default())
}

fn sync(hpa: &mut Hpa, step: i64, size: i32, proposal: i64) -> HpaDecision {
    let input = HpaInput {
        spec_replicas: size,
        status_replicas: size,
        metrics: vec![MetricReading::single(proposal * 1000)],
        pods: Vec::new(),
    };
    hpa.sync(START.plus_secs(step * 15), &input)
}

fn sizes(with_behavior: bool, proposals: &[i64]) -> Vec<i32> {
    let (mut hpa, mut size) = (hpa(with_behavior), 1);
    let mut sizes = Vec::new();
    for (step, proposal) in proposals.iter().enumerate() {
        size = sync(&mut hpa, step as i64, size, *proposal).desired;
        sizes.push(size);
    }
    sizes
}

#[test]
fn without_behavior_the_size_climbs_towards_an_old_proposal() {
    let falling = [46, 40, 20, 6, 2, 0, 0, 0];
    assert_eq!(sizes(false, &falling), [4, 8, 16, 32, 46, 46, 46, 46]);
    assert_eq!(sizes(true, &falling), [5, 10, 20, 20, 20, 20, 20, 20]);
}

#[test]
fn rungs_under_unlimited_demand() {
    assert_eq!(sizes(false, &[9999; 6]), [4, 8, 16, 32, 64, 100]);
    assert_eq!(sizes(true, &[9999; 6]), [5, 10, 20, 40, 80, 100]);
}

#[test]
fn percent_policies_keep_the_doubles_of_upstream() {
    let rules = |value| Rules {
        policies: vec![Policy {
            kind: PolicyType::Percent,
            value,
            period: 60,
        }],
        ..Rules::default_up()
    };
    assert_eq!(behavior::rate_limit_up(START, &rules(10), 50, &[], &[]), 56);
    assert_eq!(
        behavior::rate_limit_up(START, &rules(10), 100, &[], &[]),
        111
    );
    assert_eq!(behavior::rate_limit_down(START, &rules(80), 5, &[], &[]), 0);
    assert_eq!(
        behavior::rate_limit_down(START, &rules(80), 10, &[], &[]),
        1
    );
    let proposal = external_value(27, 3000, &[25_000], 27, Tolerance::both(0.1));
    assert_eq!(proposal.replicas, 226);
}

/// Over starts 1–299 and values 1–100 the whole-number formula differs in 51 and 166 cases.
#[test]
fn percent_policies_are_not_whole_number_arithmetic() {
    let (mut up, mut down) = (0, 0);
    for start in 1..=299_i32 {
        for value in 1..=100_i32 {
            let policies = vec![Policy {
                kind: PolicyType::Percent,
                value,
                period: 60,
            }];
            let rules = Rules {
                policies,
                ..Rules::default_up()
            };
            let naive_up = (start * (100 + value) + 99) / 100;
            let naive_down = start * (100 - value) / 100;
            up += i32::from(behavior::rate_limit_up(START, &rules, start, &[], &[]) != naive_up);
            down +=
                i32::from(behavior::rate_limit_down(START, &rules, start, &[], &[]) != naive_down);
        }
    }
    assert_eq!((up, down), (51, 166));
}

#[test]
fn a_change_is_told_in_upstreams_words() {
    let mut hpa = hpa(true);
    let decision = sync(&mut hpa, 0, 1, 4);
    let selector = "&LabelSelector{MatchLabels:map[string]string{scaledobject.keda.sh/name: worker,},\
                    MatchExpressions:[]LabelSelectorRequirement{},}";
    let event = &decision.events[0];
    assert_eq!(event.reason, "SuccessfulRescale");
    assert_eq!(
        event.message,
        format!("New size: 4; reason: external metric s0-redis-jobs({selector}) above target")
    );
    let able = decision.condition("AbleToScale").unwrap();
    assert_eq!(able.reason, "SucceededRescale");
    assert_eq!(
        able.message,
        "the HPA controller was able to update the target scale to 4"
    );
    assert_eq!(
        decision.condition("ScalingActive").unwrap().reason,
        "ValidMetricFound"
    );
    assert_eq!(
        decision.condition("ScalingLimited").unwrap().reason,
        "DesiredWithinRange"
    );
}

#[test]
fn a_trace_names_the_clock_that_holds() {
    let mut hpa = hpa(false);
    sync(&mut hpa, 0, 1, 46);
    let decision = sync(&mut hpa, 8, 8, 6);
    assert_eq!(
        decision.trace.summary,
        "raw 6, window max 46 from 120 s ago, for 180 s more → 16 by ScaleUpLimit"
    );
    let hold = decision.trace.hold.unwrap();
    assert_eq!((hold.replicas, hold.until), (46, START.plus_secs(300)));
    assert_eq!(
        decision.condition("AbleToScale").unwrap().reason,
        "SucceededRescale"
    );
}

#[test]
fn a_write_that_fails_leaves_no_event_behind() {
    let mut hpa = hpa(true);
    let decision = sync(&mut hpa, 0, 10, 50);
    assert_eq!(decision.desired, 20);
    let event = hpa.rescale_failed(&decision, "conflict");
    assert_eq!(event.reason, "FailedRescale");
    assert!(
        event
            .message
            .starts_with("New size: 20; reason: external metric")
    );
    assert!(event.message.ends_with("above target; error: conflict"));
    // The rate counts from what was really added: nothing.
    assert_eq!(sync(&mut hpa, 0, 10, 50).desired, 20);
    assert_eq!(sync(&mut hpa, 0, 20, 50).desired, 20);
}

#[test]
fn state_that_was_kept_spares_the_first_syncs_memory() {
    let mut first = hpa(true);
    sync(&mut first, 0, 3, 3);
    let kept = Hpa::restore(
        first.spec().clone(),
        *first.options(),
        first.state().clone(),
    );
    let (mut kept, mut lost) = (kept, hpa(true));
    // 310 s later the kept log has expired, while a lost one starts its window anew.
    let late = 21;
    assert_eq!(sync(&mut kept, late, 3, 1).desired, 1);
    assert_eq!(sync(&mut lost, late, 3, 1).desired, 3);
}

/// 45 items for 50 pods are 0.90, and 45 for 47 are 0.957: both stay (kedacore/keda#6709).
#[test]
fn the_edge_of_the_dead_band_is_inside_it() {
    let size = |pods| external_average(pods, 1000, &[45_000], Tolerance::both(0.1)).replicas;
    assert_eq!([size(50), size(47), size(51)], [50, 47, 45]);
}

#[test]
fn what_is_exactly_as_old_as_its_window_counts_on_one_path_only() {
    let log = |age: i64| {
        vec![Recommendation {
            replicas: 9,
            at: START.plus_secs(-age),
        }]
    };
    let rules = Behavior {
        scale_up: Rules::default_up(),
        scale_down: Rules::default_down(300),
    };
    let held = |age| behavior::stabilize(&mut log(age), START, &rules, 9, 2);
    assert_eq!([held(299), held(300)], [9, 2]);
    let held = |age| legacy::stabilize(&mut log(age), START, 300, 2);
    assert_eq!([held(300), held(301)], [9, 2]);
    let added = |age: i64| {
        vec![ScaleEvent {
            change: 5,
            at: START.plus_secs(-age),
        }]
    };
    let pods = Policy {
        kind: PolicyType::Pods,
        value: 5,
        period: 60,
    };
    let rules = Rules {
        policies: vec![pods],
        ..Rules::default_up()
    };
    let limit = |age| behavior::rate_limit_up(START, &rules, 10, &added(age), &[]);
    assert_eq!([limit(59), limit(60)], [10, 15]);
}
