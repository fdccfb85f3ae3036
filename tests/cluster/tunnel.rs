//! `kedactl tunnel` on the project's test cluster: pods deleted under load, the API server killed, a killed tunnel.
//!
//! It must run inside the cluster's network, with its environment (`tests/cluster/lab exec`); it is no part of `cargo test`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use kedactl_exec::{ProcId, Signal};
use kedactl_testkit::until;
use kedactl_tests::{Context, Outcome};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

mod figures;

/// An HTTP server of two pods, and room for a big file.
const APP: &str = r#"
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - name: web
        image: localhost/kedactl/sample:1
        command: [sh, -c, "mkdir -p /tmp/www; busybox dd if=/dev/zero of=/tmp/www/big bs=1M count=64; echo ok >/tmp/www/index.html; exec httpd -f -p 8080 -h /tmp/www"]
        readinessProbe: {httpGet: {path: /, port: 8080}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: web, labels: {kedactl.io/stack: STACK}}
spec:
  type: LoadBalancer
  selector: {app: web}
  ports: [{port: PORT, targetPort: 8080}]
"#;

const SOON: Duration = Duration::from_mins(1);

fn variable(name: &str) -> String {
    std::env::vars_os()
        .find(|(key, _)| key == name)
        .and_then(|(_, value)| value.into_string().ok())
        .unwrap_or_else(|| panic!("{name} is not set: run this with tests/cluster/lab exec"))
}

#[expect(
    clippy::disallowed_methods,
    reason = "tests drive the cluster with its own programs"
)]
fn program(name: &str, args: &[&str], input: &str) -> Result<String, String> {
    let mut child = Command::new(name)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{name}: {error}"));
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

/// A namespace with the application, and a context whose tunnel serves it.
struct Rig {
    context: Context,
    namespace: String,
    kubeconfig: String,
    port: u16,
}

impl Rig {
    fn new() -> Self {
        let port = kedactl_testkit::free_port();
        let rig = Self {
            context: Context::new(env!("CARGO_BIN_EXE_kedactl-under-test")),
            namespace: format!("tunnel-{}-{port}", std::process::id()),
            kubeconfig: variable("KEDACTL_TEST_KUBECONFIG"),
            port,
        };
        rig.kubectl(&["create", "namespace", &rig.namespace], "")
            .unwrap();
        let app = APP
            .replace("PORT", &port.to_string())
            .replace("STACK", &rig.namespace);
        rig.kubectl(&["apply", "-f", "-"], &app).unwrap();
        rig.kubectl(
            &["rollout", "status", "deployment/web", "--timeout=120s"],
            "",
        )
        .unwrap();
        rig
    }

    fn kubectl(&self, args: &[&str], input: &str) -> Result<String, String> {
        let scope = [
            "--kubeconfig",
            &self.kubeconfig,
            "--namespace",
            &self.namespace,
        ];
        program("kubectl", &[&scope[..], args].concat(), input)
    }

    fn tunnel(&self, more: &[&str]) -> Outcome {
        let scope = [
            "tunnel",
            "--kubeconfig",
            &self.kubeconfig,
            "--stack",
            &self.namespace,
        ];
        self.context.run(&[&scope[..], more].concat())
    }

    fn control(&self, verb: &str) -> Outcome {
        self.context
            .run(&["tunnel", verb, "--stack", &self.namespace, "-o", "json"])
    }

    fn process(&self) -> ProcId {
        let status = self.control("status").expect(0).json();
        serde_json::from_value(status["process"].clone()).unwrap()
    }

    fn address(&self) -> String {
        let path = "jsonpath={.status.loadBalancer.ingress[0].ip}";
        self.kubectl(&["get", "service", "web", "-o", path], "")
            .unwrap()
    }

    /// One request over a connection of its own.
    fn request(&self) -> Result<(), String> {
        let ask = || -> std::io::Result<String> {
            let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
            stream.set_read_timeout(Some(SOON))?;
            stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
            // As a client of HTTP/1.1 does: the answer is over when its body is, not when the connection is.
            let (mut text, mut buffer) = (String::new(), [0; 4096]);
            while !text.ends_with("ok\n") {
                let read = stream.read(&mut buffer)?;
                if read == 0 {
                    break;
                }
                text += &String::from_utf8_lossy(&buffer[..read]);
            }
            Ok(text)
        };
        let text = ask().map_err(|error| error.to_string())?;
        if text.contains("200 OK") && text.ends_with("ok\n") {
            Ok(())
        } else {
            Err(format!("the answer is {text:?}"))
        }
    }

    /// Requests from four threads for as long as `work` takes: when each ended, and how.
    fn under_load(&self, work: impl FnOnce()) -> Vec<(Instant, Result<(), String>)> {
        let (over, ends) = (AtomicBool::new(false), Mutex::new(Vec::new()));
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    while !over.load(Ordering::Relaxed) {
                        let result = self.request();
                        ends.lock().unwrap().push((now(), result));
                    }
                });
            }
            work();
            over.store(true, Ordering::Relaxed);
        });
        ends.into_inner().unwrap()
    }
}

const THREADS: usize = 4;

