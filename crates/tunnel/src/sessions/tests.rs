//! Sessions through an API server that is played here: how many it opens, and what becomes of those that grow old.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use kube::Config;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;
use crate::spdy::fake::{Way, runtime};

const SOON: Duration = Duration::from_secs(10);

/// The API server and the one pod behind it.
struct Cluster {
    pod: Arc<Mutex<Sandbox>>,
    upgrades: Arc<AtomicUsize>,
    address: SocketAddr,
    /// Aborted on drop.
    server: JoinSet<()>,
}

/// What runs the pod now; a pod of the same name that follows has another one.
#[derive(Clone, Copy)]
struct Sandbox {
    number: usize,
    server: SocketAddr,
}

impl Cluster {
    async fn new(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut cluster = Self {
            pod: Arc::new(Mutex::new(Sandbox { number: 0, server })),
            upgrades: Arc::default(),
            address: listener.local_addr().unwrap(),
            server: JoinSet::new(),
        };
        cluster.serve(listener);
        cluster
    }

    fn serve(&mut self, listener: TcpListener) {
        let (pod, upgrades) = (Arc::clone(&self.pod), Arc::clone(&self.upgrades));
        self.server.spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                open.spawn(switch(stream, Arc::clone(&pod), Arc::clone(&upgrades)));
            }
        });
    }

    /// The server is killed with every connection through it, and comes back.
    async fn restart(&mut self) {
        self.server.shutdown().await;
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.serve(listener);
    }

    /// Another pod of the same name.
    fn replace(&self, server: SocketAddr) {
        let mut pod = self.pod.lock().unwrap();
        *pod = Sandbox {
            number: pod.number + 1,
            server,
        };
    }

    fn upgrades(&self) -> usize {
        self.upgrades.load(Ordering::SeqCst)
    }

    fn sessions(&self) -> Arc<Sessions> {
        let config = Config::new(format!("http://{}", self.address).parse().unwrap());
        Arc::new(Sessions::new(Client::try_from(config).unwrap()))
    }
}

async fn switch(mut stream: TcpStream, pod: Arc<Mutex<Sandbox>>, upgrades: Arc<AtomicUsize>) {
    // As every API server does: small frames leave at once.
    stream.set_nodelay(true).unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else {
            return;
        };
        head.push(byte);
    }
    let head = String::from_utf8(head).unwrap();
    assert!(head.starts_with("POST /api/v1/namespaces/keda/pods/web-0/portforward "));
    upgrades.fetch_add(1, Ordering::SeqCst);
    let switched =
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n";
    stream.write_all(switched.as_bytes()).await.unwrap();
    let began = pod.lock().unwrap().number;
    let way = move || {
        let now = *pod.lock().unwrap();
        if now.number == began {
            Way::Server(now.server)
        } else {
            Way::Nowhere("failed to find sandbox \"f00\" in store: not found")
        }
    };
    runtime(stream, way).await;
}

fn endpoint() -> Endpoint {
    Endpoint {
        namespace: "keda".to_owned(),
        pod: "web-0".to_owned(),
        port: 80,
    }
}

/// A server that says its name, and then back what it gets.
async fn server(name: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                stream.write_all(name.as_bytes()).await?;
                let (mut from, mut to) = stream.split();
                tokio::io::copy(&mut from, &mut to).await
            });
        }
    });
    address
}

async fn connection() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await;
    (client.unwrap(), listener.accept().await.unwrap().0)
}

/// One connection: sends, ends its side, reads to the end. `Err` is a pod's fault.
async fn say(sessions: &Arc<Sessions>, text: &str) -> Result<String, String> {
    let (mut client, mut accepted) = connection().await;
    client.write_all(text.as_bytes()).await.unwrap();
    client.shutdown().await.unwrap();
    let mut bytes = Held::default();
    let carried = async {
        loop {
            let stream = sessions
                .open(&endpoint())
                .await
                .map_err(|e| e.to_string())?;
            match stream.carry(&mut accepted, bytes).await {
                Carried::Over => break,
                Carried::Nowhere { held, stale, .. } if stale => bytes = held,
                Carried::Nowhere { why, .. } => return Err(why),
            }
        }
        drop(accepted);
        Ok(())
    };
    let read = async {
        let mut got = String::new();
        client.read_to_string(&mut got).await.unwrap();
        drop(client);
        got
    };
    let (carried, got) = timeout(SOON, async { tokio::join!(carried, read) })
        .await
        .unwrap();
    carried.map(|()| got)
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    kedactl_testkit::until_async(what, SOON, async || holds()).await;
}

fn free(sessions: &Sessions) -> usize {
    sessions.lock().free.values().map(Vec::len).sum()
}

