//! `kedactl tunnel` as a user sees it: mistakes, a life in the background, a kill and its repair.
//!
//! It must not test ways into a cluster; the crate does, and tests/cluster with a real one.
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests fail the test they help"
)]

use crate::api_server::ApiServer;
use crate::context;
use kedactl_tests::{Context, Outcome};
use std::io::Read as _;
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

/// A free port below those that the kernel gives to outgoing connections, and another one each time. The next one is nobody's:
/// `--any-port` takes it.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 20_000 + (std::process::id() % 1_000) as u16 * 10;
    (0..1_000)
        .map(|_| first + NEXT.fetch_add(2, Ordering::Relaxed))
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .expect("a free port")
}

/// A context with a kubeconfig that leads to a server of its own; the tunnel ends with it.
struct Rig {
    context: Context,
    server: ApiServer,
    port: u16,
}

impl Rig {
    fn new() -> Self {
        let (context, port) = (context(), free_port());
        let server = ApiServer::start(port);
        context.write("kubeconfig", &server.kubeconfig(&["a"]));
        Self {
            context,
            server,
            port,
        }
    }

    fn tunnel(&self, more: &[&str]) -> Outcome {
        let args = [
            "tunnel",
            "--kubeconfig",
            "kubeconfig",
            "--service",
            "keda/api",
        ];
        self.context.run(&[&args[..], more].concat())
    }

    fn status(&self) -> serde_json::Value {
        self.context
            .run(&["tunnel", "status", "-o", "json"])
            .expect(0)
            .json()
    }

    fn said(&self, outcome: &Outcome, pid: u64) -> String {
        outcome
            .block(self.context.dir())
            .replace(&self.port.to_string(), "[PORT]")
            .replace(&format!("pid {pid}"), "pid [PID]")
    }

    fn hello(&self) -> String {
        let mut text = String::new();
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.read_to_string(&mut text).unwrap();
        text
    }

    fn process(&self) -> kedactl_exec::ProcId {
        serde_json::from_value(self.status()["process"].clone()).unwrap()
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.context.run(&["tunnel", "stop"]);
    }
}

