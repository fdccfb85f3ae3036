//! The proxy over real sockets: servers are real, only the way to a pod is a table.
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests fail the test they help"
)]

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kedactl_testkit::until_async;
use kedactl_tunnel::{Dial, DialError, Dialing, Endpoint, Link, Mode, Road, Route, serve};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Pods by name, and the order in which they were dialled. The API server is out while `down`.
#[derive(Default)]
struct Table {
    pods: Mutex<BTreeMap<String, SocketAddr>>,
    dialled: Mutex<Vec<String>>,
    down: AtomicUsize,
}

impl Dial for Table {
    fn dial<'a>(&'a self, to: &'a Endpoint) -> Dialing<'a> {
        Box::pin(async move {
            if self.down.load(Ordering::Relaxed) > 0 {
                return Err(DialError::Way("connection refused".to_owned()));
            }
            self.dialled.lock().unwrap().push(to.pod.clone());
            let address = self.pods.lock().unwrap().get(&to.pod).copied();
            let failed = |why: String| DialError::Pod {
                pod: to.pod.clone(),
                why,
            };
            let address = address.ok_or_else(|| failed("not found".to_owned()))?;
            let stream = TcpStream::connect(address).await;
            stream.map(Link::Tcp).map_err(|e| failed(e.to_string()))
        })
    }
}

struct Rig {
    table: Arc<Table>,
    road: Arc<Road>,
    address: SocketAddr,
    stop: CancellationToken,
}

impl Rig {
    async fn new(hold: Duration) -> Self {
        let table: Arc<Table> = Arc::default();
        let road = Arc::new(Road::new(Mode::Auto, hold, table.clone()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        tokio::spawn(serve(listener, Arc::clone(&road), stop.clone()));
        Self {
            table,
            road,
            address,
            stop,
        }
    }

    fn pods(&self, pods: &[(&str, SocketAddr)]) {
        let table = pods.iter().map(|(name, at)| ((*name).to_owned(), *at));
        *self.table.pods.lock().unwrap() = table.collect();
        self.ready(&pods.iter().map(|(name, _)| *name).collect::<Vec<_>>());
    }

    fn ready(&self, pods: &[&str]) {
        let endpoint = |pod: &&str| Endpoint {
            namespace: "keda".to_owned(),
            pod: (*pod).to_owned(),
            port: 8000,
        };
        self.road.pool.set(pods.iter().map(endpoint).collect());
    }

    /// One connection: sends, ends its side, and reads to the end.
    async fn say(&self, text: &[u8]) -> Vec<u8> {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(text).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        answer
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// A server that reads to the end of the client's side, and only then answers with its name and what it got.
async fn server(name: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut got = Vec::new();
                stream.read_to_end(&mut got).await?;
                stream.write_all(name.as_bytes()).await?;
                stream.write_all(b":").await?;
                stream.write_all(&got).await?;
                stream.shutdown().await
            });
        }
    });
    address
}

/// An address where nothing listens.
async fn nobody() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap()
}

const HOLD: Duration = Duration::from_secs(10);

#[tokio::test]
async fn connections_take_turns_and_a_half_closed_one_gets_its_answer() {
    let rig = Rig::new(HOLD).await;
    rig.pods(&[("a", server("a").await), ("b", server("b").await)]);
    let mut answers = Vec::new();
    for _ in 0..4 {
        answers.push(String::from_utf8(rig.say(b"hello").await).unwrap());
    }
    assert_eq!(answers, ["a:hello", "b:hello", "a:hello", "b:hello"]);
}

#[tokio::test]
async fn a_dead_pod_is_passed_over_and_not_dialled_again_at_once() {
    let rig = Rig::new(HOLD).await;
    rig.pods(&[("a", nobody().await), ("b", server("b").await)]);
    for _ in 0..6 {
        assert_eq!(rig.say(b"x").await, b"b:x");
    }
    let dialled = rig.table.dialled.lock().unwrap().join("");
    assert!(
        dialled.starts_with('a') && !dialled.contains("aa"),
        "{dialled}"
    );
}

