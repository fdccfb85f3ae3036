//! A stand-in for an OpenTelemetry collector: takes OTLP over HTTP, keeps what came, and can refuse, or never answer.
//!
//! It must not be kind: what is not OTLP is answered 400, and shows in what it kept.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value as Json;

/// A connection on which nothing comes for so long is looked at: the collector may be over.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Answers of this status never come.
const SILENT: u16 = 0;

/// One request.
#[derive(Debug, Clone)]
pub struct OtlpRequest {
    /// The first line and the headers, as they came.
    pub head: String,
    pub body: Vec<u8>,
    /// What it was answered; 0 where it was not.
    pub status: u16,
}

#[derive(Debug)]
struct Shared {
    status: AtomicU16,
    over: AtomicBool,
    requests: Mutex<Vec<OtlpRequest>>,
}

/// A collector on 127.0.0.1, until it is dropped.
#[derive(Debug)]
pub struct Collector {
    port: u16,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

impl Collector {
    /// One that takes everything.
    ///
    /// # Panics
    /// If there is no free port.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let shared = Arc::new(Shared {
            status: AtomicU16::new(200),
            over: AtomicBool::new(false),
            requests: Mutex::default(),
        });
        let accepting = std::thread::spawn({
            let shared = Arc::clone(&shared);
            move || accept(&listener, &shared)
        });
        Self {
            port,
            shared,
            accepting: Some(accepting),
        }
    }

    /// What `OTEL_EXPORTER_OTLP_ENDPOINT` is to be.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Answers with this status from now on.
    pub fn answer(&self, status: u16) {
        self.shared.status.store(status, Ordering::SeqCst);
    }

    /// Takes requests and never answers them.
    pub fn hang(&self) {
        self.answer(SILENT);
    }

    /// Everything that came.
    pub fn requests(&self) -> Vec<OtlpRequest> {
        self.shared.requests().clone()
    }

    /// The spans that were taken, with what their process said about itself under `resource`.
    ///
    /// # Panics
    /// If one came that is no JSON: this one reads no protobuf.
    pub fn spans(&self) -> Vec<Json> {
        let taken = self.requests().into_iter().filter(|it| it.status == 200);
        taken.flat_map(|it| spans(&it.body)).collect()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
        // Wakes the listener.
        drop(TcpStream::connect(("127.0.0.1", self.port)));
        if let Some(accepting) = self.accepting.take() {
            drop(accepting.join());
        }
    }
}

impl Shared {
    fn requests(&self) -> std::sync::MutexGuard<'_, Vec<OtlpRequest>> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }
}

/// The attributes of an object of OTLP, by name, as texts.
fn attributes(of: &Json) -> serde_json::Map<String, Json> {
    let all = of["attributes"].as_array().cloned().unwrap_or_default();
    let pair = |it: &Json| {
        let value = it["value"].as_object()?.values().next()?.clone();
        Some((it["key"].as_str()?.to_owned(), value))
    };
    all.iter().filter_map(pair).collect()
}

/// Spans with their attributes by name.
fn spans(body: &[u8]) -> Vec<Json> {
    let body: Json = serde_json::from_slice(body).expect("OTLP as JSON");
    let list = |it: &Json| it.as_array().cloned().unwrap_or_default();
    let mut found = Vec::new();
    for resource in list(&body["resourceSpans"]) {
        for scope in list(&resource["scopeSpans"]) {
            for mut span in list(&scope["spans"]) {
                span["attributes"] = attributes(&span).into();
                span["resource"] = attributes(&resource["resource"]).into();
                found.push(span);
            }
        }
    }
    found
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    let mut serving = Vec::new();
    while let Ok((stream, _)) = listener.accept() {
        if shared.is_over() {
            break;
        }
        let shared = Arc::clone(shared);
        // A client that goes away in the middle has its reasons.
        serving.push(std::thread::spawn(move || drop(serve(stream, &shared))));
    }
    for it in serving {
        drop(it.join());
    }
}

fn serve(stream: TcpStream, shared: &Shared) -> io::Result<()> {
    stream.set_read_timeout(Some(LOOK_EVERY))?;
    let mut reader = BufReader::new(stream);
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            if patiently(shared, || reader.read_until(b'\n', &mut head))? == 0 {
                return Ok(());
            }
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            let is_length = name.eq_ignore_ascii_case("content-length");
            is_length.then(|| value.trim().parse().ok())?
        });
        let mut body = vec![0; length.unwrap_or(0)];
        let mut read = 0;
        while read < body.len() {
            match patiently(shared, || reader.read(&mut body[read..]))? {
                0 => return Ok(()),
                more => read += more,
            }
        }
        let good = head.starts_with("POST /v1/traces ");
        let status = match shared.status.load(Ordering::SeqCst) {
            200 if !good => 400,
            status => status,
        };
        shared.requests().push(OtlpRequest { head, body, status });
        if status == SILENT {
            patiently(shared, || reader.read(&mut [0]))?;
            return Ok(());
        }
        let answer = if status == 200 { "{}" } else { "" };
        let length = answer.len();
        let text = format!("HTTP/1.1 {status} X\r\nContent-Length: {length}\r\n\r\n{answer}");
        reader.get_mut().write_all(text.as_bytes())?;
    }
}

/// Reads until something comes or the collector is over, which reads as an end.
fn patiently(shared: &Shared, mut read: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match read() {
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
                ) =>
            {
                if shared.is_over() {
                    return Ok(0);
                }
            }
            other => return other,
        }
    }
}
