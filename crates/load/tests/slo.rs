//! The language of objectives: what is read, what is refused and where, and what a result says to it.
//!
//! It must not run load.
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests fail the test they help"
)]

use kedactl_load::{
    Abort, Accounting, AuditSummary, Generator, Latency, Outcome, Percentiles, RunResult, SCHEMA,
    Setup, parse_slos, verdict,
};
use proptest::prelude::*;

/// A run of 1,000 requests, all well.
fn result() -> RunResult {
    let response = Percentiles {
        count: 1_000,
        min: 100,
        mean: 4_000.0,
        p50: 2_000,
        p75: 3_000,
        p90: 5_000,
        p95: 10_000,
        p99: 40_000,
        p999: 90_000,
        p9999: 99_000,
        max: 100_000,
    };
    let setup = Setup {
        url: "http://t/".to_owned(),
        method: "POST".to_owned(),
        stages: vec!["100/10s".to_owned()],
        arrivals: "poisson".to_owned(),
        seed: 1,
        duration_s: 10.0,
        timeout_s: 10.0,
        senders: 1,
        max_connections: 100,
    };
    RunResult {
        schema: SCHEMA.to_owned(),
        run: "r".to_owned(),
        started_at_us: 0,
        elapsed_s: 10.0,
        setup,
        accounting: Accounting {
            intended: 1_000,
            sent: 1_000,
            ok: 1_000,
            ..Accounting::default()
        },
        latency: Latency {
            response,
            response_ok: response,
            service: response,
            ..Latency::default()
        },
        generator: Generator {
            offered_rps: 100.0,
            achieved_rps: 100.0,
            ..Generator::default()
        },
        interval_s: 1,
        series: Vec::new(),
        timeline: Vec::new(),
        scaling: None,
        audit: Some(AuditSummary {
            acknowledged: 1_000,
            done: 1_000,
            total: response,
            ..AuditSummary::default()
        }),
        aborted: None,
    }
}

fn judged(result: &RunResult, slos: &str) -> (Outcome, String) {
    let verdict = verdict(result, &parse_slos(slos).unwrap());
    (verdict.outcome, verdict.reason)
}

#[test]
fn the_objectives_of_the_manual_are_read_and_hold() {
    let all = "p99<50ms,errors<0.1%,e2e_p95<5s,achieved>=99%,lost=0,duplicated=0,max<1s,p99.9<=90ms,service.p50<1s";
    assert_eq!(judged(&result(), all).0, Outcome::Passed);
}

#[test]
fn a_missed_objective_says_what_was_measured() {
    let (outcome, reason) = judged(&result(), "p99<40ms, max < 99ms");
    assert_eq!(outcome, Outcome::SloMissed);
    assert_eq!(
        reason,
        "p99<40ms missed: measured 40.0ms; max < 99ms missed: measured 100.0ms"
    );
}

#[test]
fn what_was_not_measured_fails() {
    let mut without = result();
    without.audit = None;
    let (outcome, reason) = judged(&without, "e2e_p95<5s,drain<30s");
    assert_eq!(outcome, Outcome::SloMissed);
    assert!(
        reason.starts_with("e2e_p95<5s cannot be evaluated: nothing was measured"),
        "{reason}"
    );
}

#[test]
fn errors_name_the_place() {
    let error = |text: &str| parse_slos(text).unwrap_err().to_string();
    assert_eq!(
        error("p99<50ms,eror<1%"),
        "`eror` at character 10 is not a metric; did you mean `errors`?"
    );
    assert_eq!(
        error("p99<50"),
        "limit `50` at character 5 is not a time with its unit, such as `50ms`"
    );
    assert_eq!(
        error("lost=0, p98<1s"),
        "percentile `p98` at character 9 is not kept: one of p50, p75, p90, p95, p99, p99.9, p99.99"
    );
    assert_eq!(
        error("p99"),
        "`p99` at character 1 has no comparison: write METRIC<LIMIT, such as `p99<50ms`"
    );
    assert_eq!(error("p99<1s,,"), "objective at character 8 is empty");
    assert_eq!(
        error("errors<lots"),
        "limit `lots` at character 8 is not a share, such as `0.1%` or `0.001`"
    );
}

#[test]
fn outcomes_in_order_of_weight() {
    let mut lost = result();
    lost.audit.as_mut().unwrap().lost = 2;
    assert_eq!(
        judged(&lost, "p99<1ms"),
        (Outcome::AuditFailed, "lost=0 missed: measured 2".to_owned())
    );

    let mut late = result();
    late.latency.lag.p99 = 5_000;
    assert_eq!(judged(&late, "p99<1ms").0, Outcome::GeneratorLimited);
    assert_eq!(judged(&late, "lost=0").0, Outcome::GeneratorLimited);
    let (outcome, reason) = judged(&late, "p99<50ms");
    assert_eq!(outcome, Outcome::Passed, "the lateness is in what holds");
    assert!(reason.contains("left late"), "{reason}");
    late.audit.as_mut().unwrap().lost = 1;
    assert_eq!(judged(&late, "lost=0").0, Outcome::AuditFailed);
    late.audit.as_mut().unwrap().lost = 0;
    late.latency.lag.p99 = 3_999;
    assert_eq!(judged(&late, "p99<50ms").0, Outcome::Passed);

    let mut slow = result();
    slow.generator.achieved_rps = 90.0;
    assert_eq!(judged(&slow, "p99<50ms").0, Outcome::Passed);
    slow.generator.busiest_sender = 0.97;
    assert_eq!(judged(&slow, "p99<50ms").0, Outcome::GeneratorLimited);

    let mut stopped = result();
    stopped.aborted = Some(Abort::Interrupted);
    assert_eq!(judged(&stopped, "p99<50ms").0, Outcome::Interrupted);

    let mut books = result();
    books.accounting.ok = 999;
    assert_eq!(judged(&books, "p99<50ms").0, Outcome::Unaccounted);
}

#[test]
fn duplicates_fail_unless_an_objective_allows_them() {
    let mut twice = result();
    twice.audit.as_mut().unwrap().duplicated = 3;
    assert_eq!(judged(&twice, "p99<50ms").0, Outcome::AuditFailed);
    assert_eq!(judged(&twice, "duplicated<5").0, Outcome::Passed);
}

proptest! {
    #[test]
    fn no_text_breaks_the_reader(text in "[a-z0-9<>=.,%_ µs-]{0,40}") {
        let _either = parse_slos(&text);
    }

    #[test]
    fn limits_are_compared_in_one_unit(us in 1u64..10_000_000) {
        let mut result = result();
        result.latency.response.p99 = us;
        let holds = |slo: String| parse_slos(&slo).unwrap()[0].check(&result).ok;
        let (at, below) = (format!("p99<={us}us"), format!("p99<{us}us"));
        prop_assert!(holds(at));
        prop_assert!(!holds(below));
        let above = format!("p99<{}ms", us as f64 / 1e3 + 1.0);
        prop_assert!(holds(above));
    }
}
