//! Sessions against a runtime that is played here: what a container runtime does with the two streams.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex, split};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, timeout};

use super::fake::{Way, runtime};
use super::{Ending, Pair, Probed, Session};
use crate::road::Held;

const WITHIN: Duration = Duration::from_secs(10);
const REFUSED: Way =
    Way::Nowhere("failed to connect to localhost:80 inside namespace: connection refused");

fn session(way: Way) -> Session {
    let (ours, theirs) = duplex(16 * 1024);
    tokio::spawn(runtime(theirs, move || way.clone()));
    let (reader, writer) = split(ours);
    Session::new(reader, writer)
}

async fn pair(session: Session) -> Pair {
    timeout(WITHIN, session.open(80)).await.unwrap().unwrap()
}

/// A client's connection, and its other end as the proxy sees it.
async fn connection() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap())
        .await
        .unwrap();
    (client, listener.accept().await.unwrap().0)
}

/// A server that answers, after the client's side has ended, with what it got.
async fn echo() -> SocketAddr {
    serve(async |mut stream| {
        let mut got = Vec::new();
        stream.read_to_end(&mut got).await.unwrap();
        stream.write_all(&got).await.unwrap();
    })
    .await
}

async fn serve<F>(answer: impl Fn(TcpStream) -> F + Send + 'static) -> SocketAddr
where
    F: Future<Output = ()> + Send,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            answer(stream).await;
        }
    });
    address
}

/// Carries one connection: what the client gets, how it ended, and the session where it is fit for more.
async fn say(pair: Pair, text: &[u8]) -> (Vec<u8>, Ending, Option<Session>) {
    let (mut client, mut accepted) = connection().await;
    let (mut free, mut got) = (None, Vec::new());
    let carried = pair.carry(&mut accepted, Held::default(), |session| {
        free = Some(session);
    });
    let (ending, ()) = tokio::join!(carried, async {
        client.write_all(text).await.unwrap();
        client.shutdown().await.unwrap();
        client.read_to_end(&mut got).await.unwrap();
        drop(client);
    });
    (got, ending, free)
}

#[tokio::test]
async fn a_megabyte_goes_through_and_a_half_close_is_passed_on() {
    let (client, mut accepted) = connection().await;
    let pair = pair(session(Way::Server(echo().await))).await;
    let sent: Vec<u8> = (0..1_000_000_u32).map(|n| (n % 251) as u8).collect();
    let (mut from, mut to) = client.into_split();
    let (carried, (), got) = tokio::join!(
        pair.carry(&mut accepted, Held::default(), drop),
        async {
            to.write_all(&sent).await.unwrap();
            to.shutdown().await.unwrap();
        },
        async {
            let mut got = Vec::new();
            from.read_to_end(&mut got).await.unwrap();
            got
        }
    );
    assert_eq!(carried, Ending::Over);
    assert!(got == sent, "{} of {} bytes", got.len(), sent.len());
}

#[tokio::test]
async fn a_session_carries_one_connection_after_the_other() {
    let mut session = session(Way::Server(echo().await));
    for n in 0..50 {
        let text = format!("hello {n}");
        let (got, ending, free) = say(pair(session).await, text.as_bytes()).await;
        assert_eq!(String::from_utf8(got).unwrap(), text);
        assert_eq!(ending, Ending::Over);
        session = free.expect("it is free again");
    }
}

#[tokio::test]
async fn a_session_with_something_unread_in_it_is_not_used_again() {
    let deaf = serve(async |stream| drop(stream)).await;
    let (got, ending, free) = say(pair(session(Way::Server(deaf))).await, b"anybody?").await;
    assert_eq!((got.len(), ending, free.is_none()), (0, Ending::Over, true));
}

