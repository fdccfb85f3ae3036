//! How a client's connection is carried over a pair of streams.
//! Must not give a client's bytes away twice: they are handed back only where the runtime says that it never connected.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf as ClientRead, WriteHalf as ClientWrite};
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::frame::{self, Control, FIN, Frame, HEAD};
use super::session::{CHUNK, Pair, Reader, Session, Streams, Writer, message, skip};
use crate::road::Held;

/// What a client sent is kept for another pod up to this size.
const KEPT: usize = 64 * 1024;
/// How long a runtime may take to say why a connection without an answer has ended.
const WORD: Duration = Duration::from_secs(1);
/// How long a client may still send into a connection that is over, so that its last answer is not cut by a reset.
const LINGER: Duration = Duration::from_secs(5);

/// How a connection over a pair of streams ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Some or all of it reached the other side.
    Over,
    /// The runtime never connected, for this reason.
    Nowhere(Held, String),
}

impl Pair {
    /// Carries a client's connection until both sides have ended. Hands the session over as soon as it is free again,
    /// where it is fit for another connection.
    pub(crate) async fn carry(
        self,
        client: &mut TcpStream,
        held: Held,
        free: impl FnOnce(Session),
    ) -> Ending {
        let Session {
            mut reader,
            writer,
            pairs,
        } = self.session;
        let shared = Shared {
            streams: self.streams,
            writer: Mutex::new(writer),
            kept: Mutex::new(Some(held.clone())),
            said: AtomicBool::new(false),
            unanswered: AtomicBool::new(false),
            torn: AtomicBool::new(false),
        };
        let (mut from, mut to) = client.split();
        let Some(ended) = shared.both(&mut reader, &mut from, &mut to, held).await else {
            return Ending::Over;
        };
        if let Some(why) = ended.nowhere
            && let Some(kept) = shared.kept.lock().await.take()
        {
            return Ending::Nowhere(kept, why);
        }
        if ended.properly {
            if let Some(writer) = shared.fit().await {
                free(Session {
                    reader,
                    writer,
                    pairs,
                });
            }
            // The pod has ended for good: a runtime takes nothing more then. The client reads its last bytes first.
            drop(to.shutdown().await);
            let mut waste = [0; 1024];
            let linger = async { while from.read(&mut waste).await.is_ok_and(|n| n > 0) {} };
            drop(timeout(LINGER, linger).await);
        }
        Ending::Over
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

    fn because(why: String) -> Self {
        tracing::debug!(why, "the runtime");
        Self {
            properly: false,
            nowhere: never_connected(&why).then_some(why),
        }
    }
}

/// What both directions of a connection use.
struct Shared {
    streams: Streams,
    writer: Mutex<Writer>,
    /// What the client sent so far, until the pod answers or it is too much.
    kept: Mutex<Option<Held>>,
    /// Our side has ended.
    said: AtomicBool,
    /// The pod has not said a word since the client's last one: nobody knows whether it was read.
    unanswered: AtomicBool,
    /// A frame is being written or read: who stops now leaves half of it.
    torn: AtomicBool,
}

impl Shared {
    /// The writer, ended on this side, where the session is fit for another connection: no half frame was written, and
    /// nothing lies unread at the runtime, where it would be in the next one's way.
    async fn fit(self) -> Option<Writer> {
        let unfit = self.torn.into_inner() || self.unanswered.into_inner();
        let mut writer = self.writer.into_inner();
        if unfit {
            return None;
        }
        if !self.said.into_inner() {
            let bye = frame::data_head(self.streams.data, FIN, 0);
            let sent = async {
                writer.write_all(&bye).await?;
                writer.flush().await
            };
            sent.await.ok()?;
        }
        Some(writer)
    }

    /// Both directions, until the pod's side has ended; `None` where the client broke off, so that nobody is to be answered.
    async fn both(
        &self,
        reader: &mut Reader,
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
        let head = frame::data_head(self.streams.data, flags, length);
        buffer[..HEAD].copy_from_slice(&head);
        if length == 0 {
            self.said.store(true, Ordering::Relaxed);
        } else {
            self.unanswered.store(true, Ordering::Relaxed);
        }
        let sent = self.write(&buffer[..HEAD + length]).await;
        sent.map_err(|_: io::Error| Broken::Runtime)
    }

    async fn write(&self, frame: &[u8]) -> io::Result<()> {
        let mut writer = self.writer.lock().await;
        self.torn.store(true, Ordering::Relaxed);
        writer.write_all(frame).await?;
        writer.flush().await?;
        self.torn.store(false, Ordering::Relaxed);
        Ok(())
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

    async fn down(&self, reader: &mut Reader, client: &mut ClientWrite<'_>) -> Ended {
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
        reader: &mut Reader,
        client: &mut ClientWrite<'_>,
    ) -> io::Result<Ended> {
        let Streams { errors, data } = self.streams;
        // Nothing more is to be learnt from the stream of errors: it has ended, or the pod has answered.
        let mut settled = false;
        loop {
            match frame::read(reader).await? {
                Some(Frame::Data {
                    stream,
                    ended,
                    length,
                }) if stream == data => {
                    if length > 0 {
                        *self.kept.lock().await = None;
                        self.unanswered.store(false, Ordering::Relaxed);
                        settled = true;
                        pass(reader, client, length).await?;
                    }
                    if ended && settled {
                        return Ok(Ended::with(true));
                    }
                    if ended {
                        return self.last_word(reader).await;
                    }
                }
                Some(Frame::Data { stream, length, .. }) if stream == errors && length > 0 => {
                    return Ok(Ended::because(message(reader, length).await?));
                }
                Some(Frame::Data { stream, .. }) if stream == errors => settled = true,
                // What an earlier pair left.
                Some(Frame::Data { length, .. }) => skip(reader, length).await?,
                Some(Frame::Control(Control::Ping(id))) => self.write(&frame::ping(id)).await?,
                Some(Frame::Control(Control::Reset { stream, .. })) if stream != data => {}
                Some(Frame::Control(Control::Reset { .. })) | None => {
                    return Ok(Ended::with(false));
                }
                Some(Frame::Control(_)) => {}
            }
        }
    }

    /// The end of a connection on which the pod said nothing: a runtime that did not connect ends the data first, and
    /// then says why on the other stream, or ends that one too.
    async fn last_word(&self, reader: &mut Reader) -> io::Result<Ended> {
        let errors = self.streams.errors;
        let listen = async {
            loop {
                match frame::read(reader).await? {
                    Some(Frame::Data { stream, length, .. }) if stream == errors && length > 0 => {
                        return Ok(Ended::because(message(reader, length).await?));
                    }
                    Some(Frame::Data { stream, length, .. }) => {
                        skip(reader, length).await?;
                        if stream == errors {
                            return Ok(Ended::with(true));
                        }
                    }
                    Some(Frame::Control(Control::Ping(id))) => self.write(&frame::ping(id)).await?,
                    Some(Frame::Control(Control::Reset { stream, .. })) if stream == errors => {
                        return Ok(Ended::with(true));
                    }
                    Some(Frame::Control(_)) => {}
                    None => return Ok(Ended::with(false)),
                }
            }
        };
        timeout(WORD, listen).await.unwrap_or_else(|_| {
            self.torn.store(true, Ordering::Relaxed);
            Ok(Ended::with(true))
        })
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
