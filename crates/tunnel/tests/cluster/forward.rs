//! Single connections through the API server, and what the container runtime makes of them.
//! Must not time anything: figures have their own file.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use kedactl_testkit::until_async;
use kedactl_tunnel::{Carried, Dial as _, Endpoint, Forward, Held, Mode, Road, Route, serve};
use kube::Client;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::lab::{Lab, SAMPLE, WITHIN};

const SOON: Duration = Duration::from_secs(10);
pub(crate) const PORT: u16 = 8080;

/// One pod that serves a small page and a big file.
pub(crate) fn web(lab: &Lab) -> Endpoint {
    let (repository, tag) = SAMPLE;
    lab.apply(&format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: web}}\nspec:\n  terminationGracePeriodSeconds: 0\n  containers:\n  - name: web\n    image: {repository}:{tag}\n    \
         command: [sh, -c, \"mkdir -p /tmp/www; busybox dd if=/dev/zero of=/tmp/www/big bs=1M count=64; echo ok >/tmp/www/index.html; exec httpd -f -p {PORT} -h /tmp/www\"]\n    \
         readinessProbe: {{httpGet: {{path: /, port: {PORT}}}, periodSeconds: 1}}\n"
    ));
    let wait = ["wait", "--for=condition=Ready", "pod/web", "--timeout=120s"];
    lab.kubectl(&wait).unwrap();
    endpoint(lab, PORT)
}

fn endpoint(lab: &Lab, port: u16) -> Endpoint {
    Endpoint {
        namespace: lab.namespace.clone(),
        pod: "web".to_owned(),
        port,
    }
}

/// A tunnel to one pod, as `kedactl tunnel` has it; it ends with the guard.
pub(crate) async fn tunnel(client: Client, to: Endpoint) -> (SocketAddr, Arc<Road>, DropGuard) {
    let forward = Arc::new(Forward::new(client));
    let road = Arc::new(Road::new(Mode::PortForward, SOON, forward));
    road.set_route(Some(Route::PortForward));
    road.pool.set(vec![to]);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    tokio::spawn(serve(listener, Arc::clone(&road), stop.clone()));
    (address, road, stop.drop_guard())
}

/// One request over a new connection, to the last byte of its answer.
pub(crate) async fn request(to: SocketAddr) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(to).await?;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").await?;
    let (mut answer, mut buffer) = (Vec::new(), [0; 4096]);
    while !answer.ends_with(b"ok\n") {
        let read = stream.read(&mut buffer).await?;
        if read == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        answer.extend(&buffer[..read]);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_where_nothing_listens_gives_the_bytes_back_and_blames_the_pod() {
    let lab = Lab::new("refused");
    web(&lab);
    let forward = Forward::new(lab.client().await);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    // The second one goes over a session that was there before.
    for _ in 0..2 {
        let mut client = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        let (mut accepted, _) = listener.accept().await.unwrap();
        client.write_all(b"hello").await.unwrap();
        let link = forward.dial(&endpoint(&lab, 9)).await.unwrap();
        let carried = timeout(SOON, link.carry(&mut accepted, Held::default()));
        let Carried::Nowhere { held, why, stale } = carried.await.unwrap() else {
            panic!("nothing listens there");
        };
        assert!(why.contains("refused"), "{why}");
        assert!(!stale);
        assert!(b"hello".starts_with(&held.bytes), "{held:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_connections_one_after_the_other_are_answered_also_half_closed() {
    let lab = Lab::new("many");
    let (address, road, _guard) = tunnel(lab.client().await, web(&lab)).await;
    for n in 0..100 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n").await.unwrap();
        if n % 2 == 0 {
            stream.shutdown().await.unwrap();
        }
        let mut answer = String::new();
        let mut buffer = [0; 4096];
        while !answer.ends_with("ok\n") {
            let read = timeout(SOON, stream.read(&mut buffer))
                .await
                .unwrap()
                .unwrap();
            assert!(read > 0, "connection {n} got {answer:?}");
            answer += &String::from_utf8_lossy(&buffer[..read]);
        }
        assert!(answer.contains("200 OK"), "{answer}");
    }
    until_async("all have ended", WITHIN, async || road.open() == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_of_the_same_name_takes_the_next_connection() {
    let lab = Lab::new("again");
    let (address, ..) = &tunnel(lab.client().await, web(&lab)).await;
    let ask = async || {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n").await.unwrap();
        let mut answer = Vec::new();
        // A connection may be reset at its end: what came before counts.
        drop(
            timeout(SOON, stream.read_to_end(&mut answer))
                .await
                .unwrap(),
        );
        String::from_utf8(answer).unwrap().ends_with("ok\n")
    };
    assert!(ask().await);
    for _ in 0..2 {
        lab.kubectl(&["delete", "pod", "web"]).unwrap();
        web(&lab);
        assert!(ask().await, "the old pod's sessions are in nobody's way");
    }
}

/// Requests over new connections until `over`; when each was answered.
async fn load(to: SocketAddr, over: CancellationToken) -> (Vec<Instant>, usize) {
    let (mut answered, mut failed) = (Vec::new(), 0);
    while !over.is_cancelled() {
        match request(to).await {
            Ok(()) => answered.push(Instant::now()),
            Err(_) => failed += 1,
        }
    }
    (answered, failed)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_that_was_away_is_used_again_within_a_second() {
    const CLIENTS: usize = 4;
    let lab = Lab::new("away");
    let pod = web(&lab);
    let (client, mut relay) = lab.client_by_relay().await;
    let (address, road, _guard) = tunnel(client, pod).await;
    for _ in 0..3 {
        let over = CancellationToken::new();
        let loads = (0..CLIENTS).map(|_| tokio::spawn(load(address, over.clone())));
        let loads: Vec<_> = loads.collect();
        until_async("requests run", WITHIN, async || road.open() > 0).await;
        relay.away().await;
        until_async("requests wait", WITHIN, async || {
            road.open() == CLIENTS as u64
        })
        .await;
        relay.back().await;
        let back = Instant::now();
        until_async("requests go on", WITHIN, async || {
            road.open() < CLIENTS as u64
        })
        .await;
        over.cancel();
        let mut firsts = Vec::new();
        for load in loads {
            let (answered, failed) = timeout(WITHIN, load).await.unwrap().unwrap();
            assert!(failed <= 1, "only what was open may break");
            firsts.extend(answered.into_iter().find(|at| *at > back));
        }
        let first = firsts.into_iter().min().unwrap().duration_since(back);
        println!("the first answer came {first:?} after the API server was back");
        assert!(first < Duration::from_secs(1));
    }
}
