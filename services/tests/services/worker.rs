//! The worker with its built-in handlers, with a user's own, and with handlers that misbehave.

use std::process::ExitCode;

use kedactl_services::worker::{Context, Failure, WorkerBuilder};
use kedactl_testkit::{RedisServer, until};
use serde_json::{Value, json};

use crate::support::{
    PATIENCE, Process, WORKER, api, enqueue, get, in_state, patient, redis, status, worker,
};

/// The handlers of a worker that no operator wants.
fn misbehaving(worker: WorkerBuilder) -> WorkerBuilder {
    worker.builtin().handle("abort", abort).handle("loop", spin)
}

async fn abort(_: Value, _: Context) -> Result<(), Failure> {
    std::process::abort()
}

async fn spin(_: Value, _: Context) -> Result<(), Failure> {
    loop {
        std::hint::spin_loop();
    }
}

/// Not a test: the process that the tests below start, by this test's name, with settings from the environment.
#[test]
#[ignore = "a process of other tests"]
fn misbehaving_worker() {
    // The arguments are the test harness's; the settings come as variables.
    let args = ["worker".into()];
    let code = kedactl_services::worker::main_with(args, misbehaving);
    assert_eq!(format!("{code:?}"), format!("{:?}", ExitCode::SUCCESS));
}

fn start_misbehaving(redis: &RedisServer) -> Process {
    let program = std::env::current_exe().expect("this test");
    let args = [
        "worker::misbehaving_worker",
        "--exact",
        "--ignored",
        "--nocapture",
    ];
    let env = [
        ("KEDACTL_REDIS_ADDR", format!("127.0.0.1:{}", redis.port())),
        ("KEDACTL_METRICS_LISTEN", "127.0.0.1:0".to_owned()),
        ("KEDACTL_LEASE_MS", "1000".to_owned()),
        ("KEDACTL_GRACE_SECONDS", "6".to_owned()),
    ];
    Process::start_with(
        program.to_str().expect("UTF-8"),
        &args.map(str::to_owned),
        &env,
    )
}

#[test]
fn built_in_handlers_work() {
    let redis = redis();
    let api = api(&redis, &[]);
    let address = format!("http://127.0.0.1:{}", api.port);
    let http = format!("--http-allow={address}/v1/queues/");
    let (_worker, _) = worker(
        WORKER,
        &redis,
        &[&http, "--exec-allow=cat=/bin/cat,false=/bin/false"],
    );
    let run =
        |body: Value, state: &str| in_state(api.port, &enqueue(api.port, &body.to_string()), state);
    let task =
        |kind: &str, payload: Value| json!({"type": kind, "payload": payload, "max_attempts": 1});

    assert_eq!(run(task("echo", json!("x")), "done")["result"], "x");
    assert!(run(task("cpu", json!({"ms": 20})), "done")["result"]["took_ms"].as_u64() >= Some(20));
    let flaky = json!({"type":"fail","payload":{"times":2},"backoff":{"base_ms":10}});
    let done = run(flaky, "done");
    assert_eq!(
        (&done["result"], &done["failed_attempts"]),
        (&3.into(), &2.into())
    );

    let got = run(
        task(
            "http",
            json!({"method":"GET","url": format!("{address}/v1/queues/default")}),
        ),
        "done",
    );
    assert_eq!(got["result"]["status"], 200);
    let refused = run(
        task("http", json!({"url": format!("{address}/healthz")})),
        "dead",
    );
    assert!(refused["error"].as_str().unwrap().contains("--http-allow"));
    let lost = run(
        task(
            "http",
            json!({"method":"PATCH","url": format!("{address}/v1/queues/x/pause")}),
        ),
        "dead",
    );
    assert!(lost["error"].as_str().unwrap().starts_with("405"), "{lost}");

    let out = run(task("exec", json!({"program":"cat","stdin":"hi"})), "done");
    assert_eq!(out["result"]["stdout"], "hi");
    assert!(
        run(task("exec", json!({"program":"sh"})), "dead")["error"]
            .as_str()
            .unwrap()
            .contains("--exec-allow")
    );
    assert!(
        run(task("exec", json!({"program":"false"})), "dead")["error"]
            .as_str()
            .unwrap()
            .contains("exit status: 1")
    );
    assert!(
        run(task("nobody", json!(1)), "dead")["error"]
            .as_str()
            .unwrap()
            .contains("no handler")
    );
    assert!(
        run(task("sleep", json!({"ms":"x"})), "dead")["error"]
            .as_str()
            .unwrap()
            .contains("does not fit")
    );
}

