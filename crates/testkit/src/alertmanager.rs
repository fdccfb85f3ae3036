//! One real Alertmanager: Debian's prometheus-alertmanager, on 127.0.0.1, with its data in a temporary directory.
//!
//! It must not gossip with any other.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value as Json, json};

use crate::process::Child;
use crate::{free_port, until};

const PROGRAM: &str = "prometheus-alertmanager";
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// An Alertmanager that is killed and removed on drop.
#[derive(Debug)]
pub struct Alertmanager {
    child: Child,
    port: u16,
    dir: tempfile::TempDir,
}

impl Alertmanager {
    /// Starts one with this configuration and waits until it is ready.
    ///
    /// # Panics
    /// If it does not start; the message has its log.
    pub fn start(config: &str) -> Self {
        let dir = tempfile::Builder::new()
            .prefix("kq-alertmanager-")
            .tempdir();
        let dir = dir.expect("a temporary directory");
        std::fs::write(dir.path().join("alertmanager.yml"), config).expect("a file");
        let port = free_port();
        let mut this = Self {
            child: run(&dir, port),
            port,
            dir,
        };
        this.wait_ready();
        this
    }

    fn wait_ready(&mut self) {
        let mut ended = false;
        until("alertmanager is ready", START_TIMEOUT, || {
            ended = !self.child.is_running();
            ended || self.ask("GET", "/-/ready", "").starts_with("HTTP/1.1 200")
        });
        assert!(!ended, "alertmanager ended: {}", self.log());
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What it wrote.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    /// Stops it in its tracks, or lets it go on.
    pub fn freeze(&self, frozen: bool) {
        if frozen {
            self.child.freeze();
        } else {
            self.child.thaw();
        }
    }

    /// Ends it as a power cut does.
    pub fn kill(&mut self) {
        self.child.kill();
    }

    /// Starts it again, with its data, on its port.
    ///
    /// # Panics
    /// If it does not start.
    pub fn restart(&mut self) {
        self.child.kill();
        self.child = run(&self.dir, self.port);
        self.wait_ready();
    }

    /// Posts an alert by its labels, as Prometheus does: it fires from `starts` on, until `ends`, both in RFC 3339; an empty
    /// text says nothing.
    ///
    /// # Panics
    /// If it is refused.
    pub fn alert(&self, labels: &[(&str, &str)], starts: &str, ends: &str) {
        let labels: serde_json::Map<String, Json> = labels
            .iter()
            .map(|(name, value)| ((*name).to_owned(), Json::from(*value)))
            .collect();
        let mut alert = json!({"labels": labels, "annotations": {"summary": "a test"}});
        for (name, time) in [("startsAt", starts), ("endsAt", ends)] {
            if !time.is_empty() {
                alert[name] = time.into();
            }
        }
        let answer = self.ask("POST", "/api/v2/alerts", &json!([alert]).to_string());
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }

    /// The text of a page.
    pub fn page(&self, path: &str) -> String {
        let answer = self.ask("GET", path, "");
        let body = answer.split_once("\r\n\r\n").map_or("", |it| it.1);
        body.to_owned()
    }

    /// A counter by its name with its labels; 0 where it is not there.
    pub fn metric(&self, name: &str) -> u64 {
        let page = self.page("/metrics");
        let found = page
            .lines()
            .find_map(|line| line.strip_prefix(name)?.trim().parse::<f64>().ok());
        found.unwrap_or_default() as u64
    }

    /// What a path of its API answers.
    ///
    /// # Panics
    /// If that is no JSON.
    pub fn get(&self, path: &str) -> Json {
        let page = self.page(path);
        serde_json::from_str(&page).unwrap_or_else(|error| panic!("{error}: {page}"))
    }

    /// Its silences.
    ///
    /// # Panics
    /// If it does not answer.
    pub fn silences(&self) -> Vec<Json> {
        self.get("/api/v2/silences")
            .as_array()
            .expect("a list")
            .clone()
    }

    /// One request on a connection of its own; the raw answer, or nothing where there is none.
    fn ask(&self, method: &str, path: &str, body: &str) -> String {
        let ask = || -> std::io::Result<String> {
            let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
            stream.set_read_timeout(Some(Duration::from_secs(10)))?;
            // 1.0: an answer in one piece.
            write!(
                stream,
                "{method} {path} HTTP/1.0\r\nHost: alertmanager\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            )?;
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer)?;
            Ok(String::from_utf8_lossy(&answer).replacen("HTTP/1.0", "HTTP/1.1", 1))
        };
        ask().unwrap_or_default()
    }
}

fn run(dir: &tempfile::TempDir, port: u16) -> Child {
    let path = |name: &str| -> PathBuf { dir.path().join(name) };
    let args = [
        format!("--config.file={}", path("alertmanager.yml").display()),
        format!("--storage.path={}", path("data").display()),
        format!("--web.listen-address=127.0.0.1:{port}"),
        "--cluster.listen-address=".to_owned(),
    ];
    Child::start(PROGRAM, &args, &path("log")).expect("prometheus-alertmanager is installed")
}
