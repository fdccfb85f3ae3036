//! Real processes of this crate and a plain HTTP client for tests.
//!
//! It must not know what a test asserts.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use kedactl_testkit::{RedisOptions, RedisServer, until};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::NamedTempFile;

pub(crate) const API: &str = env!("CARGO_BIN_EXE_api-of-services");
pub(crate) const WORKER: &str = env!("CARGO_BIN_EXE_worker-of-services");
pub(crate) const WEBHOOK: &str = env!("CARGO_BIN_EXE_webhook-of-services");
/// Long enough for a busy machine; a test that waits so long fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(40);

/// A process of ours, with its log; killed with the test.
pub(crate) struct Process(pub(crate) Child, NamedTempFile);

impl Process {
    pub(crate) fn start(program: &str, args: &[String]) -> Self {
        Self::start_with(program, args, &[])
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "a fixture starts the programs under test"
    )]
    pub(crate) fn start_with(program: &str, args: &[String], env: &[(&str, String)]) -> Self {
        let log = NamedTempFile::new().expect("a file");
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", program])
            .args(args)
            .envs(env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log.reopen().expect("the file"))
            .spawn()
            .expect("setpriv starts");
        Self(child, log)
    }

    /// The port that the process says it listens on, in the field `name` of its log. Asking for port 0 and reading what
    /// came of it is the only way that no other process can spoil.
    pub(crate) fn port(&self, name: &str) -> u16 {
        let mut port = None;
        until("the process listens", PATIENCE, || {
            port = self.log().lines().find_map(|line| {
                let line: Value = serde_json::from_str(line).ok()?;
                line[name].as_str()?.rsplit(':').next()?.parse().ok()
            });
            port.is_some()
        });
        port.expect("a port")
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.1.path()).expect("the log")
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.0.id() as i32).expect("a pid");
        kill_process(pid, signal).expect("the process lives");
    }

    pub(crate) fn exit(&mut self) -> ExitStatus {
        let mut status = None;
        until("the process ends", PATIENCE, || {
            status = self.0.try_wait().expect("a child");
            status.is_some()
        });
        status.expect("ended")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
        // `faketime` keeps its state there, and a process that is killed cannot clear it away.
        let pid = self.0.id();
        for name in [
            format!("faketime_shm_{pid}"),
            format!("sem.faketime_sem_{pid}"),
        ] {
            drop(std::fs::remove_file(format!("/dev/shm/{name}")));
        }
    }
}

/// The library that the program `faketime` puts before others; the program itself would stand between us and the
/// signals of what it runs. Nothing where it is not installed.
#[expect(
    clippy::disallowed_methods,
    reason = "a test asks a program that wraps a fixture"
)]
pub(crate) fn faketime() -> Option<String> {
    let run = Command::new("faketime")
        .args(["-f", "+1m", "printenv", "LD_PRELOAD"])
        .stdin(Stdio::null())
        .output();
    let run = run.ok().filter(|run| run.status.success())?;
    Some(String::from_utf8(run.stdout).ok()?.trim().to_owned())
}

pub(crate) fn redis() -> RedisServer {
    RedisServer::start(&RedisOptions::default())
}

/// An API process that is ready.
pub(crate) struct Api {
    pub(crate) process: Process,
    pub(crate) port: u16,
    pub(crate) metrics: u16,
}

pub(crate) fn api(redis: &RedisServer, flags: &[&str]) -> Api {
    Api::ready(Process::start(API, &api_args(redis, flags)))
}

pub(crate) fn api_with(redis: &RedisServer, flags: &[&str], env: &[(&str, String)]) -> Api {
    Api::ready(Process::start_with(API, &api_args(redis, flags), env))
}

fn api_args(redis: &RedisServer, flags: &[&str]) -> Vec<String> {
    let mut args = vec![
        format!("--redis-addr=127.0.0.1:{}", redis.port()),
        "--listen=127.0.0.1:0".to_owned(),
        "--metrics-listen=127.0.0.1:0".to_owned(),
    ];
    let defaults = ["--lame-duck-ms=300", "--durability=none"];
    let given = |flag: &str| {
        flags
            .iter()
            .any(|f| f.split('=').next() == flag.split('=').next())
    };
    args.extend(
        defaults
            .iter()
            .filter(|d| !given(d))
            .map(ToString::to_string),
    );
    args.extend(flags.iter().map(ToString::to_string));
    args
}

impl Api {
    fn ready(process: Process) -> Self {
        let (port, metrics) = (process.port("at"), process.port("metrics_at"));
        until("the API is ready", PATIENCE, || {
            status(metrics, "/readyz") == Some(200)
        });
        Self {
            process,
            port,
            metrics,
        }
    }
}

