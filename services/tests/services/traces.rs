//! Traces over OTLP: one for a task and all its attempts, never in the way, never without being asked for.

use std::time::{Duration, Instant};

use kedactl_testkit::{Collector, free_port, until};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::{
    API, Api, PATIENCE, Process, WORKER, api, api_with, enqueue, get, in_state, redis, request,
    worker, worker_with,
};

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

fn to(endpoint: &str) -> Vec<(&'static str, String)> {
    vec![
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.to_owned()),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json".to_owned()),
        (
            "OTEL_EXPORTER_OTLP_HEADERS",
            "authorization=Bearer%20its-secret".to_owned(),
        ),
        (
            "OTEL_RESOURCE_ATTRIBUTES",
            "deployment.environment.name=test".to_owned(),
        ),
    ]
}

fn submit(api: &Api, headers: &[&str], body: &Value) -> String {
    let headers = [&["content-type: application/json"], headers].concat();
    let reply = request(
        api.port,
        "POST",
        "/v1/tasks",
        &headers,
        body.to_string().as_bytes(),
    );
    assert_eq!(reply.status, 202, "{}", reply.text);
    reply.json()["id"].as_str().expect("an id").to_owned()
}

fn end(mut process: Process) {
    process.signal(Signal::TERM);
    assert_eq!(process.exit().code(), Some(0), "{}", process.log());
}

fn named<'a>(spans: &'a [Value], name: &str) -> Vec<&'a Value> {
    spans.iter().filter(|it| it["name"] == name).collect()
}

#[test]
fn a_task_and_its_attempts_are_one_trace() {
    let (redis, collector) = (redis(), Collector::start());
    let env = to(&collector.endpoint());
    let api = api_with(&redis, &[], &env);
    let (worker, _) = worker_with(WORKER, &redis, &[], &env);
    let body = json!({"type": "fail", "payload": {"times": 1}, "backoff": {"base_ms": 10}});
    let state = "tracestate: vendor=abc";
    let id = submit(&api, &[&format!("traceparent: {PARENT}"), state], &body);
    let done = in_state(api.port, &id, "done");
    // What is kept with the task is the place of its send, not of whoever asked for it.
    let kept = done["traceparent"].as_str().unwrap();
    assert!(kept.contains(TRACE) && kept != PARENT, "{kept}");
    // A stop sends what waits.
    end(worker);
    end(api.process);
    let spans = collector.spans();
    let [server] = named(&spans, "POST /v1/tasks")[..] else {
        panic!("{spans:#?}")
    };
    let [send] = named(&spans, "send default")[..] else {
        panic!("{spans:#?}")
    };
    let attempts = named(&spans, "process default");
    assert_eq!(attempts.len(), 2, "{spans:#?}");
    for span in [server, send, attempts[0], attempts[1]] {
        assert_eq!(span["traceId"], TRACE);
        assert_eq!(span["traceState"], "vendor=abc");
        assert_eq!(span["resource"]["deployment.environment.name"], "test");
    }
    assert_eq!(server["parentSpanId"], "00f067aa0ba902b7");
    assert_eq!(server["kind"], 2);
    assert_eq!(server["attributes"]["http.response.status_code"], "202");
    assert_eq!(server["resource"]["service.name"], "kedactl-api");
    assert_eq!(send["parentSpanId"], server["spanId"]);
    assert_eq!(send["kind"], 4);
    assert_eq!(send["attributes"]["messaging.message.id"], id.as_str());
    for (attempt, outcome, number) in [(attempts[0], "retry", "1"), (attempts[1], "done", "2")] {
        assert_eq!(attempt["parentSpanId"], send["spanId"]);
        assert_eq!(attempt["links"][0]["spanId"], send["spanId"]);
        assert_eq!(attempt["kind"], 5);
        assert_eq!(attempt["resource"]["service.name"], "kedactl-worker");
        let said = &attempt["attributes"];
        assert_eq!(said["kedactl.task.attempt"], number);
        assert_eq!(said["kedactl.task.outcome"], outcome);
        assert_eq!(said["messaging.message.id"], id.as_str());
    }
    assert_eq!(attempts[0]["status"]["code"], 2);
    for it in collector.requests() {
        assert!(
            it.head
                .to_lowercase()
                .contains("authorization: bearer its-secret")
        );
        assert!(!String::from_utf8_lossy(&it.body).contains("its-secret"));
    }
}

