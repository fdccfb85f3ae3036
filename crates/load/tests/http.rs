//! Real sockets: exit codes of dead and failing targets, connections that are closed and replaced, bursts.
//!
//! It must not need anything but loopback.
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests fail the test they help"
)]

mod support;

use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

use kedactl_load::{
    Arrivals, ClientOptions, Hooks, NoObserver, Options, Outcome, RunResult, Schedule, Target,
    parse_slos, run, verdict,
};
use support::{Manner, RawServer};
use tokio_util::sync::CancellationToken;

async fn load(url: &str, rps: f64, duration: Duration, client: ClientOptions) -> RunResult {
    let run_id = "http".parse().unwrap();
    let headers = ["x-run: yes".to_owned()];
    let target = Target::http(&run_id, "POST", url, &headers, r#"{"n":{{index}}}"#).unwrap();
    let schedule = Schedule::constant(rps, duration, Arrivals::Uniform, 1).unwrap();
    let options = Options {
        client,
        ..Options::new(run_id, schedule, target)
    };
    let hooks = Hooks {
        observer: NoObserver,
        progress: None,
        stop: CancellationToken::new(),
    };
    let result = run(options, hooks).await.unwrap();
    assert_eq!(result.accounting.fault(), None);
    result
}

#[tokio::test]
async fn a_dead_target_fails_with_8() {
    let result = load(
        &dead_url(),
        200.0,
        Duration::from_secs(1),
        ClientOptions::default(),
    )
    .await;
    assert_eq!(
        result.accounting.connect_error, 200,
        "{:?}",
        result.accounting
    );
    let judged = verdict(&result, &[]);
    assert_eq!(judged.outcome.exit_code(), 8);
    assert!(judged.reason.contains("200 refused"), "{}", judged.reason);
}

#[tokio::test]
async fn answers_that_are_all_404_fail_with_4() {
    let server = RawServer::start(Manner {
        status: 404,
        ..Manner::default()
    });
    let result = load(
        &server.url(),
        200.0,
        Duration::from_secs(1),
        ClientOptions::default(),
    )
    .await;
    assert!(!server.finish().arrivals.is_empty());
    let judged = verdict(&result, &parse_slos("p99<10s").unwrap());
    assert_eq!(
        (judged.outcome, judged.outcome.exit_code()),
        (Outcome::AllFailed, 4)
    );
    assert_eq!(judged.reason, "no request succeeded: 200 × 404");
}

#[tokio::test]
async fn a_server_that_closes_connections_as_it_says_costs_no_request() {
    let server = RawServer::start(Manner {
        answers_per_connection: 3,
        ..Manner::default()
    });
    let result = load(
        &server.url(),
        1_000.0,
        Duration::from_secs(2),
        ClientOptions::default(),
    )
    .await;
    assert!(!server.finish().arrivals.is_empty());
    assert_eq!(result.accounting.ok, 2_000, "{:?}", result.accounting);
    assert!(
        result.generator.connections_opened >= 600,
        "{:?}",
        result.generator
    );
}

#[tokio::test]
async fn connections_are_replaced_when_they_are_old() {
    let server = RawServer::start(Manner::default());
    let client = ClientOptions {
        min_connections: 4,
        max_connection_age: Duration::from_millis(300),
        ..ClientOptions::default()
    };
    let result = load(&server.url(), 300.0, Duration::from_secs(2), client).await;
    assert!(!server.finish().arrivals.is_empty());
    assert_eq!(result.accounting.ok, 600, "{:?}", result.accounting);
    let opened = result.generator.connections_opened;
    assert!(
        (12..=80).contains(&opened),
        "4 connections of 0.3 s over 2 s: {opened} opened"
    );
}

#[tokio::test]
async fn no_ten_milliseconds_have_twice_the_requests() {
    for rps in [500.0, 2_000.0] {
        let ideal = (rps / 100.0) as usize;
        let mut burst = usize::MAX;
        for _ in 0..8 {
            let server = RawServer::start(Manner::default());
            let result = load(
                &server.url(),
                rps,
                Duration::from_secs(3),
                ClientOptions::default(),
            )
            .await;
            let seen = server.finish();
            // A sender or the server that the machine kept off its CPU for milliseconds collects requests meanwhile;
            // what follows such a gap says nothing about the pacer. Volleys cannot hide in this: most must remain.
            let disturbed = result.latency.lag.max > 5_000 || seen.worst_round_ns > 5_000_000;
            let calm = if disturbed {
                calm(&seen.arrivals)
            } else {
                seen.arrivals.clone()
            };
            if calm.len() * 2 > seen.arrivals.len() {
                burst = burst.min(worst_burst(&calm));
            }
            if burst <= 2 * ideal || !disturbed {
                break;
            }
        }
        assert!(burst <= 2 * ideal, "{burst} requests in 10 ms at {rps}/s");
    }
}

/// Arrivals that do not lie in the 30 ms after a gap of more than 5 ms.
fn calm(arrivals: &[u64]) -> Vec<u64> {
    let mut resumed = 0;
    let mut before = arrivals[0];
    let mut calm = Vec::new();
    for at in arrivals {
        if at - before > 5_000_000 {
            resumed = *at;
        }
        if *at > resumed + 30_000_000 {
            calm.push(*at);
        }
        before = *at;
    }
    calm
}

/// Most arrivals in any 10 ms.
fn worst_burst(arrivals: &[u64]) -> usize {
    let mut from = 0;
    let mut worst = 0;
    for (k, at) in arrivals.iter().enumerate() {
        while at - arrivals[from] >= 10_000_000 {
            from += 1;
        }
        worst = worst.max(k - from + 1);
    }
    worst
}

/// A URL where nothing listens.
fn dead_url() -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}