#[test]
fn mistakes_are_named_before_anything_is_opened() {
    let context = context();
    let server = ApiServer::start(8000);
    let said = |args: &[&str]| {
        let outcome = context.run(&[&["tunnel"][..], args].concat());
        outcome
            .block(context.dir())
            .replace(&server.port.to_string(), "[PORT]")
    };
    insta::assert_snapshot!(said(&["--service", "api"]), @r#"
        exit: 64
        --- stdout ---
        --- stderr ---
        error[KD0101]: `api` does not name a service: there is no `/` after the namespace
        hint: write NAMESPACE/NAME, NAMESPACE/NAME:PORT or NAMESPACE/NAME:PORT=LOCALPORT
    "#);
    insta::assert_snapshot!(said(&["--service", "keda/api"]), @r#"
        exit: 1
        --- stdout ---
        --- stderr ---
        error[KD0701]: kubeconfig [DIR]/home/.kube/config cannot be used
          caused by: failed to read kubeconfig from '"[DIR]/home/.kube/config"': No such file or directory (os error 2)
        hint: name a file with --kubeconfig FILE and one of its contexts with --context NAME
    "#);
    context.write("kubeconfig", &server.kubeconfig(&["a", "b"]));
    insta::assert_snapshot!(said(&["--service", "keda/api", "--kubeconfig", "kubeconfig"]), @r#"
        exit: 1
        --- stdout ---
        --- stderr ---
        error[KD0701]: kubeconfig [DIR]/project/kubeconfig has 2 contexts and none was named
        hint: name one with --context: a, b
    "#);
    let named = ["--kubeconfig", "kubeconfig", "--context", "b"];
    insta::assert_snapshot!(said(&[&["--service", "keda/web"][..], &named].concat()), @r#"
        exit: 1
        --- stdout ---
        --- stderr ---
        error[KD0703]: service keda/web does not exist
        hint: name the services with --service NAMESPACE/NAME[:PORT]
    "#);
    insta::assert_snapshot!(said(&[&["--service", "keda/api:53"][..], &named].concat()), @r#"
        exit: 1
        --- stdout ---
        --- stderr ---
        error[KD0703]: service keda/api has no TCP port 53
        hint: keda/api has: 8000
    "#);
    insta::assert_snapshot!(said(&["status"]), @r#"
        exit: 1
        --- stdout ---
        --- stderr ---
        error[KD0705]: no tunnel runs in [DIR]/state/tunnel/kedactl
        hint: `kedactl tunnel --detach` starts one
    "#);
    insta::assert_snapshot!(said(&["stop"]), @r#"
        exit: 0
        --- stdout ---
        no tunnel was running
        --- stderr ---
    "#);
}

#[test]
fn a_tunnel_in_the_background_serves_publishes_and_takes_back() {
    let rig = Rig::new();
    let detached = rig.tunnel(&["--detach"]).expect(0);
    assert!(detached.stdout.contains("ok"), "{detached:?}");
    assert_eq!(rig.hello(), "hello");
    let status = rig.status();
    let service = &status["services"][0];
    assert_eq!(service["healthy"], true);
    assert!(service["route"]["node"].is_string(), "{status}");
    kedactl_testkit::until("it is published", Duration::from_secs(10), || {
        rig.status()["services"][0]["external_ip"] == "127.0.0.1"
    });
    let pid = status["process"]["pid"].as_u64().unwrap();
    let second = rig.tunnel(&["--detach"]).expect(6);
    insta::assert_snapshot!(rig.said(&second, pid), @r#"
        exit: 6
        --- stdout ---
        --- stderr ---
          !! the tunnel: a tunnel of this stack runs already (pid [PID])
        error[KD0704]: a tunnel of this stack runs already (pid [PID])
        hint: `kedactl tunnel status` shows it, `kedactl tunnel stop` ends it
    "#);
    let stopped = rig.context.run(&["tunnel", "stop"]).expect(0);
    insta::assert_snapshot!(rig.said(&stopped, pid), @r#"
        exit: 0
        --- stdout ---
        stopped the tunnel (pid [PID])
        --- stderr ---
    "#);
    assert_eq!(rig.server.published(), [true, false]);
    assert!(
        TcpStream::connect(("127.0.0.1", rig.port)).is_err(),
        "nobody listens"
    );
    let left = std::fs::read_dir(rig.context.dir().join("state/tunnel/kedactl")).unwrap();
    let mut left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["lock", "tunnel.log"]);
}

#[test]
fn what_a_killed_tunnel_leaves_is_repaired_by_the_next_start_and_by_stop() {
    let rig = Rig::new();
    let kill = |times: usize| {
        rig.tunnel(&["--detach"]).check(0);
        kedactl_testkit::until("it is published", Duration::from_secs(10), || {
            rig.server.published().len() == times
        });
        let process = rig.process();
        process.signal(kedactl_exec::Signal::KILL).unwrap();
        kedactl_testkit::until("it is dead", Duration::from_secs(10), || !process.alive());
        u64::from(process.pid)
    };
    let pid = kill(1);
    let status = rig.context.run(&["tunnel", "status"]).expect(1);
    insta::assert_snapshot!(rig.said(&status, pid), @r#"
        exit: 1
        --- stdout ---
        --- stderr ---
        error[KD0705]: the tunnel (pid [PID]) ended without cleaning up
        hint: `kedactl tunnel stop` repairs what it left, and so does the next start
    "#);
    let pid = kill(3);
    assert_eq!(
        rig.server.published(),
        [true, false, true],
        "the second start repaired first"
    );
    let stopped = rig.context.run(&["tunnel", "stop"]).expect(0);
    insta::assert_snapshot!(rig.said(&stopped, pid), @r#"
        exit: 0
        --- stdout ---
        repaired what the tunnel (pid [PID]) left when it died
        --- stderr ---
    "#);
    assert_eq!(rig.server.published(), [true, false, true, false]);
}

#[test]
fn a_taken_port_names_its_holder_or_another_one_is_taken_where_asked() {
    let rig = Rig::new();
    let held = TcpListener::bind(("127.0.0.1", rig.port)).unwrap();
    let refused = rig.tunnel(&[]).expect(1);
    let holder = format!("is taken by cli (pid {})", std::process::id());
    let name = std::fs::read_to_string("/proc/self/comm").unwrap();
    let holder = holder.replace("cli", name.trim());
    assert!(refused.stderr.contains(&holder), "{refused:?}");
    rig.tunnel(&["--detach", "--any-port"]).check(0);
    let status = rig.status();
    let service = &status["services"][0];
    assert_ne!(service["local"], format!("127.0.0.1:{}", rig.port));
    assert!(
        service["unpublished"].as_str().unwrap().contains(" here"),
        "{status}"
    );
    assert!(
        rig.server.published().is_empty(),
        "an address whose port is another would lie"
    );
    drop(held);
}

#[test]
fn ctrl_c_ends_a_tunnel_in_the_foreground_and_takes_the_address_back() {
    let rig = Rig::new();
    let args = [
        "tunnel",
        "--kubeconfig",
        "kubeconfig",
        "--service",
        "keda/api",
    ];
    let mut child = rig.context.spawn(&args);
    kedactl_testkit::until("it is published", Duration::from_secs(20), || {
        rig.server.published() == [true]
    });
    assert_eq!(rig.hello(), "hello");
    rig.process().signal(kedactl_exec::Signal::INT).unwrap();
    let code = child.wait().unwrap().code();
    assert_eq!(code, Some(130));
    assert_eq!(rig.server.published(), [true, false]);
}
