//! A repository of Helm charts on 127.0.0.1 that can be busy, slow, cut off or wrong, and charts packed in memory.
//!
//! It must not serve anything beyond this machine, nor outlive its test.

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// What goes wrong with one GET.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// This status, with a `Retry-After` where one is given.
    Status(u16, Option<u32>),
    /// Half of the bytes that were announced.
    Cut,
    /// Half of the bytes, and nothing says that there were more.
    CutSilently,
    /// Announced, and then a byte now and then until the client gives up.
    Slow,
}

/// One request as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// `GET`, `HEAD`.
    pub method: String,
    /// The path.
    pub path: String,
    /// The `Authorization` header.
    pub login: Option<String>,
}

#[derive(Debug, Default)]
struct State {
    files: BTreeMap<String, Vec<u8>>,
    faults: BTreeMap<String, VecDeque<Fault>>,
    /// What the last GET of a path was given.
    given: BTreeMap<String, Fault>,
    asked: Vec<Asked>,
    login: Option<String>,
}

/// The repository; it ends with the test.
#[derive(Debug)]
pub struct ChartServer {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl ChartServer {
    /// Starts an empty one.
    ///
    /// # Panics
    /// If no port is free.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let state = Arc::new(Mutex::new(State::default()));
        let over = Arc::new(AtomicBool::new(false));
        let shared = (Arc::clone(&state), Arc::clone(&over));
        let thread = std::thread::spawn(move || {
            let mut open = Vec::new();
            for stream in listener.incoming() {
                if shared.1.load(Ordering::SeqCst) {
                    break;
                }
                let Ok(stream) = stream else { continue };
                let (state, over) = (Arc::clone(&shared.0), Arc::clone(&shared.1));
                open.push(std::thread::spawn(move || {
                    // A client that went away is its own business.
                    let _gone = answer(stream, &state, &over);
                }));
            }
            for connection in open {
                let _panicked = connection.join();
            }
        });
        Self {
            address,
            state,
            over,
            thread: Some(thread),
        }
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Serves a chart under a name and a version, which the archive may not have.
    pub fn add(&self, name: &str, version: &str, archive: Vec<u8>) {
        let mut state = lock(&self.state);
        let file = format!("/{name}-{version}.tgz");
        state.files.insert(file, archive);
        let charts = state.files.keys().filter(|it| *it != "/index.yaml");
        let entries: Vec<String> = charts.map(|it| entry(it)).collect();
        let index = format!("apiVersion: v1\nentries:\n{}", entries.concat());
        state.files.insert("/index.yaml".into(), index.into_bytes());
    }

    /// What goes wrong with the next GETs of a path, one after the other.
    pub fn fail(&self, path: &str, faults: impl IntoIterator<Item = Fault>) {
        let faults = faults.into_iter().collect();
        lock(&self.state).faults.insert(path.to_owned(), faults);
    }

    /// Lets in only who sends this `Authorization` header.
    pub fn only(&self, login: &str) {
        lock(&self.state).login = Some(login.to_owned());
    }

    /// Every request so far.
    pub fn asked(&self) -> Vec<Asked> {
        lock(&self.state).asked.clone()
    }

