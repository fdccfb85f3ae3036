//! The real KEDA operator and HPA controller beside the computed ones: every decision that they take while lists grow
//! and shrink, a trigger fails and CPU is burnt must be the computed one, or be explained.
//!
//! It must not pass because little was compared: each test says which sizes must have been seen, and how many of the
//! decisions must be equal without an explanation.

mod stage;

use kedactl_shadow::{Cause, Controller, Report, Verdict};
use stage::{Scaled, Stage, busy, redis, scaled};

/// At least so many of a hundred decisions are equal; the others are explained.
const EQUAL: usize = 80;

/// Prints the report, and fails where it does not hold.
fn judged(stage: Stage<'_>) -> Report {
    let report = stage.report();
    println!("{report}");
    assert!(report.holds(), "not every decision is explained:\n{report}");
    let counts = report.counts();
    assert!(
        counts.equal * 100 >= counts.compared() * EQUAL,
        "too many decisions need an explanation: {counts}"
    );
    assert!(
        !counts.within.contains_key(&Cause::Before),
        "the recording began before the first decision: {counts}"
    );
    report
}

/// The sizes that a controller decided, in order.
fn sizes(report: &Report, controller: Controller, object: &str) -> Vec<i32> {
    report.of(controller, object).expect(object).sizes()
}

/// Whether the sizes contain these, in this order.
fn passes(sizes: &[i32], through: &[i32]) -> bool {
    let mut rest = sizes.iter();
    through.iter().all(|wanted| rest.any(|size| size == wanted))
}

#[test]
fn lists_that_grow_and_shrink_move_real_and_computed_sizes_alike() {
    let cluster = crate::cluster::Cluster::of_this_run();
    let namespace = cluster.namespace("shadow");
    let mut stage = Stage::new(&cluster, &namespace);
    let sync = stage.flags().sync_period;
    namespace.apply(&redis());
    namespace.until_available("redis");
    stage.record();
    // One with both rates and a window, one without `behavior`, which takes the other path.
    let rates = format!(
        "behavior: {{scaleDown: {{stabilizationWindowSeconds: {}, policies: [{{type: Percent, value: 50, periodSeconds: {sync}}}]}}}}",
        2 * sync
    );
    let address = format!("redis.{}.svc:6379", namespace.name);
    let object = |name, config| {
        scaled(&Scaled {
            name,
            address: &address,
            max: 8,
            config,
            fallback: "",
        })
    };
    namespace.apply(&object("rated", &rates));
    namespace.apply(&object("plain", ""));
    stage.until_accepted(&["rated", "plain"]);

    stage.fill(&["rated", "plain"], 3);
    stage.until_size("rated", 1);
    stage.fill(&["rated", "plain"], 18);
    stage.until_size("rated", 4); // ceil(18 / 5)
    stage.until_size("plain", 4);
    if sync == 1 {
        for length in [20, 21, 22, 24, 27, 30, 33, 36] {
            stage.fill(&["rated", "plain"], length);
        }
    }
    stage.fill(&["rated", "plain"], 90);
    stage.until_size("rated", 8);
    stage.until_size("plain", 8);
    stage.fill(&["rated"], 7);
    stage.until_size("rated", 2); // by halves
    if sync == 1 {
        for length in [38, 33, 29, 24, 18, 14, 11, 9] {
            stage.fill(&["plain"], length);
        }
        stage.until_size("plain", 2);
    }
    stage.fill(&["rated", "plain"], 0);
    stage.until_size("rated", 0);
    stage.until_size("plain", 0);

    let report = judged(stage);
    let rated = sizes(&report, Controller::Hpa, "keda-hpa-rated");
    assert!(passes(&rated, &[4, 8, 4, 2]), "{rated:?}");
    let plain = sizes(&report, Controller::Hpa, "keda-hpa-plain");
    assert!(passes(&plain, &[4, 8]), "{plain:?}");
    for name in ["rated", "plain"] {
        let keda = sizes(&report, Controller::Keda, name);
        assert!(passes(&keda, &[0, 1, 0]), "{name}: {keda:?}");
    }
}

#[test]
fn a_trigger_that_fails_holds_real_and_computed_sizes_alike_until_the_fallback_counts() {
    let cluster = crate::cluster::Cluster::of_this_run();
    let namespace = cluster.namespace("shadow");
    let mut stage = Stage::new(&cluster, &namespace);
    if stage.flags().sync_period > 1 {
        println!("skipped: with real intervals this takes ten minutes");
        return;
    }
    namespace.apply(&redis());
    namespace.until_available("redis");
    stage.record();
    let address = format!("redis.{}.svc:6379", namespace.name);
    let object = |name, fallback| {
        scaled(&Scaled {
            name,
            address: &address,
            max: 8,
            config: "behavior: {}",
            fallback,
        })
    };
    namespace.apply(&object("bare", ""));
    namespace.apply(&object(
        "saved",
        "fallback: {failureThreshold: 6, replicas: 5}",
    ));
    stage.until_accepted(&["bare", "saved"]);
    stage.fill(&["bare", "saved"], 9);
    stage.until_size("bare", 2);
    stage.until_size("saved", 2);
    // A type that the scaler does not know.
    stage.redis(&["MSET", "bare", "x", "saved", "x"]);
    stage.until_size("saved", 5); // the fallback's
    stage.fill(&["bare", "saved"], 14);
    stage.until_size("bare", 3);
    stage.until_size("saved", 3);

    let report = judged(stage);
    let bare = report.of(Controller::Hpa, "keda-hpa-bare").unwrap();
    let held = bare
        .steps
        .iter()
        .filter(|step| step.reading.starts_with("FailedGet"));
    assert!(held.count() > 0, "no sync without a metric was seen");
    let saved = sizes(&report, Controller::Hpa, "keda-hpa-saved");
    assert!(passes(&saved, &[2, 5, 3]), "{saved:?}");
}

#[test]
fn burnt_cpu_moves_real_and_computed_sizes_alike() {
    let cluster = crate::cluster::Cluster::of_this_run();
    let namespace = cluster.namespace("shadow");
    let mut stage = Stage::new(&cluster, &namespace);
    if stage.flags().sync_period > 1 {
        println!("skipped: with real intervals this takes ten minutes");
        return;
    }
    namespace.apply(&redis());
    namespace.until_available("redis");
    stage.record();
    stage.burn(0);
    namespace.apply(&busy(3));
    namespace.until_available("busy");
    stage.burn(9);
    stage.until_size("busy", 3);
    stage.burn(0);
    stage.until_size("busy", 1);

    let report = judged(stage);
    let busy = report.of(Controller::Hpa, "busy").unwrap();
    assert!(passes(&busy.sizes(), &[1, 3, 1]), "{:?}", busy.sizes());
    let exact = busy
        .steps
        .iter()
        .filter(|step| step.verdict == Verdict::Equal);
    assert!(exact.filter(|step| step.real != step.current).count() > 0);
}
