//! Asks the API server for a session with the runtime of a pod.
//! Must not blame a pod for what the API server does.

use std::io::Cursor;

use http::header::{CONNECTION, UPGRADE};
use http::{Request, StatusCode, Uri};
use http_body_util::BodyExt as _;
use hyper::upgrade::Upgraded;
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_timeout::TimeoutConnector;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use kube::Client;
use kube::client::Body;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, split};
use tower::Service;

use crate::pool::Endpoint;
use crate::road::DialError;
use crate::spdy::Session;

/// What carries the requests of a [`Client`] that was built in the usual way.
type Usual = <TimeoutConnector<HttpsConnector<HttpConnector>> as Service<Uri>>::Response;

/// Opens a session. The right to create `pods/portforward` is needed.
pub(crate) async fn upgrade(client: &Client, to: &Endpoint) -> Result<Session, DialError> {
    let request = Request::post(format!(
        "/api/v1/namespaces/{}/pods/{}/portforward",
        to.namespace, to.pod
    ))
    .header(CONNECTION, "Upgrade")
    .header(UPGRADE, "SPDY/3.1")
    .header("X-Stream-Protocol-Version", "portforward.k8s.io")
    .body(Body::empty())
    .map_err(|error| DialError::Way(error.to_string()))?;
    let sent = client.send(request).await;
    let response = sent.map_err(|error| DialError::Way(chain(&error)))?;
    let status = response.status();
    if status != StatusCode::SWITCHING_PROTOCOLS {
        let body = response.into_body().collect().await;
        let bytes = body
            .map(http_body_util::Collected::to_bytes)
            .unwrap_or_default();
        return Err(refused(to, status, &bytes));
    }
    let upgraded = hyper::upgrade::on(response).await;
    let upgraded = upgraded.map_err(|error| DialError::Way(chain(&error)))?;
    Ok(prompt(upgraded))
}

/// A session whose small frames leave at once. A client's own connections gather them, which costs 40 ms wherever two
/// frames follow each other.
fn prompt(upgraded: Upgraded) -> Session {
    let parts = match upgraded.downcast::<Usual>() {
        Ok(parts) => parts,
        Err(upgraded) => {
            tracing::debug!("the client's connections are none that can be told to send at once");
            return session(split(TokioIo::new(upgraded)));
        }
    };
    let tcp = match parts.io.get_ref() {
        MaybeHttpsStream::Http(tcp) => tcp.inner(),
        MaybeHttpsStream::Https(tls) => tls.inner().get_ref().0.inner().inner(),
    };
    if let Err(error) = tcp.set_nodelay(true) {
        tracing::debug!(%error, "nodelay");
    }
    let (reader, writer) = split(TokioIo::new(parts.io));
    session((Cursor::new(parts.read_buf).chain(reader), writer))
}

fn session(
    (reader, writer): (
        impl AsyncRead + Send + Unpin + 'static,
        impl AsyncWrite + Send + Unpin + 'static,
    ),
) -> Session {
    Session::new(reader, writer)
}

pub(crate) fn of_pod(to: &Endpoint, why: String) -> DialError {
    DialError::Pod {
        pod: to.pod.clone(),
        why,
    }
}
/// The API server's or the kubelet's answer. What it says of one pod is that pod's; what it says of us or itself is the way's.
fn refused(to: &Endpoint, status: StatusCode, body: &[u8]) -> DialError {
    let words = serde_json::from_slice::<serde_json::Value>(body).ok();
    let words = words.and_then(|it| Some(it.get("message")?.as_str()?.to_owned()));
    let words = words.unwrap_or_else(|| String::from_utf8_lossy(body).trim().to_owned());
    let why = format!("the API server answered {status}: {words}");
    let of_the_way = matches!(
        status,
        StatusCode::UNAUTHORIZED
            | StatusCode::FORBIDDEN
            | StatusCode::TOO_MANY_REQUESTS
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT
    );
    if of_the_way {
        DialError::Way(why)
    } else {
        of_pod(to, why)
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let words = inner.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        source = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt as _;
    use tokio::net::TcpListener;

    /// Their type is none that kube promises: this is what notices another one.
    #[tokio::test]
    async fn a_clients_connections_can_be_told_to_send_at_once() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let switched = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n";
            stream.read_u8().await.unwrap();
            stream.write_all(switched.as_bytes()).await.unwrap();
            std::future::pending::<()>().await;
        });
        let config = kube::Config::new(format!("http://{address}").parse().unwrap());
        let client = Client::try_from(config).unwrap();
        let request = Request::post("/").header(CONNECTION, "Upgrade");
        let request = request.header(UPGRADE, "SPDY/3.1").body(Body::empty());
        let response = client.send(request.unwrap()).await.unwrap();
        let upgraded = hyper::upgrade::on(response).await.unwrap();
        assert!(upgraded.downcast::<Usual>().is_ok());
    }

    #[test]
    fn a_missing_pod_is_the_pods_and_a_missing_right_is_the_ways() {
        let to = Endpoint {
            namespace: "keda".to_owned(),
            pod: "api-1".to_owned(),
            port: 8000,
        };
        let body = br#"{"kind":"Status","message":"pods \"api-1\" not found"}"#;
        assert_eq!(
            refused(&to, StatusCode::NOT_FOUND, body).to_string(),
            "pod api-1: the API server answered 404 Not Found: pods \"api-1\" not found"
        );
        let forbidden = refused(&to, StatusCode::FORBIDDEN, b"no");
        assert_eq!(
            forbidden,
            DialError::Way("the API server answered 403 Forbidden: no".to_owned())
        );
    }
}
