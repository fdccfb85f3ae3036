//! An upgraded connection to a pod's runtime, and the pair of streams that is open on it.
//! Must not take what an earlier pair left behind for an answer to the present one.

use std::fmt;
use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::time::timeout;

use super::frame::{self, Control, FIN, Frame};

/// How much is read at once, and the largest frame that is written.
pub(super) const CHUNK: usize = 32 * 1024;
/// How much of the runtime's error message is read.
const MESSAGE: usize = 4 * 1024;

pub(super) type Reader = BufReader<Box<dyn AsyncRead + Send + Unpin>>;
pub(super) type Writer = Box<dyn AsyncWrite + Send + Unpin>;

/// A connection that speaks SPDY and has no pair of streams open.
pub(crate) struct Session {
    pub(super) reader: Reader,
    pub(super) writer: Writer,
    /// Pairs that were opened so far.
    pub(super) pairs: u32,
}

/// Two streams to one port of the pod, accepted by the runtime: one for data, one for its errors.
pub(crate) struct Pair {
    pub(super) session: Session,
    pub(super) streams: Streams,
}

/// The numbers of a pair's streams.
#[derive(Debug, Clone, Copy)]
pub(super) struct Streams {
    pub(super) errors: u32,
    pub(super) data: u32,
}

impl fmt::Debug for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pair").field(&self.streams).finish()
    }
}

/// What a probe found out.
pub(crate) enum Probed {
    /// The pod takes connections. The session can be used again where the pair has ended.
    Takes(Option<Session>),
    /// What the runtime said instead of connecting.
    Refused(String),
}

impl Session {
    /// A connection whose other side has just switched to SPDY.
    pub(crate) fn new(
        reader: impl AsyncRead + Send + Unpin + 'static,
        writer: impl AsyncWrite + Send + Unpin + 'static,
    ) -> Self {
        Self {
            reader: BufReader::with_capacity(CHUNK, Box::new(reader)),
            writer: Box::new(writer),
            pairs: 0,
        }
    }

    /// Asks for a connection to the pod's port.
    pub(crate) async fn open(mut self, port: u16) -> io::Result<Pair> {
        let (request, first) = (self.pairs, self.pairs == 0);
        let streams = Streams {
            errors: 4 * request + 1,
            data: 4 * request + 3,
        };
        self.pairs += 1;
        let (port, request) = (port.to_string(), request.to_string());
        let headers = |kind| {
            [
                ("streamtype", kind),
                ("port", port.as_str()),
                ("requestid", request.as_str()),
            ]
        };
        // Nothing is ever said on the stream of errors from this side.
        let mut hello = frame::syn_stream(streams.errors, FIN, &headers("error"), first);
        hello.extend(frame::syn_stream(streams.data, 0, &headers("data"), false));
        self.writer.write_all(&hello).await?;
        self.writer.flush().await?;
        self.accepted(streams).await?;
        Ok(Pair {
            session: self,
            streams,
        })
    }

    async fn accepted(&mut self, streams: Streams) -> io::Result<()> {
        let mut open = 0;
        while open < 2 {
            match frame::read(&mut self.reader).await? {
                Some(Frame::Control(Control::Reply { stream, .. })) => {
                    open += usize::from(streams.have(stream));
                }
                Some(Frame::Control(Control::Ping(id))) => {
                    self.writer.write_all(&frame::ping(id)).await?;
                    self.writer.flush().await?;
                }
                Some(Frame::Control(Control::Other)) => {}
                Some(Frame::Control(Control::Reset { stream, .. })) if !streams.have(stream) => {}
                Some(Frame::Data { stream, length, .. }) if !streams.have(stream) => {
                    skip(&mut self.reader, length).await?;
                }
                Some(other) => return Err(io::Error::other(format!("refused with {other:?}"))),
                None => return Err(io::ErrorKind::UnexpectedEof.into()),
            }
        }
        Ok(())
    }
}

impl Streams {
    fn have(self, stream: u32) -> bool {
        stream == self.errors || stream == self.data
    }
}

impl Pair {
    /// Whether the pod takes connections: ends our side at once, and waits for the end or a word of the other.
    /// A server that says nothing within the time has at least accepted.
    pub(crate) async fn probe(self, within: Duration) -> Probed {
        match timeout(within, self.asked()).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => Probed::Refused(error.to_string()),
            Err(_) => Probed::Takes(None),
        }
    }

    async fn asked(self) -> io::Result<Probed> {
        let (mut session, Streams { errors, data }) = (self.session, self.streams);
        let bye = frame::data_head(data, FIN, 0);
        session.writer.write_all(&bye).await?;
        session.writer.flush().await?;
        // A runtime that did not connect ends the data before it says so.
        let (mut data_ended, mut errors_ended) = (false, false);
        while !(data_ended && errors_ended) {
            match frame::read(&mut session.reader).await? {
                Some(Frame::Data { stream, length, .. }) if stream == errors && length > 0 => {
                    let text = message(&mut session.reader, length).await?;
                    return Ok(Probed::Refused(text));
                }
                Some(Frame::Data { stream, length, .. }) if stream == data && length > 0 => {
                    return Ok(Probed::Takes(None));
                }
                Some(Frame::Data {
                    stream,
                    ended,
                    length,
                }) => {
                    skip(&mut session.reader, length).await?;
                    data_ended |= ended && stream == data;
                    errors_ended |= ended && stream == errors;
                }
                Some(Frame::Control(Control::Reset { stream, .. })) if stream != data => {
                    errors_ended |= stream == errors;
                }
                Some(Frame::Control(Control::Reset { .. })) | None => {
                    return Ok(Probed::Refused("the connection broke".to_owned()));
                }
                Some(Frame::Control(Control::Ping(id))) => {
                    session.writer.write_all(&frame::ping(id)).await?;
                    session.writer.flush().await?;
                }
                Some(Frame::Control(_)) => {}
            }
        }
        Ok(Probed::Takes(Some(session)))
    }
}

pub(super) async fn message(
    reader: &mut (impl AsyncRead + Unpin),
    length: usize,
) -> io::Result<String> {
    let mut text = vec![0; length.min(MESSAGE)];
    reader.read_exact(&mut text).await?;
    skip(reader, length - text.len()).await?;
    Ok(String::from_utf8_lossy(&text).trim().to_owned())
}

pub(super) async fn skip(reader: &mut (impl AsyncRead + Unpin), length: usize) -> io::Result<()> {
    let mut rest = reader.take(length as u64);
    tokio::io::copy(&mut rest, &mut tokio::io::sink()).await?;
    Ok(())
}
