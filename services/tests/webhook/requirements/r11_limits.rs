//! 11: clients that are slow, silent or many hold up nobody, and all of them are gone in time.

use crate::hook::{self, Program, routes};
use crate::support::{self, read, status};
use crate::{BOT, TOKEN, WITHIN, group};
use kedactl_testkit::{RedisOptions, RedisServer, Telegram, until};
use std::io::{BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;
use tokio::time::Instant;

/// Connections at once; more are told to come back.
const MOST: usize = 512;

struct Rig {
    program: Program,
    _redis: RedisServer,
    _telegram: Telegram,
    _files: tempfile::TempDir,
}

fn rig(more: &[&str]) -> Rig {
    let (redis, telegram) = (
        RedisServer::start(&RedisOptions::default()),
        Telegram::start(BOT),
    );
    let files = tempfile::tempdir().unwrap();
    let args = hook::arguments(&files, redis.port(), &telegram.url(), &routes(), more);
    let program = Program::start(args);
    let metrics = program.process.port("metrics_at");
    until("it is ready", WITHIN, || {
        status(metrics, "/readyz") == Some(200)
    });
    Rig {
        program,
        _redis: redis,
        _telegram: telegram,
        _files: files,
    }
}

impl Rig {
    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.program.port)).unwrap();
        stream.set_read_timeout(Some(WITHIN)).unwrap();
        stream
    }

    fn descriptors(&self) -> usize {
        let path = format!("/proc/{}/fd", self.program.process.0.id());
        std::fs::read_dir(path).unwrap().count()
    }
}

/// Waits for the end of a connection; when that was after the beginning.
fn ended(mut stream: TcpStream, begin: Instant) -> Duration {
    let mut rest = Vec::new();
    // Reset or closed: both are ends.
    let _end = stream.read_to_end(&mut rest);
    begin.elapsed()
}

#[test]
fn r11_slow_and_silent_clients_hold_up_nobody_and_end_in_time() {
    let rig = rig(&["--body-timeout-ms=8000"]);
    let base = rig.descriptors();
    let begin = Instant::now();
    let head = format!(
        "POST /v1/alerts/default HTTP/1.1\r\nhost: t\r\nauthorization: Bearer {TOKEN}\r\ncontent-length: 900\r\n"
    );
    let mut slow = Vec::new();
    for n in 0..400 {
        let mut stream = rig.connect();
        match n % 4 {
            0 | 1 => {}
            2 => stream.write_all(&head.as_bytes()[..40]).unwrap(),
            _ => stream
                .write_all(format!("{head}\r\n{{\"al").as_bytes())
                .unwrap(),
        }
        slow.push(stream);
    }
    let mut dripping = slow
        .iter()
        .filter_map(|it| it.try_clone().ok())
        .collect::<Vec<_>>();
    let mut took = Vec::new();
    for n in 0..60 {
        let sent = Instant::now();
        rig.program
            .post(&group(&format!("G{n}"), &[("a", true)], 1));
        took.push(sent.elapsed());
        // One byte more of each that speaks at all.
        for (n, stream) in dripping.iter_mut().enumerate() {
            if n % 4 >= 2 {
                let _gone = stream.write_all(b"x");
            }
        }
    }
    took.sort_unstable();
    println!(
        "beside 400 slow clients: median {:?}, worst {:?}",
        took[30], took[59]
    );
    assert!(took[30] < Duration::from_millis(500), "{took:?}");
    drop(dripping);
    let ends: Vec<Duration> = slow.into_iter().map(|it| ended(it, begin)).collect();
    let last = ends.iter().max().unwrap();
    // Ten seconds for a head, eight for a body, on a machine that may be busy.
    assert!(*last < Duration::from_secs(25), "{last:?}");
    until("its descriptors are free", WITHIN, || {
        rig.descriptors() <= base + 8
    });
}

#[test]
fn r11_too_many_clients_are_told_to_come_back() {
    let rig = rig(&[]);
    let mut open: Vec<TcpStream> = (0..MOST).map(|_| rig.connect()).collect();
    // Connections are taken in order: the next one is beyond the limit.
    let mut beyond = BufReader::new(rig.connect());
    let reply = read(&mut beyond).expect("an answer");
    assert_eq!(reply.status, 503);
    assert!(reply.headers.contains("retry-after"), "{}", reply.headers);
    open.truncate(MOST / 2);
    until("there is room", WITHIN, || {
        rig.program.send(&group("A", &[("a", true)], 1)).status == 202
    });
}

#[test]
fn r11_heads_and_bodies_have_a_size() {
    let rig = rig(&["--max-body-bytes=100000"]);
    let port = rig.program.port;
    let authorization = format!("authorization: Bearer {TOKEN}");
    let post = |headers: &[&str], body: &[u8]| {
        let headers = [&[authorization.as_str()], headers].concat();
        support::request(port, "POST", "/v1/alerts/default", &headers, body).status
    };
    let mut stream = rig.connect();
    let head = format!(
        "GET /healthz HTTP/1.1\r\nhost: t\r\nx-long: {}\r\n\r\n",
        "y".repeat(9000)
    );
    stream.write_all(head.as_bytes()).unwrap();
    // It may close before it has read everything, and then its answer may get lost.
    let reply = read(&mut BufReader::new(stream));
    assert!(reply.is_none_or(|it| it.status == 431));
    assert_eq!(post(&[], &vec![b' '; 100_001]), 413);
    // One that says that it is ten gibibytes is not read at all.
    let mut stream = rig.connect();
    let head = format!(
        "POST /v1/alerts/default HTTP/1.1\r\nhost: t\r\n{authorization}\r\ncontent-length: 10737418240\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    assert_eq!(
        read(&mut BufReader::new(stream)).expect("an answer").status,
        413
    );
    // Nor is one that never ends.
    let mut stream = rig.connect();
    let head = format!(
        "POST /v1/alerts/default HTTP/1.1\r\nhost: t\r\n{authorization}\r\ntransfer-encoding: chunked\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    let chunk = format!("4000\r\n{}\r\n", " ".repeat(0x4000));
    let mut sent = 0;
    while sent < 10_000_000 && stream.write_all(chunk.as_bytes()).is_ok() {
        sent += 0x4000;
    }
    assert!(sent < 10_000_000, "it reads for ever");
    // A bomb is bytes: nothing is unpacked.
    let zeros = "\u{1f}\u{8b}\u{8}".repeat(100);
    assert!(matches!(
        post(&["content-encoding: gzip"], zeros.as_bytes()),
        400 | 415
    ));
    let deep = format!("{{\"alerts\": {}{}}}", "[".repeat(64), "]".repeat(64));
    assert_eq!(post(&[], deep.as_bytes()), 400);
}
