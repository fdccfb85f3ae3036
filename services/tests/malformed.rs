//! 100,000 malformed requests against the real API over kept-alive TCP: no panic, no 5xx, no growth, and wherever a field
//! is wrong, an answer that names it.
//!
//! It must not send a request whose right answer it does not know. `SEED=n` repeats a run.

#[path = "services/support.rs"]
#[expect(dead_code, reason = "shared with the other tests")]
mod support;

use std::io::{BufReader, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use kedactl_testkit::Dice;
use support::{Api, Reply, api, read, redis};

const REQUESTS: u64 = 100_000;
const CONNECTIONS: u64 = 8;
/// The API's `--max-body-bytes` in this test.
const MAX_BODY: usize = 20_000;

/// What must come back.
enum Want {
    /// This status, naming this place among others.
    Named(u16, String),
    /// One of these statuses; a problem unless it is a 2xx.
    Told(&'static [u16]),
    /// The bytes are no HTTP: any 4xx, with or without a body, or a closed connection.
    Any,
}

struct Case {
    bytes: Vec<u8>,
    want: Want,
    /// Close our half after sending: the rest never comes.
    cut: bool,
}

fn named(status: u16, pointer: impl Into<String>) -> Want {
    Want::Named(status, pointer.into())
}

fn http(method: &str, path: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let mut bytes =
        format!("{method} {path} HTTP/1.1\r\nhost: t\r\n{headers}content-length: {length}\r\n\r\n")
            .into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

fn task(body: &[u8]) -> Vec<u8> {
    http(
        "POST",
        "/v1/tasks",
        "content-type: application/json\r\n",
        body,
    )
}

const GOOD: &str = r#"{"type":"echo","queue":"fuzz","payload":{"a":[1,2.5e3,"x\n",null,true]},"priority":"low","max_attempts":3,"backoff":{"base_ms":5,"factor":1.5}}"#;

const WRONG: &[(&str, &[&str])] = &[
    (
        "type",
        &["5", "null", "\"\"", "[]", "\"a b\"", "\"\\u0000\""],
    ),
    ("queue", &["5", "\"\"", "\"a/b\"", "{}", "\"\u{fc}\""]),
    ("priority", &["1", "\"urgent\"", "[\"low\"]"]),
    (
        "delay_ms",
        &["-1", "1.5", "\"1\"", "1e30", "99999999999999999999", "true"],
    ),
    ("run_at_ms", &["-5", "\"now\"", "1e99"]),
    ("expires_in_ms", &["0", "-1", "[]"]),
    ("timeout_ms", &["0", "604800001", "\"x\""]),
    ("max_attempts", &["0", "1001", "-3", "2.5", "{}"]),
    ("backoff", &["5", "\"x\"", "[]", "true"]),
    (
        "backoff/base_ms",
        &["{\"base_ms\":-1}", "{\"base_ms\":\"1\"}"],
    ),
    (
        "backoff/factor",
        &["{\"factor\":0.5}", "{\"factor\":\"2\"}", "{\"factor\":1e9}"],
    ),
    ("backoff/bse", &["{\"bse\":1}"]),
    ("result_ttl_s", &["-1", "99999999999", "\"1\""]),
    (
        "audit",
        &[
            "5",
            "\"x\"",
            "\"a b:1\"",
            "\"r:-1\"",
            "\"r:99999999999999999999999\"",
        ],
    ),
    ("idempotency_key", &["5", "\"\"", "\"\\u0007\""]),
    ("payloda", &["1"]),
    ("TYPE", &["\"echo\""]),
];

/// A task with one wrong field, and where that is.
fn wrong_field(dice: &mut Dice) -> (String, String) {
    let (place, values) = WRONG[dice.below(WRONG.len())];
    let (field, value) = (place.split('/').next().unwrap_or(place), dice.of(values));
    let body = if field == "type" {
        format!("{{\"type\":{value}}}")
    } else {
        format!("{{\"{field}\":{value},\"type\":\"echo\"}}")
    };
    (body, format!("/{place}"))
}

fn body_case(dice: &mut Dice) -> (Vec<u8>, Want) {
    match dice.below(8) {
        0 => (
            task(&GOOD.as_bytes()[..dice.below(GOOD.len())]),
            named(400, ""),
        ),
        1 => {
            let mut body = GOOD.as_bytes().to_vec();
            let at = dice.below(body.len());
            body[at] = dice.throw() as u8;
            (task(&body), Want::Told(&[202, 400, 422]))
        }
        2 => {
            let (open, n) = (dice.of(&["[", "{\"a\":"]), 64 + dice.below(900));
            (
                task(format!("{{\"type\":\"echo\",\"payload\":{}", open.repeat(n)).as_bytes()),
                named(400, ""),
            )
        }
        3 => (
            task(&vec![b' '; MAX_BODY + 1 + dice.below(5000)]),
            named(413, ""),
        ),
        4 => {
            let n = dice.below(300);
            let mut body = dice.bytes(n);
            body.push(0xff);
            (task(&body), named(400, ""))
        }
        5 => {
            let (bad, place) = wrong_field(dice);
            let before = dice.below(20);
            let list: Vec<&str> = (0..before)
                .map(|_| "{\"type\":\"echo\",\"queue\":\"fuzz\"}")
                .chain([bad.as_str()])
                .collect();
            let pointer = format!("/{before}{place}");
            if dice.below(2) == 0 {
                let body = format!("[{}]", list.join(","));
                (
                    http("POST", "/v1/tasks:batch", "", body.as_bytes()),
                    named(422, pointer),
                )
            } else {
                let lines = "content-type: application/x-ndjson\r\n";
                (
                    http("POST", "/v1/tasks:batch", lines, list.join("\n").as_bytes()),
                    named(422, pointer),
                )
            }
        }
        _ => {
            let (body, place) = wrong_field(dice);
            (task(body.as_bytes()), named(422, place))
        }
    }
}

fn head_case(dice: &mut Dice) -> (Vec<u8>, Want) {
    let good = GOOD.as_bytes();
    let send = |headers: String| http("POST", "/v1/tasks", &headers, good);
    match dice.below(7) {
        0 => {
            let encoding = dice.of(&["gzip", "br", "deflate", "zstd", "gzip, identity"]);
            (
                send(format!("content-encoding: {encoding}\r\n")),
                named(415, "@content-encoding"),
            )
        }
        1 => {
            let kind = dice.of(&[
                "text/xml",
                "x",
                "application/x-www-form-urlencoded",
                "application/json; charset=utf-16",
                ";",
            ]);
            (
                send(format!("content-type: {kind}\r\n")),
                named(415, "@content-type"),
            )
        }
        2 => {
            let n = 201 + dice.below(2000);
            (
                send(format!("idempotency-key: {}\r\n", "k".repeat(n))),
                named(422, "@idempotency-key"),
            )
        }
        3 => (
            send("idempotency-key: \u{e9}\r\n".to_owned()),
            named(422, "@idempotency-key"),
        ),
        4 => {
            let path = dice.of(&[
                "/v1/tasks/x",
                "/v1/tasks/%ff",
                "/v1/queues/a%20b",
                "/v1/queues/%2e%2e%2f",
                "/v1/queues/q?x=1",
                "/v1/queues/q/dead?limit=x",
                "/v1/tasks/01JD3M6R7Q8ZK5V0W2X4Y6Z8AB?wait=-1s",
                "/v1/queues/q/audit/a%20b",
            ]);
            (http("GET", path, "", b""), Want::Told(&[404, 422]))
        }
        5 => {
            let path = dice.of(&[
                "/",
                "//",
                "/v1",
                "/v1/",
                "/v1/tasks/",
                "/v2/tasks",
                "/%00",
                "/v1/tasks/a/b/c",
                "*",
            ]);
            (http("GET", path, "", b""), Want::Told(&[400, 404]))
        }
        _ => {
            let method = dice.of(&["PUT", "PATCH", "DELETE", "BREW", "OPTIONS"]);
            (http(method, "/v1/tasks", "", good), Want::Told(&[405]))
        }
    }
}

fn wire_case(dice: &mut Dice) -> Case {
    let whole = task(GOOD.as_bytes());
    let any = |bytes: Vec<u8>| Case {
        bytes,
        want: Want::Any,
        cut: true,
    };
    match dice.below(6) {
        0 => {
            let n = 1 + dice.below(400);
            any(dice.bytes(n))
        }
        1 => any(whole[..=dice.below(whole.len() - 1)].to_vec()),
        2 => any(b"POST /v1/tasks HTTP/1.1\r\nhost: t\r\ncontent-length: ten\r\n\r\n".to_vec()),
        3 => any(b"POST /v1/tasks HTTP/1.1\r\nhost: t\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n123456".to_vec()),
        4 => any(format!("GET / HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(200 + dice.below(4000))).into_bytes()),
        _ => any(b"POST /v1/tasks HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\n\r\nZZ\r\n{}\r\n0\r\n\r\n".to_vec()),
    }
}

fn case(dice: &mut Dice) -> Case {
    let (bytes, want) = match dice.below(20) {
        0 => return wire_case(dice),
        1..=5 => head_case(dice),
        _ => body_case(dice),
    };
    Case {
        bytes,
        want,
        cut: false,
    }
}

fn check(case: &Case, reply: Option<&Reply>) {
    let sent = || String::from_utf8_lossy(&case.bytes[..case.bytes.len().min(600)]).into_owned();
    let Some(reply) = reply else {
        assert!(matches!(case.want, Want::Any), "no answer to {}", sent());
        return;
    };
    let seen = || format!("{} {} to {}", reply.status, reply.text, sent());
    assert!(reply.status < 500, "{}", seen());
    match &case.want {
        Want::Any => {}
        Want::Told(statuses) => {
            assert!(statuses.contains(&reply.status), "{}", seen());
            if reply.status >= 300 {
                reply.pointers();
            }
        }
        Want::Named(status, pointer) => {
            assert_eq!(reply.status, *status, "{}", seen());
            assert!(
                reply.pointers().contains(pointer),
                "{pointer} in {}",
                seen()
            );
        }
    }
}

/// One kept-alive connection, opened again where the server has to close it.
fn torment(port: u16, seed: u64, requests: u64) {
    let mut dice = Dice::new(seed);
    let mut open: Option<BufReader<TcpStream>> = None;
    for _ in 0..requests {
        let case = case(&mut dice);
        let mut reader = open.take().unwrap_or_else(|| connect(port));
        // The server may refuse and close before it has read everything.
        drop(reader.get_mut().write_all(&case.bytes));
        if case.cut {
            drop(reader.get_mut().shutdown(Shutdown::Write));
        }
        let reply = read(&mut reader);
        check(&case, reply.as_ref());
        let closes =
            reply.is_none_or(|r| r.status == 413 || r.headers.contains("connection: close"));
        if !closes && !case.cut {
            open = Some(reader);
        }
    }
}

fn connect(port: u16) -> BufReader<TcpStream> {
    let stream = TcpStream::connect(("127.0.0.1", port)).expect("connects");
    stream
        .set_read_timeout(Some(Duration::from_secs(30)))
        .expect("a timeout");
    BufReader::new(stream)
}

fn torment_all(port: u16, seed: u64, requests: u64) {
    std::thread::scope(|scope| {
        for i in 0..CONNECTIONS {
            scope.spawn(move || {
                torment(
                    port,
                    (seed + i * 7919).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
                    requests / CONNECTIONS,
                );
            });
        }
    });
}

fn slow_bodies(port: u16) {
    for n in 0..20 {
        let mut reader = connect(port);
        reader
            .get_mut()
            .write_all(&task(GOOD.as_bytes())[..120 + n])
            .expect("is read");
        let reply = read(&mut reader).expect("an answer");
        assert_eq!((reply.status, reply.pointers()), (408, vec![String::new()]));
    }
}

fn rss_kib(api: &Api) -> u64 {
    let status =
        std::fs::read_to_string(format!("/proc/{}/status", api.process.0.id())).expect("it lives");
    let line = status
        .lines()
        .find_map(|l| l.strip_prefix("VmRSS:"))
        .expect("VmRSS");
    line.trim()
        .trim_end_matches(" kB")
        .parse()
        .expect("a number")
}

#[test]
fn a_hundred_thousand_malformed_requests() {
    #[expect(
        clippy::disallowed_methods,
        reason = "a test's seed is the only way to repeat it"
    )]
    let seed = std::env::var("SEED")
        .ok()
        .and_then(|s| s.parse().ok())
        .unwrap_or(20_260_923);
    println!("SEED={seed}");
    let redis = redis();
    let limit = format!("--max-body-bytes={MAX_BODY}");
    let api = api(&redis, &[&limit, "--body-timeout-ms=150"]);
    torment_all(api.port, seed, REQUESTS / 10);
    let warm = rss_kib(&api);
    torment_all(api.port, seed + 1, REQUESTS * 9 / 10);
    slow_bodies(api.port);
    let end = rss_kib(&api);
    assert!(
        end < warm + warm / 4 + 2048,
        "grew from {warm} KiB to {end} KiB"
    );
    assert_eq!(support::status(api.port, "/readyz"), Some(200));
    println!("{REQUESTS} requests; RSS {warm} KiB warm, {end} KiB at the end");
}
