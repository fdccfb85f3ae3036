//! One task's life through `kedactl logs --task`.
//!
//! It must not test what the services log: theirs is that.

use crate::{context, running, until};
use kedactl_tests::Context;
use serde_json::Value;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

/// Sends a task with these headers, and answers its id.
fn submit(context: &Context, headers: &str, body: &str) -> String {
    let status = crate::status(context);
    let mut stream = TcpStream::connect(status["address"].as_str().unwrap()).unwrap();
    let length = body.len();
    write!(stream, "POST /v1/tasks HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\n{headers}Connection: close\r\nContent-Length: {length}\r\n\r\n{body}").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
    let body = answer.split("\r\n\r\n").nth(1).unwrap();
    let body: Value = serde_json::from_str(body).unwrap();
    body["id"].as_str().unwrap().to_owned()
}

fn life(context: &Context, id: &str) -> Value {
    let args = ["logs", "--task", id, "-o", "json"];
    context.run(&args).expect(0).json()
}

fn told(life: &Value) -> Vec<&str> {
    let events = life["events"].as_array().map_or(&[][..], Vec::as_slice);
    events.iter().filter_map(|it| it["what"].as_str()).collect()
}

#[test]
fn a_life_is_told_while_it_waits_and_when_it_failed_and_was_done() {
    let context = running();
    context.run(&["queue", "pause"]).check(0);
    let parent = "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n";
    let body = r#"{"type":"fail","payload":{"times":1},"backoff":{"base_ms":10}}"#;
    let id = submit(&context, parent, body);
    let waiting = life(&context, &id);
    assert_eq!(waiting["state"], "waiting");
    assert_eq!(told(&waiting), ["accepted"]);
    let by = waiting["events"][0]["process"].as_str().unwrap();
    assert!(by.starts_with("api-"), "{waiting}");
    // What is known of it survives what the task survives. Meanwhile the old master may still be asked, or nobody takes writes.
    context.run(&["redis", "failover"]).check(0);
    until("the queue goes on", || {
        context.run(&["queue", "resume"]).code == Some(0)
    });
    let steps = [
        "accepted",
        "attempt failed, another one follows",
        "claimed",
        "done",
    ];
    let mut done = Value::Null;
    until("its whole life is told", || {
        let outcome = context.run(&["logs", "--task", &id, "-o", "json"]);
        if outcome.code == Some(0) {
            done = outcome.json();
        }
        done["state"] == "done" && told(&done) == steps
    });
    assert_eq!(done["trace_id"], "4bf92f3577b34da6a3ce929d0e0e4736");
    for event in &done["events"].as_array().unwrap()[1..] {
        let process = event["process"].as_str().unwrap();
        assert!(process.starts_with("worker-"), "{event}");
    }
    until("it is told as text", || {
        let text = context.run(&["logs", "--task", &id]).stdout;
        let parts = ["retry_in_ms=", "attempt=2", "done", "trace 4bf92f"];
        parts.iter().all(|part| text.contains(part))
    });
    let unknown = context
        .run(&["logs", "--task", "01ARZ3NDEKTSV4RRFFQ69G5FAV"])
        .expect(1);
    assert!(
        unknown.stderr.contains("KD0303") && unknown.stderr.contains("task=debug"),
        "{unknown:?}"
    );
    context
        .run(&["logs", "--task", &id, "--queue", "another"])
        .check(0);
    context.run(&["logs", "--task", "no-id"]).check(64);
    context.run(&["logs", "--task", &id, "--follow"]).check(64);
}

#[test]
fn every_step_is_told_by_the_logs_when_they_are_asked_to() {
    let context = context();
    let log = "KEDACTL_LOG: 'info,task=debug'";
    let (api, worker) = (
        format!("api.env={{{log}}}"),
        format!("worker.env={{{log}}}"),
    );
    context.up(&["--set", &api, "--set", &worker]).check(0);
    let id = submit(&context, "", r#"{"type":"echo","result_ttl_s":0}"#);
    // Its record goes with its end: what is known then is what was logged.
    until("the task is done", || {
        told(&life(&context, &id)).contains(&"done")
    });
    let life = life(&context, &id);
    assert_eq!(told(&life), ["accepted", "claimed", "done"], "{life}");
    assert_eq!(life["state"], Value::Null);
    assert!(
        life["events"]
            .as_array()
            .unwrap()
            .iter()
            .all(|it| it["from"] == "log")
    );
}
