//! What clients do wrong, and what they are told.

use std::io::{BufReader, Write as _};
use std::net::TcpStream;

use crate::support::{PATIENCE, Reply, api, get, post, read, redis, request};

fn told(reply: &Reply) -> (u16, Vec<String>) {
    (reply.status, reply.pointers())
}

fn at(status: u16, pointers: &[&str]) -> (u16, Vec<String>) {
    (status, pointers.iter().map(ToString::to_string).collect())
}

#[test]
fn bad_bodies_are_named() {
    let redis = redis();
    let api = api(
        &redis,
        &[
            "--max-body-bytes=2000",
            "--max-batch-tasks=3",
            "--body-timeout-ms=300",
        ],
    );
    let one = |body: &str| told(&post(api.port, "/v1/tasks", body));
    assert_eq!(one(""), at(400, &[""]));
    assert_eq!(one("{\"type\":"), at(400, &[""]));
    assert_eq!(
        one(&format!(
            "{{\"type\":\"a\",\"payload\":{}}}",
            "[".repeat(70)
        )),
        at(400, &[""])
    );
    assert_eq!(
        one(&format!("{{\"type\":\"{}\"}}", "x".repeat(129))),
        at(422, &["/type"])
    );
    assert_eq!(
        one(&format!("{{\"type\":\"{}\"}}", "x".repeat(3000))),
        at(413, &[""])
    );
    assert_eq!(
        one(r#"{"type":"a","delay_ms":"1","max_attempts":0,"nme":1}"#),
        at(422, &["/delay_ms", "/max_attempts", "/nme"])
    );
    assert_eq!(
        one(r#"{"type":"a","audit":"no-index"}"#),
        at(422, &["/audit"])
    );
    let batch = |body: &str| told(&post(api.port, "/v1/tasks:batch", body));
    assert_eq!(batch(r#"[{"type":"a"},{"type":5}]"#), at(422, &["/1/type"]));
    assert_eq!(batch("[]"), at(422, &[""]));
    assert_eq!(
        batch(&format!("[{}]", [r#"{"type":"a"}"#; 4].join(","))),
        at(422, &[""])
    );
    assert_eq!(
        get(api.port, "/v1/queues/default").json()["waiting"],
        0,
        "nothing was stored"
    );
}

#[test]
fn bad_requests_are_named() {
    let redis = redis();
    let api = api(&redis, &[]);
    let send = |headers: &[&str], body: &[u8]| {
        told(&request(api.port, "POST", "/v1/tasks", headers, body))
    };
    let json = "content-type: application/json";
    assert_eq!(
        send(&[json, "content-encoding: gzip"], b"{}"),
        at(415, &["@content-encoding"])
    );
    assert_eq!(
        send(&["content-type: text/xml"], b"{}"),
        at(415, &["@content-type"])
    );
    assert_eq!(
        send(&["content-type: application/json; charset=latin1"], b"{}"),
        at(415, &["@content-type"])
    );
    assert_eq!(send(&[json], b"{\"type\":\"\xff\"}"), at(400, &[""]));
    let long = format!("idempotency-key: {}", "k".repeat(300));
    assert_eq!(
        send(&[json, &long], b"{\"type\":\"a\"}"),
        at(422, &["@idempotency-key"])
    );
    let told_get = |path: &str| told(&get(api.port, path));
    assert_eq!(told_get("/v1/tasks/nonsense"), at(422, &["{id}"]));
    assert_eq!(
        told_get("/v1/tasks/01JD3M6R7Q8ZK5V0W2X4Y6Z8AB?wait=soon"),
        at(422, &["?wait"])
    );
    assert_eq!(told_get("/v1/queues/a%20b"), at(422, &["{queue}"]));
    assert_eq!(
        told_get("/v1/queues/default/dead?limit=99999"),
        at(422, &["?limit"])
    );
    assert_eq!(told_get("/v1/queues/default?x=1"), at(422, &["?x"]));
    assert_eq!(told_get("/v1/queues/default/audit/run?after=zzz").0, 422);
    assert_eq!(told_get("/nowhere"), at(404, &[]));
    let wrong = request(api.port, "PATCH", "/v1/tasks", &[], b"");
    assert_eq!(told(&wrong), at(405, &[]));
    assert!(wrong.headers.contains("allow: post"), "{}", wrong.headers);
}

#[test]
fn slow_bodies_and_long_headers_are_cut_off() {
    let redis = redis();
    let api = api(
        &redis,
        &["--body-timeout-ms=200", "--header-timeout-ms=300"],
    );
    let open = || {
        let stream = TcpStream::connect(("127.0.0.1", api.port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    };
    let mut slow = open();
    slow.write_all(b"POST /v1/tasks HTTP/1.1\r\nhost: t\r\ncontent-length: 50\r\n\r\n{\"type\"")
        .unwrap();
    assert_eq!(
        told(&read(&mut BufReader::new(slow)).unwrap()),
        at(408, &[""])
    );
    let mut slow = open();
    slow.write_all(b"POST /v1/tasks HTTP/1.1\r\nhost:").unwrap();
    let answer = read(&mut BufReader::new(slow)).map(|r| r.status);
    assert!(matches!(answer, None | Some(408)), "{answer:?}");
    let mut long = open();
    drop(write!(
        long,
        "GET /healthz HTTP/1.1\r\nx: {}\r\n\r\n",
        "y".repeat(64 * 1024)
    ));
    let answer = read(&mut BufReader::new(long)).map(|r| r.status);
    assert!(matches!(answer, None | Some(431)), "{answer:?}");
}

#[test]
fn tokens_guard_v1_and_nothing_else() {
    let redis = redis();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "0123456789abcdef0123\n").unwrap();
    let flag = format!("--tokens-file={}", file.path().display());
    let api = api(&redis, &[&flag]);
    let refused = post(api.port, "/v1/tasks", r#"{"type":"echo"}"#);
    assert_eq!(told(&refused), at(401, &["@authorization"]));
    assert_eq!(get(api.port, "/v1/queues").status, 401);
    let token = "authorization: Bearer 0123456789abcdef0123";
    assert_eq!(
        request(
            api.port,
            "POST",
            "/v1/tasks",
            &[token],
            b"{\"type\":\"echo\"}"
        )
        .status,
        202
    );
    assert_eq!(
        request(api.port, "GET", "/v1/queues", &[token], b"").status,
        200
    );
    assert_eq!(
        (
            get(api.port, "/readyz").status,
            get(api.port, "/docs").status
        ),
        (200, 200)
    );
}

#[test]
fn what_cannot_be_durable_is_refused_for_now() {
    let redis = redis();
    let api = api(&redis, &["--durability=one", "--replica-timeout-ms=100"]);
    let reply = post(api.port, "/v1/tasks", r#"{"type":"echo"}"#);
    assert_eq!(reply.status, 503, "{}", reply.text);
    assert!(
        reply.headers.contains("retry-after: 1"),
        "{}",
        reply.headers
    );
    assert!(reply.text.contains("Idempotency-Key"), "{}", reply.text);
}

#[test]
fn a_full_house_says_so() {
    let redis = redis();
    let api = api(&redis, &["--max-requests=1"]);
    // One that comes while the probe below is served is itself refused, so each round brings a new one.
    let mut slow = Vec::new();
    kedactl_testkit::until("the house is full", PATIENCE, || {
        let mut stream = TcpStream::connect(("127.0.0.1", api.port)).unwrap();
        stream
            .write_all(b"POST /v1/tasks HTTP/1.1\r\nhost: t\r\ncontent-length: 50\r\n\r\n{")
            .unwrap();
        slow.push(stream);
        let reply = post(api.port, "/v1/tasks", r#"{"type":"echo"}"#);
        reply.status == 503 && reply.headers.contains("retry-after")
    });
    assert_eq!(get(api.port, "/healthz").status, 200);
}
