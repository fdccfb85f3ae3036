//! Ports of single pods over real sockets: servers are real, only the way to a pod is a table.
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests fail the test they help"
)]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kedactl_testkit::until_async;
use kedactl_tunnel::{Dial, DialError, Dialing, Endpoint, Link, PodPort, PodPorts};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

const SOON: Duration = Duration::from_secs(10);

/// Pods that are there now.
#[derive(Default)]
struct Table(Mutex<BTreeMap<(String, u16), SocketAddr>>);

impl Table {
    /// A server that names itself and then says back what it gets.
    async fn start(&self, pod: &str, port: u16) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let name = format!("{pod}:{port} ");
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let name = name.clone();
                tokio::spawn(async move {
                    stream.write_all(name.as_bytes()).await?;
                    let (mut from, mut to) = stream.split();
                    tokio::io::copy(&mut from, &mut to).await
                });
            }
        });
        let key = (pod.to_owned(), port);
        self.0.lock().unwrap().insert(key, address);
    }

    fn stop(&self, pod: &str) {
        self.0.lock().unwrap().retain(|(name, _), _| name != pod);
    }
}

impl Dial for Table {
    fn dial<'a>(&'a self, to: &'a Endpoint) -> Dialing<'a> {
        Box::pin(async move {
            let key = (to.pod.clone(), to.port);
            let address = self.0.lock().unwrap().get(&key).copied();
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

async fn open(table: &Arc<Table>) -> PodPorts {
    let pods = PodPort::of_set("keda", "redis-node", "redis-headless", 2, &[6379, 26379]);
    PodPorts::by(table.clone(), pods).await.unwrap()
}

fn here(pods: &PodPorts, host: &str, port: u16) -> SocketAddr {
    let mut addresses = pods.addresses();
    let found = addresses.find(|(name, at, _)| name.starts_with(host) && *at == port);
    found.unwrap().2
}

/// What a server says to one connection; nothing where the connection is closed.
async fn ask(address: SocketAddr) -> String {
    let mut answer = Vec::new();
    let asked = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(b"hello").await?;
        stream.shutdown().await?;
        stream.read_to_end(&mut answer).await
    };
    // A connection that is closed may be reset as well: what counts is that nothing came.
    drop(timeout(SOON, asked).await.unwrap());
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn every_port_of_every_pod_has_an_address_of_its_own() {
    let table: Arc<Table> = Arc::default();
    let pods = open(&table).await;
    assert_eq!(pods.addresses().count(), 4);
    for (pod, port) in [
        ("redis-node-0", 6379),
        ("redis-node-0", 26379),
        ("redis-node-1", 6379),
        ("redis-node-1", 26379),
    ] {
        table.start(pod, port).await;
        let said = ask(here(&pods, pod, port)).await;
        assert_eq!(said, format!("{pod}:{port} hello"));
    }
    assert!(
        pods.addresses()
            .all(|(host, ..)| host.ends_with(".redis-headless.keda.svc"))
    );
}

#[tokio::test]
async fn a_pod_that_is_away_closes_at_once_and_works_when_it_is_back() {
    let table: Arc<Table> = Arc::default();
    let pods = open(&table).await;
    let address = here(&pods, "redis-node-1", 6379);
    table.start("redis-node-0", 6379).await;
    table.start("redis-node-1", 6379).await;
    assert_eq!(ask(address).await, "redis-node-1:6379 hello");
    table.stop("redis-node-1");
    assert_eq!(ask(address).await, "", "no other pod takes it");
    until_async("the failure is told", SOON, async || {
        pods.troubles().count() == 1
    })
    .await;
    let (pod, why) = pods.troubles().next().unwrap();
    assert_eq!(pod.endpoint.pod, "redis-node-1");
    assert_eq!(why, "pod redis-node-1: not found");
    table.start("redis-node-1", 6379).await;
    assert_eq!(ask(address).await, "redis-node-1:6379 hello");
    assert_eq!(pods.troubles().count(), 0);
}

#[tokio::test]
async fn with_the_value_end_its_listeners_and_connections() {
    let table: Arc<Table> = Arc::default();
    table.start("redis-node-0", 6379).await;
    let pods = open(&table).await;
    let address = here(&pods, "redis-node-0", 6379);
    let mut held = TcpStream::connect(address).await.unwrap();
    let mut name = [0; 18];
    held.read_exact(&mut name).await.unwrap();
    drop(pods);
    let end = timeout(SOON, held.read(&mut name)).await.unwrap();
    assert!(matches!(end, Ok(0) | Err(_)), "{end:?}");
    until_async("nobody listens", SOON, async || {
        TcpStream::connect(address).await.is_err()
    })
    .await;
}
