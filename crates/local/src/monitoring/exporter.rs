//! The port on which Prometheus asks the supervisor.
//! Must not serve anything else, nor keep a connection.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};

use super::text;
use crate::context::Context;

/// Longest head of a request, and how long it may take.
const HEAD: u64 = 8192;
const WITHIN: Duration = Duration::from_secs(5);
/// After an error that more time may mend: too many open files, a port that an ended process held.
const PAUSE: Duration = Duration::from_millis(200);

/// Answers for ever.
pub(crate) async fn serve(context: Arc<Context>) {
    let port = context.identity.exporter;
    let listener = loop {
        match TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await {
            Ok(listener) => break listener,
            Err(error) => {
                tracing::warn!(%error, port, "the metrics of the supervisor");
                sleep(PAUSE).await;
            }
        }
    };
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let context = Arc::clone(&context);
                tokio::spawn(async move {
                    let answered = timeout(WITHIN, answer(stream, &context)).await;
                    if let Ok(Err(error)) = answered {
                        tracing::debug!(%error, "metrics");
                    }
                });
            }
            Err(error) => {
                tracing::warn!(%error, "metrics");
                sleep(PAUSE).await;
            }
        }
    }
}

async fn answer(stream: TcpStream, context: &Context) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.take(HEAD));
    let mut first = String::new();
    reader.read_line(&mut first).await?;
    let mut line = String::new();
    // To the end of the head: a connection that is closed over unread bytes is reset.
    while reader.read_line(&mut line).await? > 2 {
        line.clear();
    }
    let (status, body) = if first.starts_with("GET /metrics ") {
        let namespace = &context.config.namespace;
        (
            "200 OK",
            context.board.read(|state| text::of(state, namespace)),
        )
    } else {
        ("404 Not Found", "only /metrics\n".to_owned())
    };
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: text/plain; version=0.0.4; charset=utf-8\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    let mut stream = reader.into_inner().into_inner();
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    stream.shutdown().await
}
