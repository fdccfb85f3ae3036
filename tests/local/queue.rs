//! The queue through the eyes of `kedactl queue` and `kedactl logs`.
//!
//! It must not test the queue's own rules.

use crate::{running, until};
use kedactl_tests::Context;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

fn submit(context: &Context, body: &str) {
    let status = crate::status(context);
    let mut stream = TcpStream::connect(status["address"].as_str().unwrap()).unwrap();
    let length = body.len();
    write!(stream, "POST /v1/tasks HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
}

#[test]
fn a_queue_is_paused_looked_into_purged_and_resumed() {
    let context = running();
    context.run(&["queue", "pause"]).check(0);
    submit(&context, r#"{"type":"echo","payload":{"n":1}}"#);
    submit(
        &context,
        r#"{"type":"echo","payload":{"n":2},"priority":"critical"}"#,
    );
    let peek = context
        .run(&["queue", "peek", "-o", "json"])
        .expect(0)
        .json();
    let tasks = peek["tasks"].as_array().unwrap();
    assert_eq!(tasks.len(), 2);
    assert_eq!(
        tasks[0]["payload"]["n"], 2,
        "the critical one runs first: {peek}"
    );
    let ls = context.run(&["queue", "ls", "-o", "json"]).expect(0).json();
    assert_eq!(ls["queues"][0]["waiting"], 2);
    assert_eq!(ls["queues"][0]["paused"], true);
    let would = context.run(&["queue", "purge"]).expect(0);
    assert!(would.stdout.contains("--yes"), "{would:?}");
    context.run(&["queue", "purge", "--yes"]).check(0);
    context.run(&["queue", "resume"]).check(0);
    let ls = context.run(&["queue", "ls", "-o", "json"]).expect(0).json();
    assert_eq!(
        (
            ls["queues"][0]["waiting"].as_u64(),
            ls["queues"][0]["paused"].as_bool()
        ),
        (Some(0), Some(false))
    );
}

#[test]
fn a_dead_task_is_listed_and_put_back() {
    let context = running();
    submit(
        &context,
        r#"{"type":"fail","payload":{"times":99},"max_attempts":1}"#,
    );
    let dead = || {
        context
            .run(&["queue", "dead", "-o", "json"])
            .expect(0)
            .json()
    };
    until("a dead task", || {
        dead()["tasks"]
            .as_array()
            .is_some_and(|tasks| tasks.len() == 1)
    });
    let id = dead()["tasks"][0]["id"].as_str().unwrap().to_owned();
    context.run(&["queue", "retry", &id]).check(0);
    until("the retried task's second death", || {
        dead()["tasks"]
            .as_array()
            .is_some_and(|tasks| tasks.len() == 1)
    });
    context
        .run(&["queue", "retry", "01ARZ3NDEKTSV4RRFFQ69G5FAV"])
        .check(1);
    context.run(&["queue", "retry", "no-id"]).check(64);
    context.run(&["queue", "purge", "--dead", "--yes"]).check(0);
    assert_eq!(dead()["tasks"].as_array().map(Vec::len), Some(0));
}

#[test]
fn logs_show_each_service_and_refuse_an_unknown_one() {
    let context = running();
    for service in ["api", "redis", "sentinel"] {
        let outcome = context.run(&["logs", service]).expect(0);
        assert!(outcome.stdout.contains(service), "{service}: {outcome:?}");
    }
    context.run(&["logs", "nonsense"]).check(1);
}
