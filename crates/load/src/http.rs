//! HTTP/1.1 connections of the load path: hyper's protocol on a socket that can be asked whether it still lives.
//!
//! It must not pool, retry or time out: the lane decides.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, Request, Response, Uri, header};
use http_body_util::Full;
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::http1;
use tokio::net::TcpStream;

use crate::sender::{Answer, Connect, ConnectFailed, Exchange, Stamp};
use crate::target::Target;

mod socket;

use socket::Socket;

/// Opens connections to one target.
#[derive(Debug, Clone)]
pub(crate) struct Connector {
    target: Arc<Target>,
}

impl Connector {
    pub(crate) fn new(target: Target) -> Self {
        Self {
            target: Arc::new(target),
        }
    }

    pub(crate) async fn open(&self) -> Result<Connection, String> {
        let stream = TcpStream::connect((self.target.host.as_str(), self.target.port))
            .await
            .map_err(|e| e.to_string())?;
        stream.set_nodelay(true).map_err(|e| e.to_string())?;
        let (socket, written) = Socket::new(stream);
        let (sender, driver) = http1::handshake(socket).await.map_err(|e| e.to_string())?;
        Ok(Connection {
            target: Arc::clone(&self.target),
            written,
            sender,
            driver: Some(Box::pin(driver)),
            last_answer: false,
        })
    }
}

impl Connect for Connector {
    type Connection = Connection;

    async fn connect(&self) -> Result<Connection, ConnectFailed> {
        self.open().await.map_err(|error| {
            tracing::debug!(%error, "no connection");
            ConnectFailed
        })
    }
}

type Driver = Pin<Box<http1::Connection<Socket, Full<Bytes>>>>;

/// One connection; its protocol state machine is polled by whoever uses it, so that no task switch lies in between.
pub(crate) struct Connection {
    target: Arc<Target>,
    written: Arc<AtomicU64>,
    sender: http1::SendRequest<Full<Bytes>>,
    /// `None` once the connection is over.
    driver: Option<Driver>,
    /// The server said that it closes after the last answer.
    last_answer: bool,
}

/// Why there is no answer.
enum Failure {
    NotSent,
    Died,
}

impl Connection {
    /// One request outside of the load path: status and body, at most `limit` bytes.
    pub(crate) async fn fetch(
        &mut self,
        request: Request<Full<Bytes>>,
        limit: usize,
    ) -> Result<(u16, Bytes), String> {
        let response = self.respond(request, || ()).await;
        let response = response.map_err(|_| "the connection was closed".to_owned())?;
        let status = response.status().as_u16();
        let mut body = response.into_body();
        let mut bytes = BytesMut::new();
        while let Some(chunk) = self.chunk(&mut body).await {
            bytes.extend_from_slice(&chunk.map_err(|()| "the answer broke off".to_owned())?);
            if bytes.len() > limit {
                return Err(format!("the answer is larger than {limit} bytes"));
            }
        }
        Ok((status, bytes.freeze()))
    }

    pub(crate) fn is_reusable(&self) -> bool {
        self.driver.is_some() && !self.last_answer
    }

    /// Sends and waits for the head of the answer; `sending` is called right before the first byte goes out.
    async fn respond(
        &mut self,
        request: Request<Full<Bytes>>,
        sending: impl FnOnce(),
    ) -> Result<Response<Incoming>, Failure> {
        if !self.ready().await {
            return Err(Failure::NotSent);
        }
        let before = self.written.load(Ordering::Relaxed);
        let mut answer = std::pin::pin!(self.sender.send_request(request));
        let (driver, mut sending) = (&mut self.driver, Some(sending));
        let answer = std::future::poll_fn(|context| {
            if let Some(sending) = sending.take() {
                sending();
            }
            advance(driver, context);
            answer.as_mut().poll(context)
        });
        match answer.await {
            Ok(response) => {
                self.last_answer = says_close(response.headers());
                Ok(response)
            }
            Err(_) if self.written.load(Ordering::Relaxed) == before => Err(Failure::NotSent),
            Err(_) => Err(Failure::Died),
        }
    }

    async fn ready(&mut self) -> bool {
        let (driver, sender) = (&mut self.driver, &mut self.sender);
        let ready = std::future::poll_fn(|context| {
            advance(driver, context);
            sender.poll_ready(context)
        });
        ready.await.is_ok()
    }

    /// The next piece of an answer's body; `None` at its end.
    async fn chunk(&mut self, body: &mut Incoming) -> Option<Result<Bytes, ()>> {
        let driver = &mut self.driver;
        loop {
            let frame = std::future::poll_fn(|context| {
                advance(driver, context);
                Pin::new(&mut *body).poll_frame(context)
            });
            match frame.await? {
                Ok(frame) => {
                    if let Ok(data) = frame.into_data() {
                        return Some(Ok(data));
                    }
                }
                Err(_) => return Some(Err(())),
            }
        }
    }
}

impl Exchange for Connection {
    async fn exchange(&mut self, index: u64, stamp: &Stamp) -> Answer {
        let target = &self.target;
        let request = request(
            target.method.clone(),
            target.uri.clone(),
            target.headers.clone(),
            target.body_for(index),
        );
        let response = match self.respond(request, || stamp.sent()).await {
            Ok(response) => response,
            Err(Failure::NotSent) => return Answer::NotSent,
            Err(Failure::Died) => return Answer::Reset,
        };
        let status = response.status().as_u16();
        let mut body = response.into_body();
        while !body.is_end_stream() {
            match self.chunk(&mut body).await {
                Some(Ok(_)) => {}
                Some(Err(())) => return Answer::Reset,
                None => break,
            }
        }
        Answer::Status(status)
    }

    async fn closed(&mut self) {
        let driver = &mut self.driver;
        std::future::poll_fn(|context| {
            advance(driver, context);
            if driver.is_none() {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }

    fn reusable(&self) -> bool {
        self.is_reusable()
    }
}

/// Lets the protocol run; forgets it when it is over.
fn advance(driver: &mut Option<Driver>, context: &mut Context<'_>) {
    if driver
        .as_mut()
        .is_some_and(|d| d.as_mut().poll(context).is_ready())
    {
        *driver = None;
    }
}

pub(crate) fn request(
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    *request.headers_mut() = headers;
    request
}

fn says_close(headers: &HeaderMap) -> bool {
    let value = headers
        .get(header::CONNECTION)
        .and_then(|v| v.to_str().ok());
    value.is_some_and(|v| {
        v.split(',')
            .any(|token| token.trim().eq_ignore_ascii_case("close"))
    })
}
