//! What a real Alertmanager makes of the configuration: who is told, and who is not.
//!
//! It must not wait for something not to come: what is held back is asked of Alertmanager.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kedactl_render::monitoring::{
    AlertmanagerTarget, AlertmanagerVersion, WebhookTarget, alertmanager,
};
use kedactl_testkit::{Child, free_port, until};
use serde_json::{Value as Json, json};
use tempfile::TempDir;

use crate::programs::{config, folder, program};

const WITHIN: Duration = Duration::from_mins(1);

/// A notification that came: its path, its `Authorization`, and alerts as `name/severity/queue` that fire.
#[derive(Clone, Debug)]
struct Told {
    path: String,
    authorization: String,
    firing: BTreeSet<String>,
}

/// Takes every notification.
struct Receiver {
    port: u16,
    told: Arc<Mutex<Vec<Told>>>,
}

impl Receiver {
    fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let told = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&told);
        // It ends with the process of the tests, and is idle until then.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if let Some(told) = take(stream) {
                    kept.lock().expect("a list").push(told);
                }
            }
        });
        Self { port, told }
    }

    /// Waits until one of the route's notifications has exactly these.
    fn until(&self, route: &str, firing: &[&str]) -> Told {
        let expected: BTreeSet<String> = firing.iter().map(|&it| it.to_owned()).collect();
        let path = format!("/v1/alerts/{route}");
        let mut found = None;
        until(&format!("{path} is told {firing:?}"), WITHIN, || {
            let told = self.told.lock().expect("a list");
            let fits = |it: &&Told| it.path == path && it.firing == expected;
            found = told.iter().find(fits).cloned();
            found.is_some()
        });
        found.expect("it was found")
    }
}

fn take(mut stream: TcpStream) -> Option<Told> {
    let (head, body) = read(&mut stream)?;
    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    stream.write_all(answer).ok()?;
    let header = |name: &str| {
        let lines = head.lines().filter_map(|line| line.split_once(": "));
        let found = lines.filter(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.to_owned()).next_back()
    };
    let body: Json = serde_json::from_slice(&body).ok()?;
    let firing = body["alerts"].as_array()?.iter();
    let firing = firing.filter(|alert| alert["status"] == "firing");
    Some(Told {
        path: head.split(' ').nth(1)?.to_owned(),
        authorization: header("authorization").unwrap_or_default(),
        firing: firing.map(|alert| shown(&alert["labels"])).collect(),
    })
}

/// A request or an answer: its head and its body.
fn read(stream: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    stream
        .set_read_timeout(Some(Duration::from_secs(30)))
        .ok()?;
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let count = stream.read(&mut buffer).ok()?;
        bytes.extend_from_slice(&buffer[..count]);
        let Some(end) = bytes.windows(4).position(|it| it == b"\r\n\r\n") else {
            if count == 0 {
                return None;
            }
            continue;
        };
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            let named = name.eq_ignore_ascii_case("content-length");
            named.then(|| value.parse::<usize>().ok())?
        });
        let body = &bytes[end + 4..];
        if count == 0 || length.is_some_and(|length| body.len() >= length) {
            return Some((head, body.to_vec()));
        }
    }
}

fn shown(labels: &Json) -> String {
    let label = |name: &str| labels[name].as_str().unwrap_or_default().to_owned();
    format!(
        "{}/{}/{}",
        label("alertname"),
        label("severity"),
        label("queue")
    )
}

/// Debian's Alertmanager.
struct Alertmanager {
    port: u16,
    _child: Child,
    _folder: TempDir,
}

