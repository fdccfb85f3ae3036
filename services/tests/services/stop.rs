//! SIGTERM, SIGINT, and impatience.

use std::io::{BufReader, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use kedactl_testkit::until;
use rustix::process::Signal;

use crate::support::{
    PATIENCE, Process, WORKER, api, enqueue, get, in_state, read, redis, status, worker,
};

#[test]
fn the_api_is_a_lame_duck_first() {
    let redis = redis();
    let mut api = api(&redis, &["--lame-duck-ms=1500"]);
    let stream = TcpStream::connect(("127.0.0.1", api.port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut writer = stream.try_clone().unwrap();
    let mut reader = BufReader::new(stream);
    let body = r#"{"type":"echo"}"#;
    let task = format!(
        "POST /v1/tasks HTTP/1.1\r\nhost: t\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    writer.write_all(task.as_bytes()).unwrap();
    let before = read(&mut reader).unwrap();
    assert!(before.status == 202 && !before.headers.contains("connection: close"));

    api.process.signal(Signal::TERM);
    until("it is not ready", PATIENCE, || {
        status(api.metrics, "/readyz") == Some(503)
    });
    assert_eq!(status(api.port, "/healthz"), Some(200));
    writer.write_all(task.as_bytes()).unwrap();
    let after = read(&mut reader).unwrap();
    assert!(
        after.status == 202 && after.headers.contains("connection: close"),
        "{}",
        after.headers
    );
    assert_eq!(api.process.exit().code(), Some(0));
}

#[test]
fn the_api_finishes_what_it_began() {
    let redis = redis();
    let mut api = api(&redis, &[]);
    let id = enqueue(api.port, r#"{"type":"echo"}"#);
    // A wait for a result outlives the signal, and is answered with the state that is.
    let mut waiting = TcpStream::connect(("127.0.0.1", api.port)).unwrap();
    waiting.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(
        waiting,
        "GET /v1/tasks/{id}?wait=50s HTTP/1.1\r\nhost: t\r\n\r\n"
    )
    .unwrap();
    until("it waits", PATIENCE, || {
        get(api.metrics, "/metrics")
            .text
            .contains("http_server_active_requests 1")
    });
    api.process.signal(Signal::INT);
    let reply = read(&mut BufReader::new(waiting)).unwrap();
    assert_eq!(reply.json()["state"], "waiting");
    assert_eq!(api.process.exit().code(), Some(0));
}

#[test]
fn a_second_signal_is_obeyed_at_once() {
    let redis = redis();
    let mut api = api(&redis, &["--lame-duck-ms=20000"]);
    api.process.signal(Signal::TERM);
    until("it drains", PATIENCE, || {
        status(api.metrics, "/readyz") == Some(503)
    });
    api.process.signal(Signal::TERM);
    assert_eq!(api.process.exit().code(), Some(143));
}

#[test]
fn the_worker_finishes_short_tasks_and_hands_back_long_ones() {
    let redis = redis();
    let api = api(&redis, &[]);
    let (mut process, metrics) = worker(WORKER, &redis, &["--grace-seconds=8", "--concurrency=2"]);
    let long = enqueue(api.port, r#"{"type":"sleep","payload":{"ms":600000}}"#);
    let short = enqueue(api.port, r#"{"type":"sleep","payload":{"ms":1500}}"#);
    in_state(api.port, &long, "running");
    in_state(api.port, &short, "running");
    process.signal(Signal::TERM);
    let later = enqueue(api.port, r#"{"type":"echo"}"#);
    until("it is not ready", PATIENCE, || {
        status(metrics, "/readyz") == Some(503)
    });
    assert_eq!(process.exit().code(), Some(0));
    assert_eq!(
        in_state(api.port, &short, "done")["result"]["took_ms"]
            .as_u64()
            .map(|t| t >= 1500),
        Some(true)
    );
    let handed_back = in_state(api.port, &long, "waiting");
    assert_eq!(
        (&handed_back["failed_attempts"], &handed_back["crashes"]),
        (&0.into(), &0.into())
    );
    in_state(api.port, &later, "waiting");
}

#[test]
fn an_idle_worker_leaves_at_once() {
    let redis = redis();
    let (mut process, _): (Process, _) = worker(WORKER, &redis, &[]);
    let started = tokio::time::Instant::now();
    process.signal(Signal::INT);
    assert_eq!(process.exit().code(), Some(0));
    assert!(
        started.elapsed() < Duration::from_secs(5),
        "{:?}",
        started.elapsed()
    );
}