#[test]
fn time_limits_and_cancellation_reach_a_running_task() {
    let redis = redis();
    let api = api(&redis, &[]);
    let (_worker, _) = worker(WORKER, &redis, &["--exec-allow=sleep=/bin/sleep"]);
    let late = enqueue(
        api.port,
        r#"{"type":"sleep","payload":{"ms":60000},"timeout_ms":200,"max_attempts":1}"#,
    );
    assert_eq!(
        in_state(api.port, &late, "dead")["error"],
        "the time limit of the attempt has passed"
    );
    for body in [
        r#"{"type":"exec","payload":{"program":"sleep","args":["600"]},"timeout_ms":200,"max_attempts":1}"#,
        r#"{"type":"cpu","payload":{"ms":60000},"timeout_ms":200,"max_attempts":1}"#,
    ] {
        in_state(api.port, &enqueue(api.port, body), "dead");
    }
    let busy = enqueue(api.port, r#"{"type":"cpu","payload":{"ms":600000}}"#);
    in_state(api.port, &busy, "running");
    assert_eq!(
        patient(api.port, "DELETE", &format!("/v1/tasks/{busy}"), &[], b"").status,
        202
    );
    in_state(api.port, &busy, "cancelled");
}

#[test]
fn a_panic_is_a_failed_attempt() {
    let redis = redis();
    let api = api(&redis, &[]);
    let (_worker, metrics) = worker(WORKER, &redis, &[]);
    let id = enqueue(
        api.port,
        r#"{"type":"fail","payload":{"times":9,"how":"panic"},"max_attempts":2,"backoff":{"base_ms":1}}"#,
    );
    let dead = in_state(api.port, &id, "dead");
    assert_eq!(
        (&dead["failed_attempts"], &dead["crashes"]),
        (&2.into(), &0.into())
    );
    assert!(
        dead["error"].as_str().unwrap().contains("panicked"),
        "{dead}"
    );
    assert_eq!(status(metrics, "/healthz"), Some(200));
    let text = get(metrics, "/metrics").text;
    assert!(text.contains(r#"outcome="panic"} 2"#), "{text}");
}

#[test]
fn a_task_that_kills_its_workers_ends_as_a_dead_letter() {
    let redis = redis();
    let api = api(&redis, &[]);
    let id = enqueue(api.port, r#"{"type":"abort"}"#);
    let mut deaths = 0;
    let mut process = start_misbehaving(&redis);
    until("the task is dead", PATIENCE * 2, || {
        if process.0.try_wait().unwrap().is_some() {
            deaths += 1;
            process = start_misbehaving(&redis);
        }
        get(api.port, &format!("/v1/tasks/{id}")).json()["state"] == "dead"
    });
    let dead = get(api.port, &format!("/v1/tasks/{id}")).json();
    assert_eq!(
        (&dead["crashes"], &dead["reason"]),
        (&3.into(), &"crashed".into())
    );
    assert!((2..=3).contains(&deaths), "{deaths}");
}

#[test]
fn a_handler_that_never_yields_costs_the_process_but_nobody_elses_task() {
    let redis = redis();
    let api = api(&redis, &[]);
    let mut process = start_misbehaving(&redis);
    let stuck = enqueue(
        api.port,
        r#"{"type":"loop","timeout_ms":1500,"max_attempts":1}"#,
    );
    in_state(api.port, &stuck, "running");
    // Longer than the lease: were it not renewed beside the loop, the task would run elsewhere.
    let other = enqueue(api.port, r#"{"type":"sleep","payload":{"ms":1200}}"#);
    assert_eq!(in_state(api.port, &other, "done")["crashes"], 0);
    assert_eq!(status(process.port("metrics_at"), "/healthz"), Some(200));
    let dead = in_state(api.port, &stuck, "dead");
    assert_eq!(
        (&dead["failed_attempts"], &dead["crashes"]),
        (&1.into(), &0.into())
    );
    assert_ne!(
        process.exit().code(),
        Some(0),
        "the supervisor must restart it"
    );
}

#[test]
fn a_users_own_handler_works() {
    let redis = redis();
    let api = api(&redis, &[]);
    let program = std::path::Path::new(WORKER)
        .with_file_name("examples")
        .join("resize");
    let (_worker, _) = worker(program.to_str().unwrap(), &redis, &[]);
    let dir = tempfile::tempdir().unwrap();
    let (source, target) = (dir.path().join("in.ppm"), dir.path().join("out.ppm"));
    let body = json!({"type":"resize","payload":{"source":source,"target":target,"width":2},"backoff":{"base_ms":50}});
    let id = enqueue(api.port, &body.to_string());
    until("the first attempt has failed", PATIENCE, || {
        get(api.port, &format!("/v1/tasks/{id}")).json()["failed_attempts"].as_u64() >= Some(1)
    });
    let mut image = b"P6\n4 2\n255\n".to_vec();
    image.extend((0..24).map(|b| b * 10));
    std::fs::write(&source, image).unwrap();
    let done = in_state(api.port, &id, "done");
    assert_eq!(done["result"], json!({"width":2,"height":1}));
    assert_eq!(
        std::fs::read(&target).unwrap(),
        b"P6\n2 1\n255\n\x00\x0a\x14\x3c\x46\x50"
    );
    let bad = json!({"type":"resize","payload":{"source":target,"target":"/x","width":0}});
    assert!(
        in_state(api.port, &enqueue(api.port, &bad.to_string()), "dead")["error"]
            .as_str()
            .unwrap()
            .contains("width")
    );
}