    /// How often a path was asked for by GET.
    pub fn gets(&self, path: &str) -> usize {
        let asked = self.asked();
        let same = asked
            .iter()
            .filter(|it| it.method == "GET" && it.path == path);
        same.count()
    }
}

impl Drop for ChartServer {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        // Wakes the listener, which then sees that it is over.
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}

fn lock(state: &Mutex<State>) -> std::sync::MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn entry(file: &str) -> String {
    let file = file.trim_start_matches('/');
    let stem = file.trim_end_matches(".tgz");
    let (name, version) = stem.rsplit_once('-').unwrap_or((stem, ""));
    format!("  {name}:\n  - {{apiVersion: v2, name: {name}, version: {version}, urls: [{file}]}}\n")
}

fn answer(stream: TcpStream, state: &Mutex<State>, over: &AtomicBool) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut first = String::new();
    reader.read_line(&mut first)?;
    let mut words = first.split_whitespace().map(str::to_owned);
    let (method, path) = (
        words.next().unwrap_or_default(),
        words.next().unwrap_or_default(),
    );
    let mut login = None;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let line = line.trim();
        if line.is_empty() {
            break;
        }
        if let Some((key, value)) = line.split_once(':')
            && key.eq_ignore_ascii_case("authorization")
        {
            login = Some(value.trim().to_owned());
        }
    }
    if method.is_empty() {
        return Ok(());
    }
    let (body, fault) = {
        let mut state = lock(state);
        let asked = Asked {
            method: method.clone(),
            path: path.clone(),
            login: login.clone(),
        };
        state.asked.push(asked);
        // A question for the headers takes no fault away, and is given what the GET before it was.
        let fault = if method == "GET" {
            let fault = state.faults.get_mut(&path).and_then(VecDeque::pop_front);
            state
                .given
                .extend(fault.clone().map(|it| (path.clone(), it)));
            fault
        } else {
            state.given.get(&path).cloned()
        };
        let refused = state.login.is_some() && state.login != login;
        let fault = if refused {
            Some(Fault::Status(401, None))
        } else {
            fault
        };
        (state.files.get(&path).cloned(), fault)
    };
    respond(stream, &method, body, fault.as_ref(), over)
}

fn respond(
    mut stream: TcpStream,
    method: &str,
    body: Option<Vec<u8>>,
    fault: Option<&Fault>,
    over: &AtomicBool,
) -> std::io::Result<()> {
    let head = |status: u16, more: &str| {
        format!(
            "HTTP/1.1 {status} {}\r\nConnection: close\r\n{more}\r\n",
            reason(status)
        )
    };
    if let Some(&Fault::Status(status, after)) = fault {
        let after = after.map(|it| format!("Retry-After: {it}\r\n"));
        let text = head(
            status,
            &format!("Content-Length: 0\r\n{}", after.unwrap_or_default()),
        );
        return stream.write_all(text.as_bytes());
    }
    let Some(body) = body else {
        return stream.write_all(head(404, "Content-Length: 0\r\n").as_bytes());
    };
    let length = format!("Content-Length: {}\r\n", body.len());
    let half = &body[..body.len() / 2];
    match fault {
        _ if method == "HEAD" => stream.write_all(head(200, &length).as_bytes()),
        None => {
            stream.write_all(head(200, &length).as_bytes())?;
            stream.write_all(&body)
        }
        Some(Fault::Cut) => {
            stream.write_all(head(200, &length).as_bytes())?;
            stream.write_all(half)
        }
        Some(Fault::CutSilently) => {
            stream.write_all(head(200, "").as_bytes())?;
            stream.write_all(half)
        }
        _ => {
            stream.write_all(head(200, &length).as_bytes())?;
            drip(&mut stream, half, over)
        }
    }
}

/// A byte at a time, until the client closes or the test is over.
fn drip(stream: &mut TcpStream, bytes: &[u8], over: &AtomicBool) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_millis(20)))?;
    for byte in bytes.iter().cycle() {
        if over.load(Ordering::SeqCst) {
            break;
        }
        stream.write_all(&[*byte])?;
        match stream.read(&mut [0; 1]) {
            Ok(0) => break,
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        401 => "Unauthorized",
        404 => "Not Found",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        _ => "Status",
    }
}

/// A chart's archive with these files beside its Chart.yaml; files of another name than `Chart.yaml` may replace none.
///
/// # Panics
/// If a name does not fit into a tar.
pub fn packed_chart(name: &str, version: &str, files: &[(&str, &str)]) -> Vec<u8> {
    let head = format!("apiVersion: v2\nname: {name}\nversion: {version}\nappVersion: \"9.9\"\n");
    let gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut tar = tar::Builder::new(gzip);
    let head = ("Chart.yaml", head.as_str());
    for (path, text) in std::iter::once(&head).chain(files) {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, format!("{name}/{path}"), text.as_bytes())
            .expect("a short name");
    }
    tar.into_inner()
        .and_then(flate2::write::GzEncoder::finish)
        .expect("memory")
}