#[test]
fn a_trace_that_is_not_kept_goes_on_and_sends_nothing() {
    let (redis, collector) = (redis(), Collector::start());
    let env = to(&collector.endpoint());
    let api = api_with(&redis, &[], &env);
    let (worker, _) = worker_with(WORKER, &redis, &[], &env);
    let left = format!("traceparent: {}", PARENT.replace("-01", "-00"));
    let id = submit(&api, &[&left], &json!({"type": "echo"}));
    let kept = in_state(api.port, &id, "done")["traceparent"].clone();
    assert!(
        kept.as_str()
            .is_some_and(|it| it.contains(TRACE) && it.ends_with("-00")),
        "{kept}"
    );
    // One of its own is kept, and shows that the others would have come.
    let own = submit(&api, &[], &json!({"type": "echo"}));
    in_state(api.port, &own, "done");
    end(worker);
    end(api.process);
    let spans = collector.spans();
    assert!(!named(&spans, "process default").is_empty());
    assert!(spans.iter().all(|it| it["traceId"] != TRACE), "{spans:#?}");
}

#[test]
fn without_an_endpoint_contexts_are_handed_on_and_nothing_is_made() {
    let redis = redis();
    let api = api(&redis, &[]);
    let address = format!("http://127.0.0.1:{}", api.port);
    let http = format!("--http-allow={address}/v1/tasks");
    let (_worker, _) = worker(WORKER, &redis, &[&http]);
    let plain = enqueue(api.port, r#"{"type":"echo"}"#);
    assert_eq!(
        in_state(api.port, &plain, "done")["traceparent"],
        Value::Null
    );
    let broken = submit(
        &api,
        &["traceparent: 00-nonsense"],
        &json!({"type": "echo"}),
    );
    assert_eq!(
        in_state(api.port, &broken, "done")["traceparent"],
        Value::Null
    );
    // The built-in handler hands it to whom it calls: here the API, whose task shows it.
    let call = json!({"type": "http", "payload": {
        "url": format!("{address}/v1/tasks"), "body": {"type": "echo"},
    }});
    let outer = submit(&api, &[&format!("traceparent: {PARENT}")], &call);
    let outer = in_state(api.port, &outer, "done");
    assert_eq!(outer["traceparent"], PARENT);
    let answer: Value = serde_json::from_str(outer["result"]["body"].as_str().unwrap()).unwrap();
    let inner = in_state(api.port, answer["id"].as_str().unwrap(), "done");
    assert_eq!(inner["traceparent"], PARENT);
    let batch = request(
        api.port,
        "POST",
        "/v1/tasks:batch",
        &[
            "content-type: application/json",
            &format!("traceparent: {PARENT}"),
        ],
        br#"[{"type":"echo"},{"type":"echo"}]"#,
    );
    for accepted in batch.json()["accepted"].as_array().unwrap() {
        let id = accepted["id"].as_str().unwrap();
        assert_eq!(in_state(api.port, id, "done")["traceparent"], PARENT);
    }
    assert!(
        get(api.metrics, "/metrics")
            .text
            .contains("kedactl_spans_exported_total 0")
    );
}

fn metric(api: &Api, name: &str) -> f64 {
    let text = get(api.metrics, "/metrics").text;
    let line = text
        .lines()
        .find_map(|it| it.strip_prefix(name)?.strip_prefix(' '));
    line.and_then(|it| it.parse().ok())
        .unwrap_or_else(|| panic!("{name} in {text}"))
}

/// Sends more tasks than spans may wait, and answers how long that took.
fn burst(api: &Api) -> Duration {
    let tasks: Vec<Value> = (0..3).map(|_| json!({"type": "echo"})).collect();
    let body = Value::from(tasks).to_string();
    #[expect(clippy::disallowed_methods, reason = "a test measures")]
    let began = Instant::now();
    for _ in 0..1500 {
        let headers = ["content-type: application/json"];
        let reply = request(
            api.port,
            "POST",
            "/v1/tasks:batch",
            &headers,
            body.as_bytes(),
        );
        assert_eq!(reply.status, 202, "{}", reply.text);
    }
    began.elapsed()
}

#[test]
fn a_collector_that_is_away_hangs_or_refuses_is_in_nobodys_way() {
    let redis = redis();
    let collector = Collector::start();
    collector.hang();
    let away = format!("http://127.0.0.1:{}", free_port());
    let plain = burst(&api(&redis, &[]));
    for endpoint in [away, collector.endpoint()] {
        let api = api_with(&redis, &[], &to(&endpoint));
        let took = burst(&api);
        assert!(
            took < plain * 5 + Duration::from_secs(10),
            "{took:?} against {plain:?}"
        );
        // 3,000 spans, 2,048 + 512 of which may wait: the rest was dropped, and counted.
        assert!(metric(&api, "kedactl_spans_dropped_total") > 0.0);
        assert!(metric(&api, "kedactl_spans_exported_total") < 1.0);
        let Api { mut process, .. } = api;
        process.signal(Signal::TERM);
        assert_eq!(process.exit().code(), Some(0), "{}", process.log());
    }
}

#[test]
fn what_a_busy_collector_refuses_is_sent_again_and_what_it_refuses_for_good_is_not() {
    let (redis, collector) = (redis(), Collector::start());
    collector.answer(503);
    let api = api_with(&redis, &[], &to(&collector.endpoint()));
    enqueue(api.port, r#"{"type":"echo"}"#);
    until("it is asked", PATIENCE, || !collector.requests().is_empty());
    collector.answer(200);
    until("it is asked again", PATIENCE, || {
        metric(&api, "kedactl_spans_exported_total") >= 2.0
    });
    assert_eq!(named(&collector.spans(), "send default").len(), 1);
    collector.answer(400);
    enqueue(api.port, r#"{"type":"echo"}"#);
    until("it is dropped", PATIENCE, || {
        metric(&api, "kedactl_spans_dropped_total") >= 2.0
    });
    assert!(api.process.log().contains("the collector takes no traces"));
    let refused = collector
        .requests()
        .iter()
        .filter(|it| it.status == 400)
        .count();
    assert_eq!(refused, 1);
}

#[test]
fn protobuf_is_what_is_sent_unless_json_is_asked_for() {
    let (redis, collector) = (redis(), Collector::start());
    let env = [("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint())];
    let api = api_with(&redis, &[], &env);
    let id = enqueue(api.port, r#"{"type":"echo"}"#);
    until("spans come", PATIENCE, || {
        metric(&api, "kedactl_spans_exported_total") >= 2.0
    });
    let all = collector.requests();
    let holds = |body: &[u8], text: &str| body.windows(text.len()).any(|it| it == text.as_bytes());
    assert!(all.iter().all(|it| {
        it.head
            .to_lowercase()
            .contains("content-type: application/x-protobuf")
    }));
    for text in ["send default", "POST /v1/tasks", "kedactl-api", &id] {
        assert!(all.iter().any(|it| holds(&it.body, text)), "{text}");
    }
}

#[test]
fn settings_that_cannot_work_are_named_without_what_they_hold() {
    let wrong = [
        (
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "nonsense:its-secret".to_owned(),
        ),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc".to_owned()),
        ("OTEL_EXPORTER_OTLP_HEADERS", "its-secret".to_owned()),
        ("OTEL_TRACES_SAMPLER", "some".to_owned()),
    ];
    for alone in &wrong {
        let mut env = vec![(
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "http://127.0.0.1:1".to_owned(),
        )];
        env.push(alone.clone());
        let mut process = Process::start_with(API, &["--redis-addr=127.0.0.1:1".to_owned()], &env);
        assert_eq!(process.exit().code(), Some(65));
        let log = process.log();
        assert!(
            log.contains(alone.0) && !log.contains("its-secret"),
            "{log}"
        );
    }
    let off = [
        wrong[1].clone(),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", String::new()),
    ];
    let redis = redis();
    // Empty is not given: nothing is sent, so nothing is wrong.
    drop(api_with(&redis, &[], &off));
}
