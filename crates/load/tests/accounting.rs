//! Whatever fails, every intended request is in exactly one class, and the books agree with what really happened.
//!
//! It must not use the network.
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests fail the test they help"
)]

#[path = "support/fake.rs"]
mod fake;

use std::sync::atomic::Ordering;
use std::time::Duration;

use fake::{FakeConnect, Faults, NoSource};
use kedactl_load::{
    Abort, Arrivals, ClientOptions, Hooks, NoObserver, Options, Outcome, RunResult, Schedule,
    Target, run_with, verdict,
};
use proptest::prelude::*;
use tokio_util::sync::CancellationToken;

fn options(rps: f64, duration: Duration, client: ClientOptions) -> Options {
    let run = "fake".parse().unwrap();
    let target = Target::http(&run, "GET", "http://127.0.0.1:1/", &[], "").unwrap();
    let schedule = Schedule::constant(rps, duration, Arrivals::Poisson, 7).unwrap();
    Options {
        client,
        ..Options::new(run, schedule, target)
    }
}

async fn go(options: Options, connect: FakeConnect, stop: CancellationToken) -> RunResult {
    let hooks = Hooks {
        observer: NoObserver,
        progress: None,
        stop,
    };
    run_with(options, hooks, connect, None::<NoSource>)
        .await
        .unwrap()
}

fn check(result: &RunResult) {
    let sums = &result.accounting;
    assert_eq!(sums.fault(), None);
    assert_eq!(result.latency.response.count, sums.intended);
    assert_eq!(result.latency.response_ok.count, sums.ok);
    let rows: u64 = result.series.iter().map(|row| row.ok + row.failed).sum();
    assert_eq!(rows, sums.intended, "the series and the sums differ");
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn the_sums_agree_under_random_failures(
        seed in any::<u64>(),
        refused in 0u64..400, reset in 0u64..200, closed in 0u64..200, status_500 in 0u64..300,
        hang in 0u64..30, senders in 1usize..4,
    ) {
        let connect = FakeConnect::new(Faults { refused, reset, closed, status_500, hang }, seed);
        let client = ClientOptions { senders, timeout: Duration::from_millis(60), ..ClientOptions::default() };
        let options = options(4_000.0, Duration::from_millis(200), client);
        let result = block_on(go(options, connect.clone(), CancellationToken::new()));
        check(&result);
        let sums = &result.accounting;
        prop_assert_eq!(sums.intended, 800);
        prop_assert_eq!(sums.ok, connect.truth.ok.load(Ordering::Relaxed));
        prop_assert_eq!(sums.status.get(&500).copied().unwrap_or(0), connect.truth.status_500.load(Ordering::Relaxed));
        prop_assert_eq!(sums.reset, connect.truth.reset.load(Ordering::Relaxed));
        // Connections opened ahead of need may be refused without a request on them.
        prop_assert!(sums.connect_error <= connect.truth.refused.load(Ordering::Relaxed));
    }
}

#[test]
fn a_stopped_run_has_a_whole_result() {
    let stop = CancellationToken::new();
    let options = options(2_000.0, Duration::from_mins(1), ClientOptions::default());
    let target = FakeConnect::new(Faults::default(), 1);
    let result = block_on(async {
        let run = tokio::spawn(go(options, target.clone(), stop.clone()));
        while target.truth.ok.load(Ordering::Relaxed) < 400 {
            tokio::task::yield_now().await;
        }
        stop.cancel();
        run.await.unwrap()
    });
    check(&result);
    assert_eq!(result.aborted, Some(Abort::Interrupted));
    assert!(
        (400..120_000).contains(&result.accounting.intended),
        "{:?}",
        result.accounting
    );
    assert_eq!(verdict(&result, &[]).outcome, Outcome::Interrupted);
    let text = serde_json::to_string(&result).unwrap();
    assert_eq!(serde_json::from_str::<RunResult>(&text).unwrap(), result);
}

#[test]
fn a_target_that_hangs_for_good_is_unreachable_and_accounted_for() {
    let faults = Faults {
        hang: 1_000,
        ..Faults::default()
    };
    let client = ClientOptions {
        max_connections: 50,
        timeout: Duration::from_millis(200),
        ..ClientOptions::default()
    };
    let options = options(1_000.0, Duration::from_millis(600), client);
    let result = block_on(go(
        options,
        FakeConnect::new(faults, 1),
        CancellationToken::new(),
    ));
    check(&result);
    let sums = &result.accounting;
    assert!(sums.never_sent > 0 && sums.timeout > 0, "{sums:?}");
    assert_eq!(verdict(&result, &[]).outcome, Outcome::Unreachable);
}

#[test]
fn everything_refused_is_unreachable_and_ends_early() {
    let faults = Faults {
        refused: 1_000,
        ..Faults::default()
    };
    let mut options = options(500.0, Duration::from_mins(1), ClientOptions::default());
    options.abort_unreachable_after = Some(Duration::from_millis(500));
    let result = block_on(go(
        options,
        FakeConnect::new(faults, 1),
        CancellationToken::new(),
    ));
    check(&result);
    assert_eq!(result.aborted, Some(Abort::Unreachable));
    assert!(result.elapsed_s < 10.0);
    let judged = verdict(&result, &[]);
    assert_eq!(
        (judged.outcome, judged.outcome.exit_code()),
        (Outcome::Unreachable, 8)
    );
}
