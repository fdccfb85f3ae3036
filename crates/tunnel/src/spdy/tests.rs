//! Sessions against a runtime that is played here: what a container runtime does with the two streams.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, ReadHalf, WriteHalf, duplex};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::frame::{self, Control, FIN, Frame, data_head};
use super::session::Session;
use crate::road::{Carried, Held};

const WITHIN: Duration = Duration::from_secs(10);

/// Plays the runtime: takes both streams, and connects to the server or says that it cannot.
async fn runtime(stream: DuplexStream, server: Option<SocketAddr>) {
    let (mut reader, mut writer) = tokio::io::split(stream);
    for stream in [1_u32, 3] {
        // A stream is opened with a control frame that a client never reads.
        let opened = frame::read(&mut reader).await.unwrap();
        assert_eq!(opened, Some(Frame::Control(Control::Other)));
        let mut reply = vec![0x80, 3, 0, 2, 0, 0, 0, 4];
        reply.extend(stream.to_be_bytes());
        writer.write_all(&reply).await.unwrap();
    }
    writer.write_all(&frame::ping(9)).await.unwrap();
    let Some(server) = server else {
        let why = b"failed to connect to localhost:80 inside namespace: connection refused";
        writer
            .write_all(&data_head(1, FIN, why.len()))
            .await
            .unwrap();
        writer.write_all(why).await.unwrap();
        writer.write_all(&data_head(3, FIN, 0)).await.unwrap();
        // What the client still sends is read away, as a runtime does.
        let mut nowhere = tokio::io::sink();
        let rest = tokio::io::copy(&mut reader, &mut nowhere);
        drop(timeout(WITHIN, rest).await);
        return;
    };
    let (from, to) = TcpStream::connect(server).await.unwrap().into_split();
    tokio::join!(to_server(reader, to), to_client(from, writer));
}

async fn to_server(mut reader: ReadHalf<DuplexStream>, mut to: tokio::net::tcp::OwnedWriteHalf) {
    while let Ok(Some(frame)) = frame::read(&mut reader).await {
        let Frame::Data {
            stream: 3,
            ended,
            length,
        } = frame
        else {
            continue;
        };
        let mut bytes = vec![0; length];
        reader.read_exact(&mut bytes).await.unwrap();
        if to.write_all(&bytes).await.is_err() {
            return;
        }
        if ended {
            drop(to.shutdown().await);
        }
    }
}

async fn to_client(mut from: tokio::net::tcp::OwnedReadHalf, mut writer: WriteHalf<DuplexStream>) {
    let mut buffer = vec![0; 10_000];
    while let Ok(length) = from.read(&mut buffer).await {
        let flags = if length == 0 { FIN } else { 0 };
        let sent = async {
            writer.write_all(&data_head(3, flags, length)).await?;
            writer.write_all(&buffer[..length]).await
        };
        if sent.await.is_err() || length == 0 {
            return;
        }
    }
}

async fn open(server: Option<SocketAddr>) -> Session {
    let (ours, theirs) = duplex(16 * 1024);
    tokio::spawn(runtime(theirs, server));
    timeout(WITHIN, Session::open(ours, 80))
        .await
        .unwrap()
        .unwrap()
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
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut got = Vec::new();
            stream.read_to_end(&mut got).await.unwrap();
            stream.write_all(&got).await.unwrap();
        }
    });
    address
}

#[tokio::test]
async fn a_megabyte_goes_through_and_a_half_close_is_passed_on() {
    let (client, mut accepted) = connection().await;
    let session = open(Some(echo().await)).await;
    let sent: Vec<u8> = (0..1_000_000_u32).map(|n| (n % 251) as u8).collect();
    let (mut from, mut to) = client.into_split();
    let (carried, (), got) = tokio::join!(
        session.carry(&mut accepted, Held::default()),
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
    assert!(matches!(carried, Carried::Over));
    assert!(got == sent, "{} of {} bytes", got.len(), sent.len());
}

#[tokio::test]
async fn what_reached_no_pod_goes_to_the_next_one() {
    let (mut client, mut accepted) = connection().await;
    client.write_all(b"GET /").await.unwrap();
    let session = open(None).await;
    let carried = session.carry(&mut accepted, Held::default()).await;
    let Carried::Nowhere(held, why) = carried else {
        panic!("{carried:?}");
    };
    assert!(why.contains("connection refused"), "{why}");
    // Bytes that were not read yet are still in the socket.
    client.write_all(b" HTTP/1.1").await.unwrap();
    client.shutdown().await.unwrap();
    let session = open(Some(echo().await)).await;
    let (carried, got) = tokio::join!(session.carry(&mut accepted, held), async {
        let mut got = Vec::new();
        client.read_to_end(&mut got).await.unwrap();
        got
    });
    assert!(matches!(carried, Carried::Over));
    assert_eq!(String::from_utf8(got).unwrap(), "GET / HTTP/1.1");
}

#[tokio::test]
async fn a_probe_passes_where_something_listens_and_fails_where_nothing_does() {
    let passed = open(Some(echo().await)).await.probe(WITHIN).await;
    assert!(passed.is_ok(), "{passed:?}");
    let failed = open(None).await.probe(WITHIN).await;
    assert!(failed.unwrap_err().0.contains("connection refused"));
}

#[tokio::test]
async fn a_runtime_that_goes_away_ends_the_connection() {
    let (ours, theirs) = duplex(1024);
    let opening = tokio::spawn(Session::open(ours, 80));
    drop(theirs);
    assert!(opening.await.unwrap().is_err());
}
