//! Every route, as its users call it.

use kedactl_testkit::until;

use crate::support::{PATIENCE, WORKER, api, enqueue, get, in_state, post, redis, request, worker};

#[test]
fn a_task_is_accepted_run_and_shown() {
    let redis = redis();
    let api = api(&redis, &[]);
    let reply = post(
        api.port,
        "/v1/tasks",
        r#"{"type":"echo","payload":{"a":[1,"ü"]}}"#,
    );
    assert_eq!(reply.status, 202, "{}", reply.text);
    let json = reply.json();
    assert_eq!(
        (json["queue"].as_str(), json["durability"].as_str()),
        (Some("default"), Some("none"))
    );
    assert_eq!(json["duplicate"], false);
    let id = json["id"].as_str().unwrap();
    assert_eq!(
        get(api.port, &format!("/v1/tasks/{id}")).json()["state"],
        "waiting"
    );
    assert_eq!(
        get(api.port, "/v1/queues/default/tasks").json()["tasks"][0]["id"],
        id
    );

    let (_worker, metrics) = worker(WORKER, &redis, &[]);
    let shown = get(api.port, &format!("/v1/tasks/{id}?wait=20s")).json();
    assert_eq!(
        (shown["state"].as_str(), &shown["result"]["a"][1]),
        (Some("done"), &"ü".into())
    );
    let text = get(metrics, "/metrics").text;
    assert!(
        text.contains(
            r#"messaging_client_consumed_messages_total{messaging_destination_name="default"} 1"#
        ),
        "{text}"
    );
    let text = get(api.metrics, "/metrics").text;
    assert!(
        text.contains(
            r#"messaging_client_sent_messages_total{messaging_destination_name="default"} 1"#
        ),
        "{text}"
    );
    assert!(
        text.contains(r#"asynq_tasks_processed_total{queue="default"} 1"#),
        "{text}"
    );
}

#[test]
fn a_key_makes_a_task_once() {
    let redis = redis();
    let api = api(&redis, &[]);
    let send = |body: &str| {
        let headers = ["content-type: application/json", "idempotency-key: order-7"];
        request(api.port, "POST", "/v1/tasks", &headers, body.as_bytes())
    };
    let (first, again) = (
        send(r#"{"type":"echo","payload":1}"#).json(),
        send(r#"{"type":"echo","payload":1}"#).json(),
    );
    assert_eq!(first["id"], again["id"]);
    assert_eq!(
        (first["duplicate"].as_bool(), again["duplicate"].as_bool()),
        (Some(false), Some(true))
    );
    let other = send(r#"{"type":"echo","payload":2}"#);
    assert_eq!(
        (other.status, other.pointers()),
        (409, vec!["@idempotency-key".to_owned()])
    );
}

#[test]
fn batches_come_as_array_or_lines() {
    let redis = redis();
    let api = api(&redis, &[]);
    let reply = post(
        api.port,
        "/v1/tasks:batch",
        r#"[{"type":"echo"},{"type":"echo","queue":"other","idempotency_key":"k"},{"type":"sleep","payload":{"ms":1}}]"#,
    );
    assert_eq!(reply.status, 202, "{}", reply.text);
    let queues: Vec<_> = reply.json()["accepted"]
        .as_array()
        .unwrap()
        .iter()
        .map(|a| a["queue"].clone())
        .collect();
    assert_eq!(queues, ["default", "other", "default"]);
    let lines = "{\"type\":\"echo\"}\n\n{\"type\":\"echo\"}\n";
    let ndjson = ["content-type: application/x-ndjson"];
    let reply = request(
        api.port,
        "POST",
        "/v1/tasks:batch",
        &ndjson,
        lines.as_bytes(),
    );
    assert_eq!(reply.json()["accepted"].as_array().map(Vec::len), Some(2));
    assert_eq!(get(api.port, "/v1/queues/default").json()["waiting"], 4);
    let names: Vec<_> = get(api.port, "/v1/queues").json()["queues"]
        .as_array()
        .unwrap()
        .iter()
        .map(|q| q["queue"].clone())
        .collect();
    assert_eq!(names, ["default", "other"]);
}

#[test]
fn queues_are_steered() {
    let redis = redis();
    let api = api(&redis, &[]);
    let id = enqueue(
        api.port,
        r#"{"type":"fail","payload":{"times":9,"how":"dead"}}"#,
    );
    enqueue(api.port, r#"{"type":"echo","delay_ms":600000}"#);
    assert_eq!(
        post(api.port, "/v1/queues/default/pause", "").json()["paused"],
        true
    );
    let put = |path: &str, body: &str| {
        request(
            api.port,
            "PUT",
            path,
            &["content-type: application/json"],
            body.as_bytes(),
        )
    };
    let delete = |path: &str| request(api.port, "DELETE", path, &[], b"");
    let limited = put(
        "/v1/queues/default/rate-limit",
        r#"{"per_second":5,"burst":2}"#,
    )
    .json();
    assert_eq!(limited["rate_limit"]["burst"], 2);
    assert!(delete("/v1/queues/default/rate-limit").json()["rate_limit"].is_null());
    assert_eq!(
        post(api.port, "/v1/queues/default/resume", "").json()["paused"],
        false
    );

    let (_worker, _) = worker(WORKER, &redis, &[]);
    let dead = in_state(api.port, &id, "dead");
    assert_eq!(dead["error"], "attempt 1 of 9 that fail");
    assert_eq!(
        get(api.port, "/v1/queues/default/dead").json()["tasks"][0]["id"],
        id
    );
    assert_eq!(
        post(api.port, &format!("/v1/queues/default/dead/{id}/retry"), "").json()["count"],
        1
    );
    in_state(api.port, &id, "dead");
    assert_eq!(
        post(api.port, "/v1/queues/default/dead:retry", "").json()["count"],
        1
    );
    in_state(api.port, &id, "dead");
    assert_eq!(
        delete(&format!("/v1/queues/default/dead/{id}")).json()["count"],
        1
    );
    assert_eq!(delete(&format!("/v1/queues/default/dead/{id}")).status, 404);
    assert_eq!(delete("/v1/queues/default/dead").json()["count"], 0);
    assert_eq!(delete("/v1/queues/default/tasks").json()["count"], 1);
}

#[test]
fn tasks_are_cancelled_wherever_they_are() {
    let redis = redis();
    let api = api(&redis, &[]);
    let delete = |id: &str| request(api.port, "DELETE", &format!("/v1/tasks/{id}"), &[], b"");
    let waiting = enqueue(api.port, r#"{"type":"echo"}"#);
    let reply = delete(&waiting);
    assert_eq!(
        (reply.status, reply.json()["outcome"].as_str()),
        (200, Some("removed"))
    );
    assert_eq!(delete("01JD3M6R7Q8ZK5V0W2X4Y6Z8AB").status, 404);

    let (_worker, _) = worker(WORKER, &redis, &[]);
    let running = enqueue(api.port, r#"{"type":"sleep","payload":{"ms":600000}}"#);
    in_state(api.port, &running, "running");
    assert_eq!(delete(&running).status, 202);
    in_state(api.port, &running, "cancelled");
    assert_eq!(delete(&running).status, 409);
}

#[test]
fn the_schedule_is_kept_without_a_worker() {
    let redis = redis();
    let api = api(&redis, &[]);
    let put = |body: &str| {
        let json = ["content-type: application/json"];
        request(
            api.port,
            "PUT",
            "/v1/queues/default/cron/tick",
            &json,
            body.as_bytes(),
        )
    };
    let bad = put(r#"{"schedule":"nonsense","type":"echo"}"#);
    assert_eq!(
        (bad.status, bad.pointers()),
        (422, vec!["/schedule".to_owned()])
    );
    let reply = put(r#"{"schedule":"@every 1s","type":"echo","payload":{"n":1}}"#);
    assert_eq!(reply.status, 200, "{}", reply.text);
    let listed = get(api.port, "/v1/queues/default/cron").json();
    assert_eq!(listed["cron"][0]["schedule"], "@every 1s");
    enqueue(
        api.port,
        r#"{"type":"echo","delay_ms":200,"priority":"high"}"#,
    );
    until(
        "a slot has fired and the delayed task is due",
        PATIENCE,
        || get(api.port, "/v1/queues/default").json()["waiting"].as_u64() >= Some(2),
    );
    let remove = || request(api.port, "DELETE", "/v1/queues/default/cron/tick", &[], b"").status;
    assert_eq!((remove(), remove()), (200, 404));
}

#[test]
fn audited_tasks_are_recorded() {
    let redis = redis();
    let api = api(&redis, &[]);
    let (_worker, _) = worker(WORKER, &redis, &[]);
    for index in 0..5 {
        enqueue(
            api.port,
            &format!(r#"{{"type":"echo","audit":"run-1:{index}"}}"#),
        );
    }
    let path = "/v1/queues/default/audit/run-1";
    until("five records", PATIENCE, || {
        get(api.port, path).json()["records"]
            .as_array()
            .map(Vec::len)
            == Some(5)
    });
    let page = get(api.port, &format!("{path}?limit=3")).json();
    let next = page["next"].as_str().unwrap();
    let rest = get(api.port, &format!("{path}?limit=3&after={next}")).json();
    let mut seen: Vec<u64> = [&page, &rest]
        .iter()
        .flat_map(|p| p["records"].as_array().unwrap())
        .map(|r| r[0].as_u64().unwrap())
        .collect();
    seen.sort_unstable();
    assert_eq!(seen, [0, 1, 2, 3, 4]);
    assert_eq!(rest["records"][0][5], 0, "done");
}

#[test]
fn the_service_describes_itself() {
    let redis = redis();
    let api = api(&redis, &[]);
    let document = get(api.port, "/openapi.json").json();
    assert_eq!(document, kedactl_services::api::openapi_document());
    for (path, operations) in document["paths"].as_object().unwrap() {
        let real = path
            .replace("{id}", "01JD3M6R7Q8ZK5V0W2X4Y6Z8AB")
            .replace(['{', '}'], "");
        for method in operations.as_object().unwrap().keys() {
            let status = request(api.port, &method.to_uppercase(), &real, &[], b"").status;
            assert!(status != 405 && status < 500, "{method} {path}: {status}");
        }
    }
    let page = get(api.port, "/docs");
    assert!(page.text.contains("<title>kedactl API</title>") && !page.text.contains("src=\"http"));
    for port in [api.port, api.metrics] {
        assert_eq!(
            (get(port, "/healthz").status, get(port, "/readyz").status),
            (200, 200)
        );
    }
}

#[test]
fn the_checked_in_document_is_the_present_one() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");
    let present =
        serde_json::to_string_pretty(&kedactl_services::api::openapi_document()).unwrap() + "\n";
    if std::env::var_os("UPDATE_OPENAPI").is_some() {
        std::fs::write(path, &present).unwrap();
    }
    let checked_in = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        checked_in == present,
        "openapi.json has drifted: run this test with UPDATE_OPENAPI=1"
    );
}
