//! 11: bodies of all kinds: no panic, no answer of 5xx but 503, no growth. `SEED=n` repeats a run.

use crate::hook::{self, Program, routes};
use crate::support::{Reply, read, status};
use crate::{BOT, TOKEN, WITHIN, group};
use kedactl_testkit::{Dice, RedisOptions, RedisServer, Telegram, until};
use std::io::{BufReader, Write as _};
use std::net::TcpStream;

const CONNECTIONS: u64 = 8;
const MAX_BODY: usize = 20_000;

/// A value that no field of a notification has.
const WRONG: [&str; 12] = [
    "null",
    "5",
    "-1",
    "1e999",
    "\"\\u0000\"",
    "\"\\ud800\"",
    "[]",
    "{}",
    "[[[]]]",
    "true",
    "\"<b>&\"",
    "{\"a\": {\"b\": 1}}",
];
const FIELDS: [&str; 14] = [
    "version",
    "groupKey",
    "truncatedAlerts",
    "status",
    "receiver",
    "groupLabels",
    "commonLabels",
    "commonAnnotations",
    "externalURL",
    "alerts",
    "notification_reason",
    "startsAt",
    "labels",
    "fingerprint",
];

fn body(dice: &mut Dice) -> Vec<u8> {
    // Few groups: what is taken is to be shown, at the speed of one chat.
    let good = group(dice.of(&["A", "B"]), &[("a", true), ("b", false)], 1).to_string();
    match dice.below(8) {
        0 => good.as_bytes()[..dice.below(good.len())].to_vec(),
        1 => {
            let mut bytes = good.into_bytes();
            let at = dice.below(bytes.len());
            bytes[at] = dice.throw() as u8;
            bytes
        }
        2 => {
            let open = dice.of(&["[", "{\"a\":", "{\"alerts\":["]);
            open.repeat(1 + dice.below(900)).into_bytes()
        }
        3 => vec![b' '; MAX_BODY + 1 + dice.below(1000)],
        4 => {
            let length = dice.below(300);
            dice.bytes(length)
        }
        5 => dice
            .of(&[
                "",
                "null",
                "[]",
                "{}",
                "0",
                "\"\"",
                "{\"alerts\":{}}",
                "{\"alerts\":[1]}",
            ])
            .into(),
        _ => {
            let (field, wrong) = (dice.of(&FIELDS), dice.of(&WRONG));
            let key = format!("\"{field}\":");
            match good.find(&key) {
                Some(at) => {
                    format!("{}{key}{wrong},\"x\":1,{}", &good[..at], &good[at..]).into_bytes()
                }
                None => format!("{{{key}{wrong},{}", &good[1..]).into_bytes(),
            }
        }
    }
}