#[tokio::test]
async fn a_new_connection_waits_for_the_first_pod() {
    let rig = Rig::new(HOLD).await;
    let (answer, ()) = tokio::join!(rig.say(b"early"), async {
        until_async("the connection is held", HOLD, || async {
            rig.road.open() == 1
        })
        .await;
        rig.pods(&[("a", server("a").await)]);
    });
    assert_eq!(answer, b"a:early");
}

#[tokio::test]
async fn a_wait_is_bounded() {
    let rig = Rig::new(Duration::from_millis(300)).await;
    rig.pods(&[("a", nobody().await)]);
    let begin = Instant::now();
    let mut stream = TcpStream::connect(rig.address).await.unwrap();
    let end = stream.read(&mut [0; 1]).await;
    assert!(matches!(end, Ok(0)) || end.is_err_and(|e| e.kind() == ErrorKind::ConnectionReset));
    assert!(begin.elapsed() < Duration::from_secs(3));
}

#[tokio::test]
async fn connections_go_on_within_a_second_of_the_api_server_being_back() {
    let rig = Rig::new(HOLD).await;
    rig.pods(&[("a", server("a").await)]);
    rig.table.down.store(1, Ordering::Relaxed);
    let (took, ()) = tokio::join!(
        async {
            assert_eq!(rig.say(b"x").await, b"a:x");
            Instant::now()
        },
        async {
            until_async("held", HOLD, || async { rig.road.open() == 1 }).await;
            rig.table.down.store(0, Ordering::Relaxed);
        }
    );
    assert!(took.elapsed() < Duration::from_secs(1));
    assert_eq!(
        *rig.table.dialled.lock().unwrap(),
        ["a"],
        "no pod was blamed"
    );
}

#[tokio::test]
async fn a_node_that_stops_answering_is_replaced_by_a_pod() {
    let rig = Rig::new(HOLD).await;
    let node = server("node").await;
    rig.road.set_route(Some(Route::Node(node)));
    assert_eq!(rig.say(b"x").await, b"node:x");
    rig.road.set_route(Some(Route::Node(nobody().await)));
    rig.pods(&[("a", server("a").await)]);
    assert_eq!(rig.say(b"x").await, b"a:x");
}

#[tokio::test]
async fn a_slow_reader_holds_the_server_back() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let rig = Rig::new(HOLD).await;
    rig.pods(&[("a", listener.local_addr().unwrap())]);
    let client = TcpStream::connect(rig.address).await.unwrap();
    let (mut server, _) = listener.accept().await.unwrap();
    let block = vec![7; 64 * 1024];
    let mut sent = 0_usize;
    // Nobody reads: the write must come to a stand within what the kernel buffers.
    while let Ok(Ok(())) = tokio::time::timeout(HOLD / 20, server.write_all(&block)).await {
        sent += block.len();
        assert!(sent < 64 << 20, "{sent} bytes went somewhere");
    }
    drop((client, server));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_connections_leave_nothing_behind() {
    let rig = Arc::new(Rig::new(HOLD).await);
    rig.pods(&[("a", server("a").await), ("b", server("b").await)]);
    let descriptors = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    assert_eq!(rig.say(b"x").await.len(), 3);
    until_async("it ended", HOLD, || async { rig.road.open() == 0 }).await;
    let before = descriptors();
    let clients = (0..20).map(|_| {
        let rig = Arc::clone(&rig);
        tokio::spawn(async move {
            for _ in 0..500 {
                assert_eq!(rig.say(b"x").await.len(), 3);
            }
        })
    });
    for client in clients.collect::<Vec<_>>() {
        client.await.unwrap();
    }
    let within = Duration::from_secs(30);
    until_async("all ended", within, || async { rig.road.open() == 0 }).await;
    // Other tests of this process come and go; ten thousand leaked ones would show.
    until_async("descriptors are back", within, || async {
        descriptors() < before + 100
    })
    .await;
}
