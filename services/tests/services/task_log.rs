//! What the logs say about one task: what is unusual always, every step when asked for, and whose trace it is.

use kedactl_testkit::until;
use serde_json::{Value, json};

use crate::support::{PATIENCE, Process, WORKER, api, enqueue, in_state, redis, request, worker};

/// The messages of lines about a task, in their order.
fn about(process: &Process, id: &str) -> Vec<Value> {
    let lines = process.log();
    let lines = lines
        .lines()
        .filter_map(|it| serde_json::from_str::<Value>(it).ok());
    lines.filter(|it| it["task_id"] == id).collect()
}

fn messages(lines: &[Value]) -> Vec<&str> {
    lines
        .iter()
        .filter_map(|it| it["message"].as_str())
        .collect()
}

const FLAKY: &str = r#"{"type":"fail","payload":{"times":1},"backoff":{"base_ms":10}}"#;

#[test]
fn failures_are_told_and_the_usual_is_not() {
    let redis = redis();
    let api = api(&redis, &[]);
    let (worker, _) = worker(WORKER, &redis, &[]);
    let id = enqueue(api.port, FLAKY);
    let done = in_state(api.port, &id, "done");
    let lines = about(&worker, &id);
    assert_eq!(messages(&lines), ["attempt failed, another one follows"]);
    assert_eq!(lines[0]["attempt"], 1);
    assert!(lines[0]["retry_in_ms"].as_u64() <= Some(10), "{lines:?}");
    assert!(about(&api.process, &id).is_empty());
    // The rest is in its record: who took it and when it ran last.
    assert!(
        done["accepted_by"]
            .as_str()
            .is_some_and(|it| !it.is_empty()),
        "{done}"
    );
    assert_eq!(done["worker"], "worker");
    assert!(
        done["started_ms"].as_u64() <= done["finished_ms"].as_u64(),
        "{done}"
    );
}

#[test]
fn every_step_is_told_when_asked_for_with_the_trace() {
    let redis = redis();
    let api = api(&redis, &["--log=info,task=debug"]);
    let (worker, _) = worker(WORKER, &redis, &["--log=info,task=debug"]);
    let parent = "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let headers = [
        "content-type: application/json",
        parent,
        "idempotency-key: k",
    ];
    let send = || request(api.port, "POST", "/v1/tasks", &headers, FLAKY.as_bytes()).json();
    let id = send()["id"].as_str().unwrap().to_owned();
    in_state(api.port, &id, "done");
    assert_eq!(send()["duplicate"], true);
    let (accepted, ran) = (about(&api.process, &id), about(&worker, &id));
    assert_eq!(
        messages(&accepted),
        ["accepted", "sent again: its key was known"]
    );
    let steps = [
        "claimed",
        "attempt failed, another one follows",
        "claimed",
        "done",
    ];
    assert_eq!(messages(&ran), steps);
    for line in accepted.iter().chain(&ran) {
        assert_eq!(line["trace_id"], "4bf92f3577b34da6a3ce929d0e0e4736");
    }
}

#[test]
fn a_task_whose_worker_died_is_told_by_those_who_live() {
    let redis = redis();
    let api = api(&redis, &[]);
    let (mut first, _) = worker(WORKER, &redis, &["--lease-ms=1000", "--pod-name=worker-a"]);
    let id = enqueue(
        api.port,
        &json!({"type": "sleep", "payload": {"ms": 600_000}}).to_string(),
    );
    in_state(api.port, &id, "running");
    first.0.kill().unwrap();
    first.exit();
    let (second, _) = worker(WORKER, &redis, &["--lease-ms=1000", "--pod-name=worker-b"]);
    until("another one takes it", PATIENCE, || {
        messages(&about(&second, &id)).contains(&"claimed")
    });
    // Any scheduler may have been the one that found it.
    let told = [about(&api.process, &id), about(&second, &id)].concat();
    let reaped = told
        .iter()
        .find(|it| it["message"] == "its worker died: it is taken again");
    let reaped = reaped.unwrap_or_else(|| panic!("{told:?}"));
    assert!(
        reaped["worker"].as_str().unwrap().starts_with("worker-a~"),
        "{reaped}"
    );
    let claimed = about(&second, &id);
    let claimed = claimed
        .iter()
        .find(|it| it["message"] == "claimed")
        .unwrap();
    assert_eq!(
        (&claimed["crashes"], &claimed["attempt"]),
        (&1.into(), &1.into())
    );
}

#[test]
fn a_drain_and_a_cancellation_name_their_tasks() {
    let redis = redis();
    let api = api(&redis, &[]);
    let (mut worker, _) = worker(WORKER, &redis, &["--grace-seconds=2"]);
    let cancelled = enqueue(api.port, r#"{"type":"sleep","payload":{"ms":600000}}"#);
    in_state(api.port, &cancelled, "running");
    let path = format!("/v1/tasks/{cancelled}");
    assert_eq!(request(api.port, "DELETE", &path, &[], b"").status, 202);
    assert_eq!(
        messages(&about(&api.process, &cancelled)),
        ["asked to stop while it runs"]
    );
    let kept = enqueue(api.port, r#"{"type":"sleep","payload":{"ms":600000}}"#);
    in_state(api.port, &kept, "running");
    worker.signal(rustix::process::Signal::TERM);
    assert_eq!(worker.exit().code(), Some(0));
    assert_eq!(messages(&about(&worker, &kept)), ["handed back unfinished"]);
}
