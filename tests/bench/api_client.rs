//! A closed-loop client on core 1: so many connections, each with one request under way.
//!
//! It must not parse more than it needs: it shares its core with Redis.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::Instant;

use super::servers::pin;

/// What was seen.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    pub per_s: f64,
    pub p99_us: f64,
    /// Answers in all, those of the warm-up too.
    pub answers: u64,
}

const BODY: &str =
    r#"{"type":"echo","payload":{"user":12345,"text":"hello, this is a payload of a usual size"}}"#;

/// Sends tasks for so long after a second of warm-up; every answer must be a 2xx.
pub(crate) fn drive(port: u16, connections: usize, during: Duration) -> anyhow::Result<Load> {
    let thread = std::thread::spawn(move || {
        pin(None, 1)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(async {
            let begin = Instant::now() + Duration::from_secs(1);
            let lanes: Vec<_> = (0..connections)
                .map(|_| tokio::spawn(lane(port, begin, begin + during)))
                .collect();
            let (mut times, mut answers) = (Vec::new(), 0);
            for lane in lanes {
                let (measured, all) = lane.await??;
                times.extend(measured);
                answers += all;
            }
            ensure!(!times.is_empty(), "no request was answered");
            times.sort_unstable();
            let p99_us = f64::from(times[times.len() * 99 / 100]);
            Ok(Load {
                per_s: times.len() as f64 / during.as_secs_f64(),
                p99_us,
                answers,
            })
        })
    });
    thread
        .join()
        .map_err(|_| anyhow::anyhow!("the client panicked"))?
}

async fn lane(port: u16, begin: Instant, end: Instant) -> anyhow::Result<(Vec<u32>, u64)> {
    let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await?;
    stream.set_nodelay(true)?;
    let request = head(BODY.len()) + BODY;
    let (mut times, mut buffer) = (Vec::new(), vec![0; 4096]);
    // Answers of one server have one length: only the first is searched for its end.
    let (mut usual, mut answers) = (None, 0);
    loop {
        let sent = Instant::now();
        if sent >= end {
            return Ok((times, answers));
        }
        stream.write_all(request.as_bytes()).await?;
        let mut have = 0;
        loop {
            let n = stream.read(&mut buffer[have..]).await?;
            ensure!(n > 0, "the server closed the connection");
            have += n;
            if usual == Some(have) && buffer.starts_with(b"HTTP/1.1 2") {
                break;
            }
            if complete(&buffer[..have])? {
                usual = Some(have);
                break;
            }
        }
        answers += 1;
        if sent >= begin {
            times.push(sent.elapsed().as_micros() as u32);
        }
    }
}

fn head(length: usize) -> String {
    format!(
        "POST /v1/tasks HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    )
}

/// Whether the answer is there as a whole.
fn complete(answer: &[u8]) -> anyhow::Result<bool> {
    let Some(end) = answer.windows(4).position(|w| w == b"\r\n\r\n") else {
        return Ok(false);
    };
    let text = std::str::from_utf8(&answer[..end])?;
    ensure!(text.as_bytes().get(9) == Some(&b'2'), "not a 2xx: {text}");
    let length = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse::<usize>().ok())?
    });
    Ok(answer.len() >= end + 4 + length.context("no content-length")?)
}

/// Sends one batch and waits for its answer.
pub(crate) fn batch(port: u16, tasks: usize) -> anyhow::Result<()> {
    let body = format!("[{}]", vec![BODY; tasks].join(","));
    let head = head(body.len())
        .replace("/v1/tasks", "/v1/tasks:batch")
        .replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n");
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.write_all(head.as_bytes())?;
    stream.write_all(body.as_bytes())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    ensure!(
        answer.starts_with(b"HTTP/1.1 202"),
        "{}",
        String::from_utf8_lossy(&answer[..answer.len().min(400)])
    );
    Ok(())
}
