//! One connection to a pod's port as a SPDY session, and how a client's connection is carried over it.
//! Must not give a client's bytes away twice: they are handed back only where the runtime says that it never connected.

use std::fmt;
use std::io;
use std::time::Duration;

use tokio::io::{
    AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader, ReadHalf, WriteHalf,
};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf as ClientRead, WriteHalf as ClientWrite};
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::frame::{self, Control, FIN, Frame, HEAD};
use crate::road::{Carried, Held};

const ERRORS: u32 = 1;
const DATA: u32 = 3;
/// One read from a client becomes at most one frame of this size.
const CHUNK: usize = 32 * 1024;
/// What a client sent is kept for another pod up to this size.
const KEPT: usize = 64 * 1024;
/// How much of the runtime's error message is read.
const MESSAGE: usize = 4 * 1024;
/// How long a client may still send into a connection that is over, so that its last answer is not cut by a reset.
const LINGER: Duration = Duration::from_secs(5);

/// A byte stream to the container runtime.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}
type Boxed = Box<dyn Stream>;

/// The two streams of a port-forward, accepted by the runtime.
pub struct Session {
    reader: BufReader<ReadHalf<Boxed>>,
    writer: WriteHalf<Boxed>,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Session")
    }
}

/// What the runtime said instead of connecting.
#[derive(Debug)]
pub(crate) struct Refused(pub(crate) String);

impl Session {
    /// Asks the other side, which has switched to SPDY, for a connection to the pod's port.
    pub async fn open(
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        port: u16,
    ) -> io::Result<Self> {
        let (reader, writer) = tokio::io::split(Box::new(stream) as Boxed);
        let mut session = Self {
            reader: BufReader::with_capacity(CHUNK, reader),
            writer,
        };
        let port = port.to_string();
        let headers = |kind| {
            [
                ("streamtype", kind),
                ("port", port.as_str()),
                ("requestid", "0"),
            ]
        };
        let mut hello = frame::syn_stream(ERRORS, &headers("error"), true);
        hello.extend(frame::syn_stream(DATA, &headers("data"), false));
        session.writer.write_all(&hello).await?;
        session.writer.flush().await?;
        session.accepted().await?;
        // Nothing is ever said on the stream of errors from this side.
        let bye = frame::data_head(ERRORS, FIN, 0);
        session.writer.write_all(&bye).await?;
        session.writer.flush().await?;
        Ok(session)
    }

    async fn accepted(&mut self) -> io::Result<()> {
        let mut open = 0;
        while open < 2 {
            match frame::read(&mut self.reader).await? {
                Some(Frame::Control(Control::Reply { .. })) => open += 1,
                Some(Frame::Control(Control::Ping(id))) => {
                    self.writer.write_all(&frame::ping(id)).await?;
                }
                Some(Frame::Control(Control::Other)) => {}
                Some(other) => return Err(io::Error::other(format!("refused with {other:?}"))),
                None => return Err(io::ErrorKind::UnexpectedEof.into()),
            }
        }
        Ok(())
    }

    /// Whether the pod takes connections: ends our side at once, and waits for the end or a word of the other.
    /// A server that says nothing within the time has at least accepted.
    pub(crate) async fn probe(mut self, within: Duration) -> Result<(), Refused> {
        let ask = async {
            let bye = frame::data_head(DATA, FIN, 0);
            self.writer.write_all(&bye).await?;
            self.writer.flush().await?;
            loop {
                match frame::read(&mut self.reader).await? {
                    Some(Frame::Data { stream, length, .. }) if stream == ERRORS && length > 0 => {
                        let text = message(&mut self.reader, length).await?;
                        return Ok(Err(Refused(text)));
                    }
                    Some(Frame::Data { stream, .. }) if stream == DATA => return Ok(Ok(())),
                    Some(Frame::Data { length, .. }) => skip(&mut self.reader, length).await?,
                    Some(Frame::Control(Control::Reset { .. })) | None => {
                        return Ok(Err(Refused("the connection broke".to_owned())));
                    }
                    Some(Frame::Control(_)) => {}
                }
            }
        };
        match timeout(within, ask).await {
            Ok(Ok(answer)) => answer,
            Ok(Err::<_, io::Error>(error)) => Err(Refused(error.to_string())),
            Err(_) => Ok(()),
        }
    }

    /// Carries a client's connection until both sides have ended.
    pub(crate) async fn carry(self, client: &mut TcpStream, held: Held) -> Carried {
        let Self { mut reader, writer } = self;
        let shared = Shared {
            writer: Mutex::new(writer),
            kept: Mutex::new(Some(held.clone())),
        };
        let (mut from, mut to) = client.split();
        let Some(ended) = shared.both(&mut reader, &mut from, &mut to, held).await else {
            return Carried::Over;
        };
        if let Some(why) = ended.nowhere
            && let Some(kept) = shared.kept.lock().await.take()
        {
            return Carried::Nowhere(kept, why);
        }
        if ended.properly {
            // The pod has ended for good: a runtime takes nothing more then. The client reads its last bytes first.
            drop(to.shutdown().await);
            let mut waste = [0; 1024];
            let linger = async { while from.read(&mut waste).await.is_ok_and(|n| n > 0) {} };
            drop(timeout(LINGER, linger).await);
        }
        Carried::Over
    }
}

/// Which side broke a connection off.
enum Broken {
    Client,
    Runtime,
}

/// How the pod's side ended.
struct Ended {
    /// With the end of its data, not with a failure.
    properly: bool,
    /// It never connected, for this reason.
    nowhere: Option<String>,
}