impl Alertmanager {
    fn start(program: &str, receiver: u16) -> Self {
        let sets = [
            "monitoring.alerts={groupWaitSeconds: 1, groupIntervalSeconds: 1}",
            "monitoring.alerts.routes=[{labels: {severity: critical}, route: oncall}]",
            "monitoring.alerts.watchdog={route: alive, repeatSeconds: 1}",
        ];
        let folder = folder(&[("token", "a-token")]);
        let path = |name: &str| folder.path().join(name).display().to_string();
        let target = AlertmanagerTarget {
            webhook: Some(WebhookTarget {
                url_base: format!("http://127.0.0.1:{receiver}/v1/alerts"),
                credentials_file: path("token"),
                routes: ["alive", "default", "oncall"].map(String::from).to_vec(),
            }),
            version: AlertmanagerVersion(0, 25),
        };
        let text = alertmanager(&config("local", &sets), &target).expect("a configuration");
        std::fs::write(path("alertmanager.yml"), text).expect("a file");
        let port = free_port();
        let args = [
            format!("--config.file={}", path("alertmanager.yml")),
            format!("--storage.path={}", path("data")),
            format!("--web.listen-address=127.0.0.1:{port}"),
            "--cluster.listen-address=".to_owned(),
        ];
        let log = folder.path().join("log");
        let mut child = Child::start(program, &args, &log).expect("it starts");
        let mut ended = false;
        until("Alertmanager is ready", WITHIN, || {
            ended = !child.is_running();
            ended || request(port, "GET", "/-/ready", "").is_some_and(|it| it.0.contains(" 200 "))
        });
        assert!(
            !ended,
            "{}",
            std::fs::read_to_string(&log).unwrap_or_default()
        );
        Self {
            port,
            _child: child,
            _folder: folder,
        }
    }

    fn post(&self, alerts: &Json) {
        let (head, body) =
            request(self.port, "POST", "/api/v2/alerts", &alerts.to_string()).expect("an answer");
        assert!(head.contains(" 200 "), "{head} {body:?}");
    }

    /// Alerts that are held back.
    fn suppressed(&self) -> BTreeSet<String> {
        let (_, body) = request(self.port, "GET", "/api/v2/alerts", "").expect("an answer");
        let alerts: Json = serde_json::from_slice(&body).expect("JSON");
        let held = alerts.as_array().expect("a list").iter();
        held.filter(|alert| alert["status"]["state"] == "suppressed")
            .map(|alert| shown(&alert["labels"]))
            .collect()
    }
}

fn request(port: u16, method: &str, path: &str, body: &str) -> Option<(String, Vec<u8>)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.0\r\nHost: here\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
    .ok()?;
    read(&mut stream)
}

fn alert(name: &str, severity: &str, queue: &str) -> Json {
    let mut labels = json!({ "alertname": name, "severity": severity, "namespace": "keda" });
    if !queue.is_empty() {
        labels["queue"] = json!(queue);
    }
    json!({ "labels": labels, "annotations": { "summary": "a summary" } })
}

#[test]
fn each_route_is_told_what_is_its_own_and_nothing_twice() {
    let Some(program) = program("prometheus-alertmanager") else {
        return;
    };
    let receiver = Receiver::start();
    let alertmanager = Alertmanager::start(&program.display().to_string(), receiver.port);
    let critical = alert("QueueAgeHigh", "critical", "mails");
    alertmanager.post(&json!([
        critical,
        alert("RedisNoMaster", "critical", ""),
        alert("Watchdog", "none", ""),
    ]));
    let told = receiver.until("oncall", &["QueueAgeHigh/critical/mails"]);
    assert_eq!(told.authorization, "Bearer a-token");
    receiver.until("oncall", &["RedisNoMaster/critical/"]);
    receiver.until("alive", &["Watchdog/none/"]);
    alertmanager.post(&json!([
        alert("QueueAgeHigh", "warning", "mails"),
        alert("QueueAgeHigh", "warning", "nights"),
        alert("ScalerFailing", "warning", ""),
    ]));
    receiver.until("default", &["QueueAgeHigh/warning/nights"]);
    let held = ["QueueAgeHigh/warning/mails", "ScalerFailing/warning/"].map(String::from);
    let held = BTreeSet::from(held);
    until("the others are held back", WITHIN, || {
        alertmanager.suppressed() == held
    });
    // What is critical no longer lets its warning through, and what is gone is told to be gone.
    let mut ended = critical;
    ended["endsAt"] = json!("2001-01-01T00:00:00Z");
    ended["startsAt"] = json!("2000-01-01T00:00:00Z");
    alertmanager.post(&json!([ended]));
    receiver.until("oncall", &[]);
    receiver.until(
        "default",
        &["QueueAgeHigh/warning/mails", "QueueAgeHigh/warning/nights"],
    );
}