/// Bytes of a request, whether it is HTTP at all, and whether our half is closed after it.
fn request(dice: &mut Dice) -> (Vec<u8>, bool) {
    if dice.below(25) == 0 {
        let length = 1 + dice.below(300);
        return (dice.bytes(length), true);
    }
    let body = body(dice);
    let token = if dice.below(20) == 0 {
        "wrong-token-of-nobody"
    } else {
        TOKEN
    };
    let route = if dice.below(20) == 0 {
        dice.of(&["nowhere", "%ff", "a%20b", ""])
    } else {
        "default"
    };
    let method = if dice.below(40) == 0 {
        dice.of(&["GET", "PUT", "BREW"])
    } else {
        "POST"
    };
    let more = dice.of(&[
        "",
        "",
        "",
        "content-type: text/xml\r\n",
        "content-encoding: gzip\r\n",
        "expect: nonsense\r\n",
    ]);
    let mut bytes = format!(
        "{method} /v1/alerts/{route} HTTP/1.1\r\nhost: t\r\nauthorization: Bearer {token}\r\n{more}content-length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    bytes.extend(body);
    let cut = dice.below(30) == 0;
    if cut {
        let length = bytes.len() - dice.below(20);
        bytes.truncate(length);
    }
    (bytes, cut)
}

fn check(sent: &[u8], reply: &Reply) {
    let seen = || {
        let sent = String::from_utf8_lossy(&sent[..sent.len().min(600)]).into_owned();
        format!("{} {} to {sent}", reply.status, reply.text)
    };
    let known = [202, 400, 401, 404, 405, 408, 413, 415, 417, 431, 503];
    assert!(known.contains(&reply.status), "{}", seen());
    // The one thing that may be whole the next time is a body that did not arrive.
    assert!(
        reply.status != 503 || reply.text.contains("did not arrive"),
        "{}",
        seen()
    );
}

/// One kept-alive connection, opened again where the server has to close it.
fn torment(port: u16, seed: u64, requests: u64) {
    let mut dice = Dice::new(seed);
    let mut open: Option<BufReader<TcpStream>> = None;
    for _ in 0..requests {
        let (bytes, cut) = request(&mut dice);
        let mut reader = open.take().unwrap_or_else(|| {
            let stream = TcpStream::connect(("127.0.0.1", port)).expect("connects");
            stream.set_read_timeout(Some(WITHIN)).expect("a timeout");
            BufReader::new(stream)
        });
        // The server may refuse and close before it has read everything.
        drop(reader.get_mut().write_all(&bytes));
        if cut {
            drop(reader.get_mut().shutdown(std::net::Shutdown::Write));
        }
        let Some(reply) = read(&mut reader) else {
            continue;
        };
        check(&bytes, &reply);
        let closes = cut || reply.status >= 405 || reply.headers.contains("connection: close");
        if !closes {
            open = Some(reader);
        }
    }
}

fn rss_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it lives");
    let line = status
        .lines()
        .find_map(|l| l.strip_prefix("VmRSS:"))
        .expect("VmRSS");
    line.trim()
        .trim_end_matches(" kB")
        .parse()
        .expect("a number")
}

#[expect(clippy::print_stdout, reason = "the seed is to be found again")]
fn malformed(requests: u64) {
    #[expect(
        clippy::disallowed_methods,
        reason = "a test's seed is the only way to repeat it"
    )]
    let seed = std::env::var("SEED")
        .ok()
        .and_then(|s| s.parse().ok())
        .unwrap_or(20_261_127);
    println!("SEED={seed}");
    let (redis, telegram) = (
        RedisServer::start(&RedisOptions::default()),
        Telegram::start(BOT),
    );
    let files = tempfile::tempdir().unwrap();
    let limit = format!("--max-body-bytes={MAX_BODY}");
    let more = [limit.as_str(), "--body-timeout-ms=2000"];
    let args = hook::arguments(&files, redis.port(), &telegram.url(), &routes(), &more);
    let program = Program::start(args);
    let port = program.port;
    let all = |seed: u64, requests: u64| {
        std::thread::scope(|scope| {
            for i in 0..CONNECTIONS {
                let seed = (seed + i * 7919).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
                scope.spawn(move || torment(port, seed, requests / CONNECTIONS));
            }
        });
    };
    all(seed, requests / 5);
    let warm = rss_kib(program.process.0.id());
    all(seed + 1, requests * 4 / 5);
    let end = rss_kib(program.process.0.id());
    println!("{requests} requests; RSS {warm} KiB warm, {end} KiB at the end");
    assert!(
        end < warm + warm / 2 + 8192,
        "grew from {warm} KiB to {end} KiB"
    );
    let log = program.process.log();
    assert!(!log.contains("panicked"), "{log}");
    until("it is ready", WITHIN, || {
        status(port, "/readyz") == Some(200)
    });
}

#[test]
fn r11_malformed_bodies_of_all_kinds() {
    malformed(5_000);
}

#[test]
#[ignore = "minutes; the same as the one above, twenty times as many"]
fn r11_a_hundred_thousand_malformed_bodies() {
    malformed(100_000);
}
