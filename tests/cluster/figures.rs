//! What a tunnel costs, beside a direct connection to the node and beside `kubectl port-forward`.
//!
//! It must not judge by itself: a shared machine's figures are printed, and only what must hold anywhere is asserted.

use super::{Rig, SOON, now};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::time::Duration;

const REQUESTS: usize = 200;

/// One request for a path over a connection of its own, until this many bytes came.
fn get(to: SocketAddr, path: &str, bytes: usize) -> usize {
    let mut stream = TcpStream::connect(to).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    write!(stream, "GET {path} HTTP/1.0\r\n\r\n").unwrap();
    let (mut buffer, mut sum) = (vec![0; 256 * 1024], 0);
    while sum < bytes {
        match stream.read(&mut buffer).unwrap() {
            0 => break,
            read => sum += read,
        }
    }
    sum
}

/// Median and 99th percentile of a request over a new connection, and megabytes a second of a big answer.
fn measure(to: SocketAddr) -> (Duration, Duration, f64) {
    let one = || {
        let begin = now();
        assert!(get(to, "/", 1) > 0);
        begin.elapsed()
    };
    let mut times: Vec<Duration> = (0..REQUESTS).map(|_| one()).collect();
    times.sort();
    let begin = now();
    let bytes = get(to, "/big", 64 << 20);
    assert!(bytes >= 64 << 20, "{bytes}");
    let rate = bytes as f64 / 1e6 / begin.elapsed().as_secs_f64();
    (times[REQUESTS / 2], times[REQUESTS * 99 / 100], rate)
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the peer is a program")]
fn figures() {
    let rig = Rig::new();
    let local = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
    let mut rows = Vec::new();
    let path = "jsonpath={.spec.ports[0].nodePort}";
    let node_port = rig
        .kubectl(&["get", "service", "web", "-o", path], "")
        .unwrap();
    for mode in ["node-port", "port-forward"] {
        rig.tunnel(&["--detach", "--mode", mode]).check(0);
        if mode == "node-port" {
            let status = rig.control("status").expect(0).json();
            let node: SocketAddr =
                serde_json::from_value(status["services"][0]["route"]["node"].clone()).unwrap();
            assert_eq!(node.port().to_string(), node_port);
            rows.push(("direct to the node", measure(node)));
        }
        rows.push((mode, measure(local(rig.port))));
        rig.control("stop").check(0);
    }
    let peer = kedactl_testkit::free_port();
    let mut child = Command::new("kubectl")
        .args([
            "--kubeconfig",
            &rig.kubeconfig,
            "--namespace",
            &rig.namespace,
        ])
        .args([
            "port-forward",
            "service/web",
            &format!("{peer}:{}", rig.port),
        ])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    kedactl_testkit::until("kubectl listens", SOON, || {
        TcpStream::connect(local(peer)).is_ok()
    });
    rows.push(("kubectl port-forward", measure(local(peer))));
    child.kill().unwrap();
    child.wait().unwrap();
    for (name, (median, late, rate)) in rows {
        println!("{name:<22} p50 {median:>10.2?}  p99 {late:>10.2?}  {rate:>8.1} MB/s");
    }
}