impl Ended {
    fn with(properly: bool) -> Self {
        Self {
            properly,
            nowhere: None,
        }
    }
}

/// What both directions of a connection use.
struct Shared {
    writer: Mutex<WriteHalf<Boxed>>,
    /// What the client sent so far, until the pod answers or it is too much.
    kept: Mutex<Option<Held>>,
}

impl Shared {
    /// Both directions, until the pod's side has ended; `None` where the client broke off, so that nobody is to be answered.
    async fn both(
        &self,
        reader: &mut BufReader<ReadHalf<Boxed>>,
        from: &mut ClientRead<'_>,
        to: &mut ClientWrite<'_>,
        held: Held,
    ) -> Option<Ended> {
        let (down, up) = (self.down(reader, to), self.up(from, held));
        tokio::pin!(down, up);
        let mut sending = true;
        loop {
            tokio::select! {
                ended = &mut down => return Some(ended),
                sent = &mut up, if sending => match sent {
                    Err(Broken::Client) => return None,
                    // Where the runtime broke off, it says why on its side.
                    Ok(()) | Err(Broken::Runtime) => sending = false,
                },
            }
        }
    }

    async fn up(&self, client: &mut ClientRead<'_>, held: Held) -> Result<(), Broken> {
        for piece in held.bytes.chunks(CHUNK) {
            let mut buffer = vec![0; HEAD];
            buffer.extend(piece);
            self.send(&mut buffer, piece.len()).await?;
        }
        let mut buffer = vec![0; HEAD + CHUNK];
        loop {
            let read = client.read(&mut buffer[HEAD..]).await;
            let length = read.map_err(|_| Broken::Client)?;
            self.keep(&buffer[HEAD..HEAD + length]).await;
            self.send(&mut buffer, length).await?;
            if length == 0 {
                return Ok(());
            }
        }
    }

    /// Sends what lies behind the head's place in the buffer; nothing means the end.
    async fn send(&self, buffer: &mut [u8], length: usize) -> Result<(), Broken> {
        let flags = if length == 0 { FIN } else { 0 };
        buffer[..HEAD].copy_from_slice(&frame::data_head(DATA, flags, length));
        let mut writer = self.writer.lock().await;
        let sent = async {
            writer.write_all(&buffer[..HEAD + length]).await?;
            writer.flush().await
        };
        sent.await.map_err(|_: io::Error| Broken::Runtime)
    }

    async fn keep(&self, bytes: &[u8]) {
        let mut kept = self.kept.lock().await;
        if let Some(held) = &mut *kept {
            held.bytes.extend(bytes);
            if held.bytes.len() > KEPT {
                *kept = None;
            }
        }
    }

    async fn down(
        &self,
        reader: &mut BufReader<ReadHalf<Boxed>>,
        client: &mut ClientWrite<'_>,
    ) -> Ended {
        match self.receive(reader, client).await {
            Ok(ended) => ended,
            Err(error) => {
                tracing::debug!(%error, "session");
                Ended::with(false)
            }
        }
    }

    async fn receive(
        &self,
        reader: &mut BufReader<ReadHalf<Boxed>>,
        client: &mut ClientWrite<'_>,
    ) -> io::Result<Ended> {
        loop {
            match frame::read(reader).await? {
                Some(Frame::Data {
                    stream: DATA,
                    ended,
                    length,
                }) => {
                    if length > 0 {
                        *self.kept.lock().await = None;
                        pass(reader, client, length).await?;
                    }
                    if ended {
                        return Ok(Ended::with(true));
                    }
                }
                Some(Frame::Data { length, .. }) if length > 0 => {
                    let why = message(reader, length).await?;
                    tracing::debug!(why, "the runtime");
                    return Ok(Ended {
                        properly: false,
                        nowhere: never_connected(&why).then_some(why),
                    });
                }
                Some(Frame::Control(Control::Ping(id))) => {
                    let mut writer = self.writer.lock().await;
                    writer.write_all(&frame::ping(id)).await?;
                    writer.flush().await?;
                }
                Some(Frame::Control(Control::Reset { stream: DATA, .. })) | None => {
                    return Ok(Ended::with(false));
                }
                Some(_) => {}
            }
        }
    }
}

/// Whether the runtime's words mean that no byte reached the pod.
fn never_connected(why: &str) -> bool {
    let why = why.to_ascii_lowercase();
    [
        "failed to connect",
        "failed to dial",
        "connection refused",
        "not running",
        "not found",
        "network namespace",
    ]
    .iter()
    .any(|sign| why.contains(sign))
}

async fn pass(
    reader: &mut (impl AsyncRead + Unpin),
    client: &mut ClientWrite<'_>,
    length: usize,
) -> io::Result<()> {
    let mut left = length;
    let mut buffer = vec![0; CHUNK.min(length)];
    while left > 0 {
        let most = left.min(buffer.len());
        let read = reader.read(&mut buffer[..most]).await?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        client.write_all(&buffer[..read]).await?;
        left -= read;
    }
    Ok(())
}

async fn message(reader: &mut (impl AsyncRead + Unpin), length: usize) -> io::Result<String> {
    let mut text = vec![0; length.min(MESSAGE)];
    reader.read_exact(&mut text).await?;
    skip(reader, length - text.len()).await?;
    Ok(String::from_utf8_lossy(&text).trim().to_owned())
}

async fn skip(reader: &mut (impl AsyncRead + Unpin), length: usize) -> io::Result<()> {
    let mut rest = reader.take(length as u64);
    tokio::io::copy(&mut rest, &mut tokio::io::sink()).await?;
    Ok(())
}
