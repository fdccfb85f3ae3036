//! Reaches pods through the API server: one upgraded request a connection.
//! Must not blame a pod for what the API server does.

use std::time::Duration;

use http::header::{CONNECTION, UPGRADE};
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use hyper_util::rt::TokioIo;
use kube::Client;
use kube::client::Body;
use tokio::time::timeout;

use crate::pool::Endpoint;
use crate::road::{Dial, DialError, Dialing, Link};
use crate::spdy::Session;

/// How long the API server, the kubelet and the runtime together may take.
const OPEN_WITHIN: Duration = Duration::from_secs(5);

/// Port-forward through an API server.
#[derive(Clone)]
pub struct Forward {
    client: Client,
}

impl std::fmt::Debug for Forward {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Forward")
    }
}

impl Forward {
    /// Through this client's API server. The right to create `pods/portforward` is needed.
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    async fn session(&self, to: &Endpoint) -> Result<Session, DialError> {
        let request = Request::post(format!(
            "/api/v1/namespaces/{}/pods/{}/portforward",
            to.namespace, to.pod
        ))
        .header(CONNECTION, "Upgrade")
        .header(UPGRADE, "SPDY/3.1")
        .header("X-Stream-Protocol-Version", "portforward.k8s.io")
        .body(Body::empty())
        .map_err(|error| DialError::Way(error.to_string()))?;
        let sent = self.client.send(request).await;
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
        let session = Session::open(TokioIo::new(upgraded), to.port).await;
        session.map_err(|error| of_pod(to, error.to_string()))
    }
}

impl Dial for Forward {
    fn dial<'a>(&'a self, to: &'a Endpoint) -> Dialing<'a> {
        Box::pin(async move {
            match timeout(OPEN_WITHIN, self.session(to)).await {
                Ok(session) => session.map(|session| Link::Session(Box::new(session))),
                Err(_) => Err(of_pod(to, format!("no answer within {OPEN_WITHIN:?}"))),
            }
        })
    }
}

fn of_pod(to: &Endpoint, why: String) -> DialError {
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
