//! Two workers, one of them with its clock ten minutes off: delays, expiry and leases are the server's.
//!
//! They must not trust that the clock is off: the worker's own log has to say so.

use std::ops::Range;
use std::time::{SystemTime, UNIX_EPOCH};

use kedactl_testkit::{RedisServer, skipped, until};
use serde_json::{Value, json};

use crate::support::{PATIENCE, Process, WORKER, api, faketime, get, post, redis, status};

const RUN: &str = "skew";
/// Tasks of each kind.
const EACH: u64 = 60;
const DELAY_MS: u64 = 1500;
const LEASE_MS: u64 = 1500;
/// Longer than two leases, so that one that is not kept shows.
const SLEEP_MS: u64 = 4000;
const OFF_S: i64 = 600;

#[test]
fn a_worker_whose_clock_is_ten_minutes_fast_changes_nothing() {
    beside_a_worker_off_by(OFF_S);
}

#[test]
fn a_worker_whose_clock_is_ten_minutes_slow_changes_nothing() {
    beside_a_worker_off_by(-OFF_S);
}

fn beside_a_worker_off_by(seconds: i64) {
    let Some(library) = faketime() else {
        return skipped("faketime is not installed");
    };
    let redis = redis();
    let api = api(&redis, &[]);
    let wrong = Worker::start(&redis, Some((library, seconds)));
    let right = Worker::start(&redis, None);
    assert!(
        (wrong.clock_off_s() - seconds).abs() < 60,
        "its clock is right"
    );
    assert!(right.clock_off_s().abs() < 60);
    let kinds = kinds();
    for kind in &kinds {
        put(api.port, &kind.task, kind.from..kind.from + EACH);
    }
    let count = kinds.len() as u64 * EACH;
    finished(api.port, count);
    occupy_and_expire(api.port);
    check(&finished(api.port, count + 2 * PLACES), &kinds);
    for (worker, name) in [(&wrong, "wrong"), (&right, "right")] {
        let text = get(worker.metrics, "/metrics").text;
        assert!(
            counted(&text, "messaging_client_consumed_messages") > 0,
            "{name}: {text}"
        );
        assert_eq!(counted(&text, "kedactl_worker_fenced"), 0, "{name}: {text}");
    }
    let queue = get(api.port, "/v1/queues/default").json();
    for what in ["waiting", "running", "delayed", "dead"] {
        assert_eq!(queue[what], 0, "{what} in {queue}");
    }
    assert_eq!(
        queue["totals"]["reaped"].as_u64().unwrap_or(0),
        0,
        "{queue}"
    );
}

struct Worker {
    process: Process,
    metrics: u16,
}

impl Worker {
    /// The monotonic clock stays right, as on a machine whose clock was set wrong.
    fn start(redis: &RedisServer, clock: Option<(String, i64)>) -> Self {
        let args = [
            format!("--redis-addr=127.0.0.1:{}", redis.port()),
            "--metrics-listen=127.0.0.1:0".to_owned(),
            format!("--lease-ms={LEASE_MS}"),
            "--concurrency=16".to_owned(),
        ];
        let env = clock.map(|(library, seconds)| {
            [
                ("LD_PRELOAD", library),
                ("FAKETIME", format!("{seconds:+}s")),
                ("DONT_FAKE_MONOTONIC", "1".to_owned()),
            ]
        });
        let process = Process::start_with(WORKER, &args, env.as_ref().map_or(&[], |e| &e[..]));
        let metrics = process.port("metrics_at");
        until("the worker is ready", PATIENCE, || {
            status(metrics, "/readyz") == Some(200)
        });
        Self { process, metrics }
    }

    /// How far the times in its log are from ours, whole days left out.
    fn clock_off_s(&self) -> i64 {
        const DAY_S: i64 = 86_400;
        let log = self.process.log();
        let line = log.lines().find(|l| l.starts_with('{')).expect("a line");
        let line: Value = serde_json::from_str(line).expect("JSON");
        let stamp = line["timestamp"].as_str().expect("a time").to_owned();
        let part = |from: usize| stamp[from..from + 2].parse::<i64>().expect("a number");
        let theirs = part(11) * 3600 + part(14) * 60 + part(17);
        let ours = (now_us() / 1_000_000) as i64 % DAY_S;
        (theirs - ours + DAY_S / 2).rem_euclid(DAY_S) - DAY_S / 2
    }
}

