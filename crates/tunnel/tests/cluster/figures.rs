//! What a connection through the API server costs, beside `kubectl port-forward` in the same run.
//! Must not judge: figures of a shared machine are printed, and only what must hold anywhere is asserted.

use std::net::SocketAddr;
use std::time::Duration;

use kedactl_testkit::{Child, free_port, until_async};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::forward::{PORT, request, tunnel, web};
use crate::lab::{Lab, WITHIN};

const REQUESTS: usize = 200;
const AT_ONCE: usize = 20;
const STUCK: Duration = Duration::from_secs(5);

async fn timed(to: SocketAddr) -> Duration {
    let begin = Instant::now();
    request(to).await.unwrap();
    begin.elapsed()
}

async fn one_after_the_other(to: SocketAddr, count: usize) -> Vec<Duration> {
    let mut times = Vec::new();
    for _ in 0..count {
        times.push(timed(to).await);
    }
    times.sort();
    times
}

async fn side_by_side(to: SocketAddr) -> Vec<Duration> {
    let mut clients = JoinSet::new();
    for _ in 0..AT_ONCE {
        clients.spawn(one_after_the_other(to, REQUESTS / AT_ONCE));
    }
    let mut times = clients.join_all().await.concat();
    times.sort();
    times
}

/// Asks for the big file and reads nothing of it.
async fn stuck(to: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(to).await.unwrap();
    stream
        .write_all(b"GET /big HTTP/1.0\r\n\r\n")
        .await
        .unwrap();
    stream.peek(&mut [0]).await.unwrap();
    stream
}

/// Megabytes a second of a big answer.
async fn rate(to: SocketAddr) -> f64 {
    let mut stream = stuck(to).await;
    let (begin, mut sum, mut buffer) = (Instant::now(), 0, vec![0; 256 * 1024]);
    while sum < 64 << 20 {
        let read = stream.read(&mut buffer).await.unwrap();
        assert!(read > 0, "{sum}");
        sum += read;
    }
    sum as f64 / 1e6 / begin.elapsed().as_secs_f64()
}

async fn measure(name: &str, to: SocketAddr) {
    let first = timed(to).await;
    let alone = one_after_the_other(to, REQUESTS).await;
    let burst = side_by_side(to).await;
    let again = side_by_side(to).await;
    let middle = |times: &[Duration]| times[times.len() / 2];
    let late = |times: &[Duration]| times[times.len() * 99 / 100];
    println!(
        "{name:<22} first {first:>9.2?}; alone p50 {:>9.2?} p99 {:>9.2?}; {AT_ONCE} at once p50 {:>9.2?} p99 {:>9.2?}, again p50 {:>9.2?} p99 {:>9.2?}; {:.0} MB/s",
        middle(&alone),
        late(&alone),
        middle(&burst),
        late(&burst),
        middle(&again),
        late(&again),
        rate(to).await,
    );
}

/// How long requests take at most while another connection is not read; nothing where one of them does not end.
async fn beside_a_stuck_one(to: SocketAddr) -> Option<Duration> {
    let held = stuck(to).await;
    let (begin, mut worst) = (Instant::now(), Duration::ZERO);
    // So long that what is under way has filled every buffer.
    while begin.elapsed() < STUCK / 2 {
        worst = worst.max(timeout(STUCK, timed(to)).await.ok()?);
    }
    drop(held);
    Some(worst)
}

fn told(took: Option<Duration>) -> String {
    took.map_or_else(
        || format!("more than {STUCK:?}"),
        |took| format!("{took:.2?}"),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn figures() {
    let lab = Lab::new("figures");
    let (address, _road, _guard) = tunnel(lab.client().await, web(&lab)).await;
    let peer = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let log = tempfile::NamedTempFile::new().unwrap();
    let (kubeconfig, ports) = (
        lab.kubeconfig.display().to_string(),
        format!("{}:{PORT}", peer.port()),
    );
    let (config, space) = ("--kubeconfig", "--namespace");
    let args = [
        config,
        &kubeconfig,
        space,
        &lab.namespace,
        "port-forward",
        "pod/web",
        &ports,
    ];
    let forward = Child::start("kubectl", &args.map(str::to_owned), log.path()).unwrap();
    until_async("kubectl listens", WITHIN, async || {
        TcpStream::connect(peer).await.is_ok()
    })
    .await;
    for _ in 0..2 {
        measure("kubectl port-forward", peer).await;
        measure("here", address).await;
    }
    let here = beside_a_stuck_one(address).await;
    let there = beside_a_stuck_one(peer).await;
    println!(
        "the slowest request beside a connection that nobody reads: kubectl port-forward {}, here {}",
        told(there),
        told(here)
    );
    assert!(here.is_some(), "one slow connection stops the others");
    drop(forward);
}
