//! HTTP/1.1 connections: accepted, bounded in number, headers and time, and ended gracefully.
//!
//! It must not know any route; what answers a request is handed in.

use std::io::Write as _;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// A body of an answer: bytes at hand, or whatever a router made.
#[derive(Debug)]
pub(crate) enum AnswerBody {
    Whole(Full<Bytes>),
    Routed(axum::body::Body),
}

impl From<Bytes> for AnswerBody {
    fn from(bytes: Bytes) -> Self {
        Self::Whole(Full::new(bytes))
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        match self.get_mut() {
            Self::Whole(body) => Pin::new(body).poll_frame(cx).map_err(axum::Error::new),
            Self::Routed(body) => Pin::new(body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(body) => body.is_end_stream(),
            Self::Routed(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(body) => body.size_hint(),
            Self::Routed(body) => body.size_hint(),
        }
    }
}

/// How connections are bounded.
#[derive(Debug, Clone)]
pub(crate) struct ConnectionLimits {
    /// Connections at once; more are answered 503 and closed.
    pub max_connections: usize,
    /// Bytes of the request line and the headers together.
    pub max_header_bytes: usize,
    /// Time in which the headers arrive, counted from the first byte.
    pub header_timeout: Duration,
}

/// An open listener with its connections.
#[derive(Debug)]
pub(crate) struct Server {
    listener: TcpListener,
    limits: ConnectionLimits,
    open: Arc<AtomicUsize>,
    connections: TaskTracker,
}

impl Server {
    /// Binds the address; port 0 takes a free one. `open` counts the connections, for whoever shares it.
    pub(crate) fn bind(
        address: SocketAddr,
        limits: ConnectionLimits,
        open: Arc<AtomicUsize>,
    ) -> std::io::Result<Self> {
        let socket = socket2::Socket::new(
            socket2::Domain::for_address(address),
            socket2::Type::STREAM,
            Some(socket2::Protocol::TCP),
        )?;
        // Without it a restart on the same port fails while old connections linger in TIME_WAIT.
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(4096)?;
        Ok(Self {
            listener: TcpListener::from_std(socket.into())?,
            limits,
            open,
            connections: TaskTracker::new(),
        })
    }

    /// Returns the bound address.
    pub(crate) fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `stop`, then lets each connection finish the request it is in. Whoever waits for the
    /// end bounds it in time: dropping the future leaves the connections to the runtime.
    pub(crate) async fn serve<F, Fut>(self, answer: F, stop: CancellationToken)
    where
        F: Fn(Request<Incoming>) -> Fut + Clone + Send + 'static,
        Fut: Future<Output = Response<AnswerBody>> + Send + 'static,
    {
        let mut builder = http1::Builder::new();
        builder
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.header_timeout)
            .max_buf_size(self.limits.max_header_bytes)
            .pipeline_flush(true);
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => break,
                accepted = self.listener.accept() => accepted,
            };
            let Ok((stream, _)) = accepted else {
                // Out of descriptors, mostly: let connections end before the next try.
                tokio::time::sleep(Duration::from_millis(20)).await;
                continue;
            };
            if self.open.fetch_add(1, Ordering::Relaxed) >= self.limits.max_connections {
                self.open.fetch_sub(1, Ordering::Relaxed);
                refuse(stream);
                continue;
            }
            let guard = OpenGuard(Arc::clone(&self.open));
            let (builder, answer, stop) = (builder.clone(), answer.clone(), stop.clone());
            self.connections.spawn(async move {
                connection(&builder, stream, answer, stop).await;
                drop(guard);
            });
        }
        drop(self.listener);
        self.connections.close();
        self.connections.wait().await;
    }
}

struct OpenGuard(Arc<AtomicUsize>);

impl Drop for OpenGuard {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn connection<F, Fut>(
    builder: &http1::Builder,
    stream: TcpStream,
    answer: F,
    stop: CancellationToken,
) where
    F: Fn(Request<Incoming>) -> Fut,
    Fut: Future<Output = Response<AnswerBody>>,
{
    // Answers are one small segment each: waiting for more only adds latency.
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let service = service_fn(move |request| {
        let answering = answer(request);
        async move { Ok::<_, std::convert::Infallible>(answering.await) }
    });
    let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        // A client that vanishes or talks nonsense is its own fault; hyper has answered what it could.
        tracing::debug!(%error, "a connection ended early");
    }
}

/// Tells a client beyond the limit to come back, without giving it a task or a buffer.
fn refuse(stream: TcpStream) {
    const ANSWER: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\n\
        retry-after: 1\r\ncontent-length: 0\r\n\r\n";
    if let Ok(mut stream) = stream.into_std()
        && let Err(error) = stream.write_all(ANSWER)
    {
        tracing::debug!(%error, "a refused client had gone already");
    }
}
