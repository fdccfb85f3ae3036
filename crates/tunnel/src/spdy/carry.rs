//! How a client's connection is carried over a pair of streams.
//! Must not give a client's bytes away twice: they are handed back only where the runtime says that it never connected.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf as ClientRead, WriteHalf as ClientWrite};
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::answer::Ended;
use super::frame::{self, FIN, HEAD};
use super::session::{CHUNK, Pair, Reader, Session, Streams, Writer};
use crate::road::Held;

/// What a client sent is kept for another pod up to this size.
const KEPT: usize = 64 * 1024;
/// How long a client may still send into a connection that is over, so that its last answer is not cut by a reset.
const LINGER: Duration = Duration::from_secs(5);
/// How long a runtime may take to end what the client has broken off. It gives the pod a second.
pub(super) const LEFT: Duration = Duration::from_secs(2);

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
            flags: Flags::default(),
        };
        let (mut from, mut to) = client.split();
        let ended = shared.both(&mut reader, &mut from, &mut to, held).await;
        let (properly, left) = match ended {
            Ended::Properly => (true, false),
            Ended::Left => (false, true),
            Ended::Broken => (false, false),
            Ended::Nowhere(why) => {
                let kept = shared.kept.lock().await.take();
                return kept.map_or(Ending::Over, |kept| Ending::Nowhere(kept, why));
            }
        };
        if (properly || left)
            && let Some(writer) = shared.fit().await
        {
            free(Session {
                reader,
                writer,
                pairs,
            });
        }
        if properly {
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

/// What both directions of a connection use.
pub(super) struct Shared {
    pub(super) streams: Streams,
    writer: Mutex<Writer>,
    /// What the client sent so far, until the pod answers or it is too much.
    kept: Mutex<Option<Held>>,
    flags: Flags,
}

#[derive(Default)]
struct Flags {
    /// Our side has ended.
    said: AtomicBool,
    /// The pod has not said a word since the client's last one: nobody knows whether it was read.
    unanswered: AtomicBool,
    /// A frame is being written or read: who stops now leaves half of it.
    torn: AtomicBool,
    /// The client has broken off.
    left: AtomicBool,
}

impl Shared {
    /// The writer, ended on this side, where the session is fit for another connection: no half frame was written, and
    /// nothing lies unread at the runtime, where it would be in the next one's way.
    async fn fit(self) -> Option<Writer> {
        let flags = self.flags;
        let mut writer = self.writer.into_inner();
        if flags.torn.into_inner() || flags.unanswered.into_inner() {
            return None;
        }
        if !flags.said.into_inner() {
            let bye = frame::data_head(self.streams.data, FIN, 0);
            let sent = async {
                writer.write_all(&bye).await?;
                writer.flush().await
            };
            sent.await.ok()?;
        }
        Some(writer)
    }

    /// Both directions, until the pod's side has ended.
    async fn both(
        &self,
        reader: &mut Reader,
        from: &mut ClientRead<'_>,
        to: &mut ClientWrite<'_>,
        held: Held,
    ) -> Ended {
        let (down, up) = (self.down(reader, to), self.up(from, held));
        tokio::pin!(down, up);
        let mut sending = true;
        loop {
            tokio::select! {
                ended = &mut down => return ended,
                sent = &mut up, if sending => {
                    sending = false;
                    // Where the runtime broke off, it says why on its side.
                    if matches!(sent, Err(Broken::Client)) {
                        let rest = async { tokio::join!(down, self.leave()).0 };
                        return timeout(LEFT, rest).await.unwrap_or(Ended::Broken);
                    }
                }
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
        if self.has_left() {
            return Err(Broken::Runtime);
        }
        let flags = if length == 0 { FIN } else { 0 };
        let head = frame::data_head(self.streams.data, flags, length);
        buffer[..HEAD].copy_from_slice(&head);
        let mark = if length == 0 {
            &self.flags.said
        } else {
            &self.flags.unanswered
        };
        mark.store(true, Ordering::Relaxed);
        let sent = self.write(&buffer[..HEAD + length]).await;
        sent.map_err(|_: io::Error| Broken::Runtime)
    }

    pub(super) async fn write(&self, frame: &[u8]) -> io::Result<()> {
        let mut writer = self.writer.lock().await;
        self.tear();
        writer.write_all(frame).await?;
        writer.flush().await?;
        self.flags.torn.store(false, Ordering::Relaxed);
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

    /// The pod has answered: what was kept is its own now.
    pub(super) async fn answered(&self) {
        *self.kept.lock().await = None;
        self.flags.unanswered.store(false, Ordering::Relaxed);
    }

    /// The client has broken off: breaks the stream off, so that the runtime ends it.
    pub(super) async fn leave(&self) {
        self.flags.left.store(true, Ordering::Relaxed);
        self.flags.said.store(true, Ordering::Relaxed);
        if let Err(error) = self.write(&frame::cancel(self.streams.data)).await {
            tracing::debug!(%error, "the end of a broken connection");
        }
    }

    pub(super) fn has_left(&self) -> bool {
        self.flags.left.load(Ordering::Relaxed)
    }

    /// Whatever is under way is left in the middle.
    pub(super) fn tear(&self) {
        self.flags.torn.store(true, Ordering::Relaxed);
    }
}
