//! What comes from the runtime over a pair of streams: the pod's bytes, and how they end.
//! Must not take the end of the data for the whole truth: what went wrong is said on the other stream, and later.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::WriteHalf as ClientWrite;
use tokio::time::timeout;

use super::carry::{LEFT, Shared};
use super::frame::{self, Control, Frame};
use super::session::{CHUNK, Reader, Streams, message, skip};

/// How long a runtime may take to say why a connection without an answer has ended.
const WORD: Duration = Duration::from_secs(1);
/// How much of what a client does not want any more is read, so that the session can be used again.
const UNWANTED: usize = 1 << 20;

/// How the pod's side of a connection ended.
pub(super) enum Ended {
    /// With the end of its data.
    Properly,
    /// In the middle.
    Broken,
    /// It never connected, for this reason.
    Nowhere(String),
    /// The client had broken off, and nothing of it is left in the session.
    Left,
}

impl Ended {
    fn because(why: String) -> Self {
        tracing::debug!(why, "the runtime");
        if never_connected(&why) {
            Self::Nowhere(why)
        } else {
            Self::Broken
        }
    }
}

impl Shared {
    /// Passes on what the pod sends, until its end.
    pub(super) async fn down(&self, reader: &mut Reader, client: &mut ClientWrite<'_>) -> Ended {
        match self.receive(reader, client).await {
            Ok(ended) => ended,
            Err(error) => {
                tracing::debug!(%error, "session");
                Ended::Broken
            }
        }
    }

    async fn receive(
        &self,
        reader: &mut Reader,
        client: &mut ClientWrite<'_>,
    ) -> io::Result<Ended> {
        let Streams { errors, data } = self.streams;
        let (mut answered, mut errors_ended) = (false, false);
        loop {
            match frame::read(reader).await? {
                Some(Frame::Data {
                    stream,
                    ended,
                    length,
                }) if stream == data => {
                    if length > 0 {
                        answered = true;
                        self.answered().await;
                        if !pass(reader, client, length).await? {
                            return self.unwanted(reader, ended || errors_ended).await;
                        }
                    }
                    if ended && (answered || errors_ended) {
                        return Ok(Ended::Properly);
                    }
                    if ended {
                        return self.last_word(reader).await;
                    }
                }
                Some(Frame::Data { stream, length, .. }) if stream == errors && length > 0 => {
                    let why = message(reader, length).await?;
                    return Ok(if self.has_left() {
                        Ended::Left
                    } else {
                        Ended::because(why)
                    });
                }
                Some(Frame::Data { stream, .. }) if stream == errors && self.has_left() => {
                    return Ok(Ended::Left);
                }
                Some(Frame::Data { stream, .. }) if stream == errors => errors_ended = true,
                // What an earlier pair left.
                Some(Frame::Data { length, .. }) => skip(reader, length).await?,
                Some(Frame::Control(Control::Ping(id))) => self.write(&frame::ping(id)).await?,
                Some(Frame::Control(Control::Reset { stream, .. })) if stream != data => {}
                Some(Frame::Control(Control::Reset { .. })) | None => return Ok(Ended::Broken),
                Some(Frame::Control(_)) => {}
            }
        }
    }

    /// The end of a connection on which the pod said nothing: a runtime that did not connect ends the data first, and
    /// then says why on the other stream, or ends that one too.
    async fn last_word(&self, reader: &mut Reader) -> io::Result<Ended> {
        match timeout(WORD, self.settled(reader)).await {
            Ok(Ok(Some(why))) => Ok(Ended::because(why)),
            Ok(Ok(None)) => Ok(Ended::Properly),
            Ok(Err(error)) => Err(error),
            Err(_) => {
                self.tear();
                Ok(Ended::Properly)
            }
        }
    }

    /// The client takes no more of what the pod sends: the runtime is told, and what is under way is read away.
    async fn unwanted(&self, reader: &mut Reader, over: bool) -> io::Result<Ended> {
        if !self.has_left() {
            self.leave().await;
        }
        if over {
            return Ok(Ended::Left);
        }
        let settled = timeout(LEFT, self.settled(reader)).await;
        settled.map_or(Ok(Ended::Broken), |read| read.map(|_| Ended::Left))
    }

    /// Reads to the end of the stream of errors: what is said there, or nothing. Data are not wanted any more.
    async fn settled(&self, reader: &mut Reader) -> io::Result<Option<String>> {
        let errors = self.streams.errors;
        let mut unwanted = 0;
        while unwanted <= UNWANTED {
            match frame::read(reader).await? {
                Some(Frame::Data { stream, length, .. }) if stream == errors && length > 0 => {
                    return message(reader, length).await.map(Some);
                }
                Some(Frame::Data { stream, .. }) if stream == errors => return Ok(None),
                Some(Frame::Data { length, .. }) => {
                    unwanted += length;
                    skip(reader, length).await?;
                }
                Some(Frame::Control(Control::Ping(id))) => self.write(&frame::ping(id)).await?,
                Some(Frame::Control(Control::Reset { stream, .. })) if stream == errors => {
                    return Ok(None);
                }
                Some(Frame::Control(_)) => {}
                None => return Err(io::ErrorKind::UnexpectedEof.into()),
            }
        }
        Err(io::Error::other("too much is under way"))
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

/// Passes on the payload of a frame; says whether the client took it. What it does not take is read all the same.
async fn pass(
    reader: &mut (impl AsyncRead + Unpin),
    client: &mut ClientWrite<'_>,
    length: usize,
) -> io::Result<bool> {
    let mut left = length;
    let mut buffer = vec![0; CHUNK.min(length)];
    let mut taken = true;
    while left > 0 {
        let most = left.min(buffer.len());
        let read = reader.read(&mut buffer[..most]).await?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        taken = taken && client.write_all(&buffer[..read]).await.is_ok();
        left -= read;
    }
    Ok(taken)
}
