//! A port of this machine that somebody else leads to a Service, such as kind by a port mapping of a node.
//! Must not open anything: whether the Service answers there is all that is asked.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// How long a first byte may take.
const WITHIN: Duration = Duration::from_secs(2);
const QUESTION: &[u8] = b"GET /healthz HTTP/1.0\r\n\r\n";

/// Whether an HTTP server answers behind the port. That it takes connections says nothing: the container engine does so by itself.
pub async fn answers(address: SocketAddr) -> bool {
    let asked = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(QUESTION).await?;
        let mut first = [0; 5];
        stream.read_exact(&mut first).await?;
        Ok::<_, std::io::Error>(&first == b"HTTP/")
    };
    let asked = tokio::time::timeout(WITHIN, asked).await;
    matches!(asked, Ok(Ok(true)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn a_port_that_only_takes_connections_does_not_answer() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let closing = tokio::spawn(async move {
            // As the engine's proxy does where nothing listens behind it.
            drop(listener.accept().await);
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(b"HTTP/1.0 200 OK\r\n\r\n").await.unwrap();
        });
        assert!(!answers(address).await);
        assert!(answers(address).await);
        closing.await.unwrap();
        assert!(!answers(address).await, "nobody listens any more");
    }
}