fn now_us() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.expect("after 1970").as_micros() as u64
}

/// The sum of a counter over its labels.
fn counted(metrics: &str, name: &str) -> u64 {
    let lines = metrics
        .lines()
        .filter(|l| l.starts_with(&format!("{name}_total")));
    lines
        .filter_map(|l| l.rsplit(' ').next()?.parse::<u64>().ok())
        .sum()
}

/// What is expected of the audited tasks `from..from + EACH`.
struct Kind {
    from: u64,
    task: Value,
    delay_ms: u64,
}

/// Indices of the tasks that outlive two leases, and of those that expire behind them.
const LONG_RUNNING: u64 = 1000;
const EXPIRING: u64 = 2000;
/// Both workers' places.
const PLACES: u64 = 32;

/// Ten minutes either way would expire them at once, or run them early or never.
fn kinds() -> Vec<Kind> {
    let delayed = json!({ "delay_ms": DELAY_MS });
    let fleeting = json!({ "expires_in_ms": 300_000 });
    let both = json!({ "delay_ms": DELAY_MS, "expires_in_ms": 300_000 });
    let extras = [json!({}), delayed, fleeting, both];
    let kind = |(i, extra): (usize, &Value)| {
        let mut task = extra.clone();
        task["type"] = json!("echo");
        Kind {
            from: i as u64 * EACH,
            delay_ms: extra["delay_ms"].as_u64().unwrap_or(0),
            task,
        }
    };
    extras.iter().enumerate().map(kind).collect()
}

fn put(port: u16, task: &Value, indices: Range<u64>) {
    for index in indices {
        let mut task = task.clone();
        task["audit"] = json!(format!("{RUN}:{index}"));
        let reply = post(port, "/v1/tasks", &task.to_string());
        assert_eq!(reply.status, 202, "{}", reply.text);
    }
}

/// Fills every place, for longer than leases last, with tasks behind them that expire before a place is free.
fn occupy_and_expire(port: u16) {
    let sleep = json!({ "type": "sleep", "payload": { "ms": SLEEP_MS } });
    put(port, &sleep, LONG_RUNNING..LONG_RUNNING + PLACES);
    until("every place is taken", PATIENCE, || {
        get(port, "/v1/queues/default").json()["running"] == PLACES
    });
    let late = json!({ "type": "echo", "expires_in_ms": 300 });
    put(port, &late, EXPIRING..EXPIRING + PLACES);
}

/// Index, attempt, enqueued, started, finished (µs), outcome.
type Record = [u64; 6];

/// Waits for so many ends of tasks and answers all that there are.
fn finished(port: u16, count: u64) -> Vec<Record> {
    let mut records = Vec::new();
    until("all tasks have ended", PATIENCE, || {
        let page = get(port, &format!("/v1/queues/default/audit/{RUN}?limit=20000"));
        let page = page.json()["records"].clone();
        records = serde_json::from_value(page).expect("records");
        records.len() as u64 >= count
    });
    records
}

/// Nothing lost, doubled, early or expired that should not be, and no time of the wrong clock anywhere.
fn check(records: &[Record], kinds: &[Kind]) {
    let mut indices: Vec<u64> = records.iter().map(|r| r[0]).collect();
    indices.sort_unstable();
    let few = kinds.iter().flat_map(|k| k.from..k.from + EACH);
    let long = (LONG_RUNNING..LONG_RUNNING + PLACES).chain(EXPIRING..EXPIRING + PLACES);
    assert_eq!(indices, few.chain(long).collect::<Vec<_>>(), "each once");
    for record in records {
        let [index, attempt, enqueued, started, ended, outcome] = *record;
        let kind = kinds
            .iter()
            .find(|k| (k.from..k.from + EACH).contains(&index));
        let expected = if index >= EXPIRING { 3 } else { 0 };
        assert_eq!((attempt, outcome), (1, expected), "{record:?}");
        let delay_us = kind.map_or(0, |k| k.delay_ms) * 1000;
        // The API's idea of the server's clock may be off by a round trip.
        assert!(
            started + 50_000 >= enqueued + delay_us,
            "{record:?} ran early"
        );
        assert!(
            started <= ended && now_us().abs_diff(ended) < 120_000_000,
            "{record:?}"
        );
        if (LONG_RUNNING..EXPIRING).contains(&index) {
            assert!(ended - started >= SLEEP_MS * 1000 - 50_000, "{record:?}");
        }
    }
}
