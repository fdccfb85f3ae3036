//! A container runtime that is played: what containerd does with the streams of a session.
//! Must not share the code that it tests: it reads frames and header blocks by itself.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, WriteHalf, split};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::timeout;

/// How long the other direction may go on when one has ended.
const GRACE: Duration = Duration::from_secs(1);
const FIN: u8 = 1;

/// Where a pair of streams leads.
#[derive(Debug, Clone)]
pub(crate) enum Way {
    Server(SocketAddr),
    /// Nowhere, for this reason.
    Nowhere(&'static str),
}

enum Frame {
    Opened {
        stream: u32,
        ended: bool,
        headers: HashMap<String, String>,
    },
    Data {
        stream: u32,
        ended: bool,
        bytes: Vec<u8>,
    },
    Cancelled(u32),
    Other,
}

/// What the client sent on a stream of data; nothing where it has broken the stream off.
type Sent = Option<Vec<u8>>;
type Shared<S> = Arc<Mutex<WriteHalf<S>>>;

/// Plays the runtime until the client goes.
pub(crate) async fn runtime<S>(stream: S, way: impl Fn() -> Way)
where
    S: AsyncRead + AsyncWrite + Send + 'static,
{
    let (mut reader, writer) = split(stream);
    let writer = Arc::new(Mutex::new(writer));
    let mut errors: HashMap<String, u32> = HashMap::new();
    let mut open: HashMap<u32, UnboundedSender<Sent>> = HashMap::new();
    while let Some(frame) = next(&mut reader).await {
        match frame {
            Frame::Opened {
                stream,
                ended,
                headers,
            } => {
                let mut reply = vec![0x80, 3, 0, 2, 0, 0, 0, 4];
                reply.extend(stream.to_be_bytes());
                // A ping in between must not be taken for anything else.
                reply.extend([0x80, 3, 0, 6, 0, 0, 0, 4, 0, 0, 0, 9]);
                drop(writer.lock().await.write_all(&reply).await);
                let request = headers["requestid"].clone();
                if headers["streamtype"] == "error" {
                    assert!(ended, "nothing is said on it from the client's side");
                    assert!(errors.insert(request, stream).is_none(), "{headers:?}");
                    continue;
                }
                let (to, bytes) = unbounded_channel();
                open.insert(stream, to);
                let numbers = (errors[&request], stream);
                tokio::spawn(pair(Arc::clone(&writer), numbers, bytes, way()));
            }
            Frame::Data {
                stream,
                ended,
                bytes,
            } => {
                if let Some(to) = open.get(&stream) {
                    drop(to.send(Some(bytes)));
                }
                if ended {
                    open.remove(&stream);
                }
            }
            Frame::Cancelled(stream) => {
                if let Some(to) = open.remove(&stream) {
                    drop(to.send(None));
                }
            }
            Frame::Other => {}
        }
    }
}

async fn pair<S: AsyncWrite>(
    writer: Shared<S>,
    (errors, data): (u32, u32),
    mut bytes: UnboundedReceiver<Sent>,
    way: Way,
) {
    let (mut last, mut cancelled) = (Vec::new(), false);
    match way {
        Way::Nowhere(why) => last = why.as_bytes().to_vec(),
        Way::Server(server) => {
            let (mut from, mut to) = TcpStream::connect(server).await.unwrap().into_split();
            let up = async {
                while let Some(sent) = bytes.recv().await {
                    let Some(bytes) = sent else {
                        cancelled = true;
                        return;
                    };
                    if to.write_all(&bytes).await.is_err() {
                        return;
                    }
                }
                drop(to.shutdown().await);
            };
            let down = async {
                let mut buffer = vec![0; 10_000];
                while let Ok(length @ 1..) = from.read(&mut buffer).await {
                    if !send(&writer, data, 0, &buffer[..length]).await {
                        return;
                    }
                }
            };
            tokio::pin!(up, down);
            tokio::select! {
                () = &mut up => drop(timeout(GRACE, down).await),
                () = &mut down => drop(timeout(GRACE, up).await),
            }
        }
    }
    // The data ends first, and what went wrong is said on the other stream after it.
    if !cancelled {
        send(&writer, data, FIN, b"").await;
    }
    if !last.is_empty() {
        send(&writer, errors, 0, &last).await;
    }
    send(&writer, errors, FIN, b"").await;
}

async fn send<S: AsyncWrite>(writer: &Shared<S>, stream: u32, flags: u8, bytes: &[u8]) -> bool {
    let mut frame = stream.to_be_bytes().to_vec();
    frame.push(flags);
    frame.extend(&(bytes.len() as u32).to_be_bytes()[1..]);
    frame.extend(bytes);
    writer.lock().await.write_all(&frame).await.is_ok()
}

async fn next(reader: &mut (impl AsyncRead + Unpin)) -> Option<Frame> {
    let mut head = [0; 8];
    reader.read_exact(&mut head).await.ok()?;
    let mut body = vec![0; u32::from_be_bytes([0, head[5], head[6], head[7]]) as usize];
    reader.read_exact(&mut body).await.ok()?;
    let ended = head[4] & FIN != 0;
    Some(match head[..4] {
        [0x80, 3, 0, 1] => Frame::Opened {
            stream: u32::from_be_bytes(body[..4].try_into().unwrap()),
            ended,
            headers: headers(&body[10..]),
        },
        [0x80, 3, 0, 3] => Frame::Cancelled(u32::from_be_bytes(body[..4].try_into().unwrap())),
        [0x80, ..] => Frame::Other,
        [a, b, c, d] => Frame::Data {
            stream: u32::from_be_bytes([a, b, c, d]),
            ended,
            bytes: body,
        },
        _ => unreachable!("four bytes"),
    })
}

/// Names and values of a header block that was stored, not compressed.
fn headers(block: &[u8]) -> HashMap<String, String> {
    let block = block.strip_prefix(&[0x78, 0x01]).unwrap_or(block);
    assert_eq!(block[0], 0, "a stored block");
    let length = u16::from_le_bytes([block[1], block[2]]) as usize;
    assert_eq!(block[5 + length..], [0, 0, 0, 0xff, 0xff]);
    let mut left = &block[9..5 + length];
    let mut texts = Vec::new();
    while let Some((length, rest)) = left.split_at_checked(4) {
        let length = u32::from_be_bytes(length.try_into().unwrap()) as usize;
        let (text, rest) = rest.split_at(length);
        texts.push(String::from_utf8(text.to_vec()).unwrap());
        left = rest;
    }
    let pairs = texts.chunks(2);
    pairs
        .map(|pair| (pair[0].clone(), pair[1].clone()))
        .collect()
}