#[tokio::test]
async fn many_connections_one_after_the_other_need_two_sessions() {
    let cluster = Cluster::new(server("a:").await).await;
    let sessions = cluster.sessions();
    for n in 0..50 {
        let text = n.to_string();
        assert_eq!(say(&sessions, &text).await.unwrap(), format!("a:{text}"));
    }
    assert_eq!(cluster.upgrades(), 2, "one, and one ahead");
}

#[tokio::test]
async fn connections_side_by_side_use_their_sessions_again() {
    let cluster = Cluster::new(server("a:").await).await;
    let sessions = cluster.sessions();
    for _ in 0..5 {
        let mut clients = JoinSet::new();
        for _ in 0..20 {
            let sessions = Arc::clone(&sessions);
            clients.spawn(async move {
                for _ in 0..5 {
                    assert_eq!(say(&sessions, "x").await.unwrap(), "a:x");
                }
            });
        }
        clients.join_all().await;
    }
    assert!(cluster.upgrades() <= 22, "{}", cluster.upgrades());
}

#[tokio::test]
async fn a_session_is_ready_before_the_connection_that_needs_it() {
    let cluster = Cluster::new(server("a:").await).await;
    let sessions = cluster.sessions();
    let mut held = Vec::new();
    for n in 1..=5 {
        held.push(sessions.open(&endpoint()).await.unwrap());
        until("one is open ahead", || free(&sessions) == 1).await;
        assert_eq!(cluster.upgrades(), n + 1);
    }
    assert_eq!(held.iter().filter(|stream| stream.again).count(), 4);
}

#[tokio::test]
async fn a_connection_that_is_not_read_stops_no_other() {
    let flood = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let cluster = Cluster::new(flood.local_addr().unwrap()).await;
    let sessions = cluster.sessions();
    let (client, mut accepted) = connection().await;
    let stream = sessions.open(&endpoint()).await.unwrap();
    let stuck = tokio::spawn(async move { stream.carry(&mut accepted, Held::default()).await });
    let (mut served, _) = flood.accept().await.unwrap();
    let block = vec![7; 1 << 20];
    let full = async { while served.write_all(&block).await.is_ok() {} };
    assert!(timeout(SOON / 20, full).await.is_err(), "it is stuck");

    cluster.pod.lock().unwrap().server = server("a:").await;
    for n in 0..10 {
        let text = n.to_string();
        assert_eq!(say(&sessions, &text).await.unwrap(), format!("a:{text}"));
    }
    assert!(!stuck.is_finished());
    drop(client);
}

#[tokio::test]
async fn a_restart_of_the_api_server_is_nobodys_fault() {
    let mut cluster = Cluster::new(server("a:").await).await;
    let sessions = cluster.sessions();
    for round in 1..=3 {
        assert_eq!(say(&sessions, "x").await.unwrap(), "a:x", "{round}");
        until("sessions are free", || free(&sessions) == 2).await;
        cluster.restart().await;
    }
}

#[tokio::test]
async fn a_pod_that_follows_under_the_same_name_gets_the_bytes() {
    let cluster = Cluster::new(server("a:").await).await;
    let sessions = cluster.sessions();
    assert_eq!(say(&sessions, "x").await.unwrap(), "a:x");
    until("sessions are free", || free(&sessions) == 2).await;
    cluster.replace(server("b:").await);
    assert_eq!(say(&sessions, "y").await.unwrap(), "b:y");
}

#[tokio::test]
async fn what_nobody_wanted_is_closed() {
    let cluster = Cluster::new(server("a:").await).await;
    let sessions = cluster.sessions();
    assert_eq!(say(&sessions, "x").await.unwrap(), "a:x");
    until("sessions are free", || free(&sessions) == 2).await;
    let pod = ("keda".to_owned(), "web-0".to_owned());
    let old = Instant::now().checked_sub(IDLE).unwrap();
    sessions.lock().free.get_mut(&pod).unwrap()[0].since = old;
    assert!(sessions.close_idle());
    assert_eq!(free(&sessions), 1);
    sessions.lock().free.get_mut(&pod).unwrap()[0].since = old;
    assert!(!sessions.close_idle(), "nothing is left to look after");
}

#[tokio::test]
async fn sessions_end_with_their_owner() {
    let cluster = Cluster::new(server("a:").await).await;
    let sessions = cluster.sessions();
    let stream = sessions.open(&endpoint()).await.unwrap();
    until("one is open ahead", || free(&sessions) == 1).await;
    let weak = Arc::downgrade(&sessions);
    drop(sessions);
    assert!(
        weak.upgrade().is_none(),
        "neither tasks nor streams hold it"
    );
    drop(stream);
}