/// A worker process that is ready; returns it and its metrics port.
pub(crate) fn worker(program: &str, redis: &RedisServer, flags: &[&str]) -> (Process, u16) {
    worker_with(program, redis, flags, &[])
}

pub(crate) fn worker_with(
    program: &str,
    redis: &RedisServer,
    flags: &[&str],
    env: &[(&str, String)],
) -> (Process, u16) {
    let mut args: Vec<String> = flags.iter().map(ToString::to_string).collect();
    args.push(format!("--redis-addr=127.0.0.1:{}", redis.port()));
    args.push("--metrics-listen=127.0.0.1:0".to_owned());
    let process = Process::start_with(program, &args, env);
    let metrics = process.port("metrics_at");
    until("the worker is ready", PATIENCE, || {
        status(metrics, "/readyz") == Some(200)
    });
    (process, metrics)
}

pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: String,
    pub(crate) text: String,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{e}: {}", self.text))
    }

    /// The places that a problem names.
    pub(crate) fn pointers(&self) -> Vec<String> {
        assert!(
            self.headers.contains("application/problem+json"),
            "{}",
            self.headers
        );
        let json = self.json();
        let errors = json["errors"].as_array().cloned().unwrap_or_default();
        errors
            .iter()
            .map(|e| e["pointer"].as_str().unwrap_or_default().to_owned())
            .collect()
    }
}

/// The status of a GET, or nothing while nobody listens.
pub(crate) fn status(port: u16, path: &str) -> Option<u16> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\r\n"
    )
    .ok()?;
    read(&mut BufReader::new(stream)).map(|r| r.status)
}

pub(crate) fn request(port: u16, method: &str, path: &str, headers: &[&str], body: &[u8]) -> Reply {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("connects");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: t\r\nconnection: close\r\n");
    for header in headers {
        head.push_str(header);
        head.push_str("\r\n");
    }
    head.push_str(&format!("content-length: {}\r\n\r\n", body.len()));
    stream.write_all(head.as_bytes()).expect("is read");
    // A server that refuses a body by its length does not read it.
    drop(stream.write_all(body));
    read(&mut BufReader::new(stream)).expect("an answer")
}

/// Reads one answer with a content length, or to the end; nothing when the peer closes without one.
pub(crate) fn read(from: &mut BufReader<TcpStream>) -> Option<Reply> {
    let mut headers = String::new();
    loop {
        let before = headers.len();
        if from.read_line(&mut headers).ok()? == 0 {
            return None;
        }
        if headers.len() - before <= 2 {
            break;
        }
    }
    let lower = headers.to_ascii_lowercase();
    let status = headers.split(' ').nth(1)?.parse().ok()?;
    let length = lower
        .split("content-length: ")
        .nth(1)
        .and_then(|t| t.split('\r').next()?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    from.read_exact(&mut body).ok()?;
    Some(Reply {
        status,
        headers: lower,
        text: String::from_utf8_lossy(&body).into_owned(),
    })
}

pub(crate) fn get(port: u16, path: &str) -> Reply {
    request(port, "GET", path, &[], b"")
}

pub(crate) fn post(port: u16, path: &str, body: &str) -> Reply {
    request(
        port,
        "POST",
        path,
        &["content-type: application/json"],
        body.as_bytes(),
    )
}

/// Asks again after a 503, as every client must: on a busy machine Redis may be slow to answer.
pub(crate) fn patient(port: u16, method: &str, path: &str, headers: &[&str], body: &[u8]) -> Reply {
    let mut reply = None;
    until(&format!("{method} {path} is answered"), PATIENCE, || {
        let answer = request(port, method, path, headers, body);
        let busy = answer.status == 503;
        reply = Some(answer);
        !busy
    });
    reply.expect("an answer")
}

/// Enqueues and returns the id.
pub(crate) fn enqueue(port: u16, body: &str) -> String {
    let head = ["content-type: application/json"];
    let reply = patient(port, "POST", "/v1/tasks", &head, body.as_bytes());
    assert_eq!(reply.status, 202, "{}", reply.text);
    reply.json()["id"].as_str().expect("an id").to_owned()
}

/// Waits until the task is in the state and returns it.
pub(crate) fn in_state(port: u16, id: &str, state: &str) -> Value {
    let mut seen = Value::Null;
    until(&format!("{id} is {state}"), PATIENCE, || {
        let reply = get(port, &format!("/v1/tasks/{id}?queue=default"));
        if reply.status == 200 {
            seen = reply.json();
        }
        seen["state"] == state
    });
    seen
}
