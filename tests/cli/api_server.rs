//! An API server that knows one Service: enough for a tunnel, over plain HTTP.
//!
//! It must not be mistaken for Kubernetes: what the world decides is tested on the real one.
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests fail the test they help"
)]

use serde_json::{Value, json};
use std::io::{BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread;

/// The server, and what it was told. Its threads end with the test's process.
#[derive(Clone)]
pub(crate) struct ApiServer {
    pub(crate) port: u16,
    node_port: u16,
    service_port: u16,
    published: Arc<Mutex<Vec<bool>>>,
    /// A file with the address that somebody else published.
    external: Option<PathBuf>,
}

impl ApiServer {
    /// Serves the Service `keda/api` with this port, and a real server behind its node port.
    pub(crate) fn start(service_port: u16) -> Self {
        Self::with(service_port, None)
    }

    /// As [`Self::start`], where another program publishes the Service's address by writing it into a file.
    pub(crate) fn published_by(service_port: u16, external: PathBuf) -> Self {
        Self::with(service_port, Some(external))
    }

    fn with(service_port: u16, external: Option<PathBuf>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Self {
            port: listener.local_addr().unwrap().port(),
            node_port: hello(),
            service_port,
            published: Arc::default(),
            external,
        };
        let shared = server.clone();
        serve(listener, move |method, target, body| {
            shared.answer(method, target, body)
        });
        server
    }

    /// Whether an address was published, each time that one was written or taken back.
    pub(crate) fn published(&self) -> Vec<bool> {
        self.published.lock().unwrap().clone()
    }

    /// A kubeconfig with these contexts, all of which lead here.
    pub(crate) fn kubeconfig(&self, contexts: &[&str]) -> String {
        kubeconfig(self.port, contexts)
    }

    fn answer(&self, method: &str, target: &str, body: &[u8]) -> Answer {
        let path = target.split('?').next().unwrap_or_default();
        let list = |kind: &str, items: Value| json!({"kind": kind, "metadata": {"resourceVersion": "1"}, "items": items});
        match (method, path) {
            ("GET", "/api/v1/nodes") => {
                let address = json!([{"type": "InternalIP", "address": "127.0.0.1"}]);
                let node = json!({"metadata": {"name": "n"}, "status": {"addresses": address}});
                ("200 OK", list("NodeList", json!([node])))
            }
            ("GET", "/apis/discovery.k8s.io/v1/namespaces/keda/endpointslices") => {
                ("200 OK", list("EndpointSliceList", json!([])))
            }
            ("GET", "/api/v1/namespaces/keda/services/api") => ("200 OK", self.service()),
            ("PATCH", "/api/v1/namespaces/keda/services/api/status") => {
                assert!(target.contains("fieldManager=kedactl-tunnel"), "{target}");
                let body: Value = serde_json::from_slice(body).unwrap();
                let ingress = &body["status"]["loadBalancer"]["ingress"];
                let published = *ingress == json!([{"ip": "127.0.0.1", "ipMode": "Proxy"}]);
                assert!(published || body.get("status").is_none(), "{body}");
                self.published.lock().unwrap().push(published);
                ("200 OK", self.service())
            }
            _ => not_found(path),
        }
    }

    fn service(&self) -> Value {
        let published = self.published().last() == Some(&true);
        let fields = if published {
            json!([{"manager": "kedactl-tunnel", "operation": "Apply", "apiVersion": "v1", "subresource": "status"}])
        } else {
            json!([])
        };
        let external = self.external.as_ref().map(std::fs::read_to_string);
        let ingress = match external {
            Some(Ok(ip)) if !ip.trim().is_empty() => json!([{"ip": ip.trim()}]),
            _ => json!([]),
        };
        json!({
            "apiVersion": "v1", "kind": "Service", "status": {"loadBalancer": {"ingress": ingress}},
            "metadata": {"name": "api", "namespace": "keda", "managedFields": fields},
            "spec": {"type": "LoadBalancer", "ports": [{"name": "http", "port": self.service_port, "nodePort": self.node_port}]},
        })
    }
}

fn line(reader: &mut impl std::io::BufRead) -> Option<String> {
    let mut line = String::new();
    let read = reader.read_line(&mut line).ok()?;
    (read > 0).then(|| line.trim_end().to_owned())
}

/// A server that says hello and ends.
fn hello() -> u16 {
    hello_at(0)
}

/// The same at this port.
pub(crate) fn hello_at(port: u16) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            drop(stream.write_all(b"hello"));
        }
    });
    port
}

/// A kubeconfig with these contexts, all of which lead to this port.
pub(crate) fn kubeconfig(port: u16, contexts: &[&str]) -> String {
    let contexts: Vec<Value> = contexts
        .iter()
        .map(|name| json!({"name": name, "context": {"cluster": "c", "user": "u"}}))
        .collect();
    json!({
        "apiVersion": "v1", "kind": "Config", "contexts": contexts, "current-context": "b",
        "clusters": [{"name": "c", "cluster": {"server": format!("http://127.0.0.1:{port}")}}],
        "users": [{"name": "u", "user": {}}],
    })
    .to_string()
}

/// What a server says to method, target and body.
pub(crate) type Answer = (&'static str, Value);

/// Answers every request, each connection by a thread that ends with the test's process.
pub(crate) fn serve(
    listener: TcpListener,
    answer: impl Fn(&str, &str, &[u8]) -> Answer + Clone + Send + 'static,
) {
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let answer = answer.clone();
            thread::spawn(move || connection(&stream, &answer));
        }
    });
}

fn connection(mut stream: &TcpStream, answer: &impl Fn(&str, &str, &[u8]) -> Answer) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    loop {
        let mut words = line(&mut reader)?;
        words.truncate(words.rfind(' ')?);
        let (method, target) = words.split_once(' ')?;
        let mut length = 0;
        loop {
            let header = line(&mut reader)?.to_ascii_lowercase();
            if header.is_empty() {
                break;
            }
            if let Some(value) = header.strip_prefix("content-length:") {
                length = value.trim().parse().ok()?;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let (code, answer) = answer(method, target, &body);
        // A text is a log's, the rest JSON.
        let text = answer
            .as_str()
            .map_or_else(|| answer.to_string(), str::to_owned);
        write!(
            stream,
            "HTTP/1.1 {code}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{text}",
            text.len()
        )
        .ok()?;
    }
}

/// That nothing is there.
pub(crate) fn not_found(path: &str) -> Answer {
    let message = format!("{path} not found");
    let status = json!({"kind": "Status", "status": "Failure", "code": 404, "reason": "NotFound", "message": message});
    ("404 Not Found", status)
}