#[expect(clippy::disallowed_methods, reason = "a real cluster has real time")]
fn now() -> Instant {
    Instant::now()
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.control("stop");
        drop(self.kubectl(
            &["delete", "namespace", &self.namespace, "--wait=false"],
            "",
        ));
    }
}

fn failures(ends: &[(Instant, Result<(), String>)]) -> Vec<&String> {
    ends.iter()
        .filter_map(|(_, result)| result.as_ref().err())
        .collect()
}

#[test]
fn both_ways_serve_and_the_address_stands_while_they_do() {
    let rig = Rig::new();
    for mode in ["auto", "node-port", "port-forward"] {
        rig.tunnel(&["--detach", "--mode", mode]).check(0);
        rig.request().unwrap();
        until("the address is published", SOON, || {
            rig.address() == "127.0.0.1"
        });
        // A node port takes a moment to be there; until then `auto` goes to the pods.
        until("connections go the right way", SOON, || {
            let status = rig.control("status").expect(0).json();
            (status["services"][0]["route"] == "port-forward") == (mode == "port-forward")
        });
        rig.request().unwrap();
        rig.control("stop").check(0);
        assert_eq!(rig.address(), "", "{mode}");
    }
}

#[test]
fn an_address_goes_when_nothing_answers_and_comes_back() {
    let rig = Rig::new();
    rig.tunnel(&["--detach"]).check(0);
    until("the address is published", SOON, || {
        rig.address() == "127.0.0.1"
    });
    rig.kubectl(&["scale", "deployment/web", "--replicas=0"], "")
        .unwrap();
    until("the address is taken back", SOON, || {
        rig.address().is_empty()
    });
    rig.kubectl(&["scale", "deployment/web", "--replicas=1"], "")
        .unwrap();
    rig.request().unwrap();
    until("the address is back", SOON, || rig.address() == "127.0.0.1");
}

#[test]
fn pods_deleted_under_load_break_only_what_was_open() {
    for mode in ["node-port", "port-forward"] {
        let rig = Rig::new();
        rig.tunnel(&["--detach", "--mode", mode]).check(0);
        let rounds = 3;
        let ends = rig.under_load(|| {
            for _ in 0..rounds {
                let first = ["get", "pods", "-o", "jsonpath={.items[0].metadata.name}"];
                let pod = rig.kubectl(&first, "").unwrap();
                rig.kubectl(&["delete", "pod", &pod, "--wait=true"], "")
                    .unwrap();
                let status = ["rollout", "status", "deployment/web", "--timeout=120s"];
                rig.kubectl(&status, "").unwrap();
            }
        });
        let failed = failures(&ends);
        println!(
            "{mode}: {} requests, {} failed {failed:?}",
            ends.len(),
            failed.len()
        );
        assert!(failed.len() <= rounds * THREADS, "{failed:?}");
        assert!(ends.len() > 100, "{}", ends.len());
    }
}

#[test]
fn new_connections_go_on_within_a_second_of_the_api_server_being_back() {
    let rig = Rig::new();
    rig.tunnel(&["--detach", "--mode", "port-forward", "--hold", "120s"])
        .check(0);
    let node = format!("{}-control-plane", variable("KEDACTL_TEST_CLUSTER"));
    let mut back = now();
    let ends = rig.under_load(|| {
        let kill = "kill $(pidof kube-apiserver)";
        program("docker", &["exec", &node, "sh", "-c", kill], "").unwrap();
        let ready = || rig.kubectl(&["get", "--raw", "/readyz"], "").is_ok();
        until("the API server is away", SOON, || !ready());
        until("the API server is back", 3 * SOON, ready);
        back = now();
        let status = || rig.control("status").expect(0).json()["services"][0]["accepted"].as_u64();
        let before = status();
        until("requests go on", SOON, || status() > before.map(|n| n + 20));
    });
    let failed = failures(&ends);
    let good = ends.iter().filter(|(_, result)| result.is_ok());
    let after = good
        .map(|(at, _)| at.saturating_duration_since(back))
        .filter(|d| !d.is_zero());
    let first = after.min().unwrap();
    println!(
        "{} requests, {} failed, first {first:?} after it was back",
        ends.len(),
        failed.len()
    );
    assert!(first < Duration::from_secs(1));
    assert!(
        failed.len() <= THREADS,
        "only what was open may break: {failed:?}"
    );
}

#[test]
fn a_killed_tunnel_is_repaired_and_a_second_one_is_refused() {
    let rig = Rig::new();
    rig.tunnel(&["--detach"]).check(0);
    until("the address is published", SOON, || {
        rig.address() == "127.0.0.1"
    });
    let process = rig.process();
    let second = rig.tunnel(&["--detach"]).expect(6);
    assert!(
        second.stderr.contains(&format!("pid {}", process.pid)),
        "{second:?}"
    );
    process.signal(Signal::KILL).unwrap();
    until("it is dead", SOON, || !process.alive());
    assert_eq!(rig.address(), "127.0.0.1", "nobody took it back");
    let stopped = rig.control("stop").expect(0).json();
    assert_eq!(stopped["outcome"], "repaired");
    assert_eq!(rig.address(), "");
}