#[tokio::test]
async fn a_session_is_free_before_the_client_has_gone() {
    let greeting = serve(async |mut stream| stream.write_all(b"hello").await.unwrap()).await;
    let pair = pair(session(Way::Server(greeting))).await;
    let (mut client, mut accepted) = connection().await;
    let (tell, told) = tokio::sync::oneshot::channel();
    let carried = pair.carry(&mut accepted, Held::default(), |session| {
        drop(tell.send(session));
    });
    let client = async {
        let mut got = [0; 5];
        client.read_exact(&mut got).await.unwrap();
        let begin = Instant::now();
        let again = timeout(WITHIN, told).await.unwrap().unwrap();
        assert!(begin.elapsed() < WITHIN / 2);
        assert!(again.open(80).await.is_ok());
        drop(client);
    };
    tokio::join!(carried, client);
}

/// A client that reads one byte of what the server says, and breaks off: the session where it is fit for more.
async fn broken_off(server: SocketAddr) -> Option<Session> {
    let pair = pair(session(Way::Server(server))).await;
    let (mut client, mut accepted) = connection().await;
    let mut free = None;
    let carried = pair.carry(&mut accepted, Held::default(), |session| {
        free = Some(session);
    });
    let client = async {
        client.read_u8().await.unwrap();
        // What lies unread makes the end a reset.
        client.readable().await.unwrap();
        drop(client);
    };
    let (ending, ()) = timeout(WITHIN, async { tokio::join!(carried, client) })
        .await
        .unwrap();
    assert_eq!(ending, Ending::Over);
    free
}

#[tokio::test]
async fn a_client_that_breaks_off_leaves_the_session_to_the_next_one() {
    let greeting = serve(async |mut stream| {
        stream.write_all(b"hello").await.unwrap();
        // It would wait for the client for ever.
        drop(stream.read(&mut [0; 1]).await);
    })
    .await;
    let free = broken_off(greeting).await;
    assert!(free.unwrap().open(80).await.is_ok());
}

#[tokio::test]
async fn a_session_in_which_too_much_is_under_way_is_not_used_again() {
    let flood = serve(async |mut stream| {
        let block = vec![7; 1 << 20];
        while stream.write_all(&block).await.is_ok() {}
    })
    .await;
    assert!(broken_off(flood).await.is_none());
}

#[tokio::test]
async fn what_reached_no_pod_goes_to_the_next_one() {
    let (mut client, mut accepted) = connection().await;
    client.write_all(b"GET /").await.unwrap();
    let nobody = pair(session(REFUSED)).await;
    let carried = nobody.carry(&mut accepted, Held::default(), drop).await;
    let Ending::Nowhere(held, why) = carried else {
        panic!("{carried:?}");
    };
    assert!(why.contains("connection refused"), "{why}");
    // Bytes that were not read yet are still in the socket.
    client.write_all(b" HTTP/1.1").await.unwrap();
    client.shutdown().await.unwrap();
    let pod = pair(session(Way::Server(echo().await))).await;
    let (carried, got) = tokio::join!(pod.carry(&mut accepted, held, drop), async {
        let mut got = Vec::new();
        client.read_to_end(&mut got).await.unwrap();
        got
    });
    assert_eq!(carried, Ending::Over);
    assert_eq!(String::from_utf8(got).unwrap(), "GET / HTTP/1.1");
}

#[tokio::test]
async fn a_probe_passes_where_something_listens_and_fails_where_nothing_does() {
    let mut session = session(Way::Server(echo().await));
    for _ in 0..3 {
        let Probed::Takes(Some(free)) = pair(session).await.probe(WITHIN).await else {
            panic!("the server ends its side as soon as the client has");
        };
        session = free;
    }
    let refused = pair(super::tests::session(REFUSED)).await;
    let Probed::Refused(why) = refused.probe(WITHIN).await else {
        panic!("nothing listens");
    };
    assert!(why.contains("connection refused"), "{why}");
}

#[tokio::test]
async fn a_runtime_that_goes_away_ends_the_connection() {
    let (ours, theirs) = duplex(1024);
    let (reader, writer) = split(ours);
    let opening = tokio::spawn(Session::new(reader, writer).open(80));
    drop(theirs);
    assert!(opening.await.unwrap().is_err());
}
