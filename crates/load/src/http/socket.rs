//! A TCP stream that refuses to carry a request when its other side has closed in the meantime.
//!
//! It must not buffer.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use hyper::rt::{Read, ReadBufCursor, Write};
use rustix::net::{RecvFlags, recv};
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};
use tokio::net::TcpStream;

use crate::clock;

/// Bytes read at once; answers of a queue API are far smaller.
const READ: usize = 2 * 1024;
/// A connection that rested longer than this is looked at before a request goes out on it.
const REST_NS: u64 = 1_000_000;

#[derive(Debug)]
pub(super) struct Socket {
    stream: TcpStream,
    written: Arc<AtomicU64>,
    used_ns: u64,
}

impl Socket {
    /// Also gives the count of bytes that the kernel took, which tells whether a failed request had left.
    pub(super) fn new(stream: TcpStream) -> (Self, Arc<AtomicU64>) {
        let written = Arc::new(AtomicU64::new(0));
        (
            Self {
                stream,
                written: Arc::clone(&written),
                used_ns: clock::monotonic_ns(),
            },
            written,
        )
    }

    /// Asks the kernel whether the other side has closed (or said something unasked). Without this, a request could
    /// leave on a connection whose end has arrived and not been noticed.
    fn is_closed(&self) -> bool {
        let mut byte = [0u8; 1];
        let peeked = recv(
            &self.stream,
            &mut byte,
            RecvFlags::PEEK | RecvFlags::DONTWAIT,
        );
        !matches!(
            peeked,
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR)
        )
    }
}

impl Read for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let mut bytes = [0u8; READ];
        let room = buffer.remaining().min(READ);
        let mut read = ReadBuf::new(&mut bytes[..room]);
        ready!(Pin::new(&mut self.stream).poll_read(context, &mut read))?;
        buffer.put_slice(read.filled());
        self.used_ns = clock::monotonic_ns();
        Poll::Ready(Ok(()))
    }
}

impl Write for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let now = clock::monotonic_ns();
        if now - self.used_ns > REST_NS && self.is_closed() {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        }
        let count = ready!(Pin::new(&mut self.stream).poll_write(context, bytes))?;
        self.written.fetch_add(count as u64, Ordering::Relaxed);
        self.used_ns = now;
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
