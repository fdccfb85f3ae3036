//! Alertmanager's own way in, as Prometheus uses it.
//!
//! It must not know what an alert means.

use crate::error::{Code, Error};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use kedactl_tunnel::PodPorts;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long one post may take.
const WITHIN: Duration = Duration::from_secs(10);
/// Of a refusal that is shown.
const SHOWN: usize = 300;

/// An Alertmanager within reach.
#[derive(Debug)]
pub(crate) struct Alertmanager {
    address: String,
    /// The way to it, where it is in a cluster.
    _ports: Option<PodPorts>,
}

impl Alertmanager {
    pub(super) fn here(address: String) -> Self {
        Self {
            address,
            _ports: None,
        }
    }

    pub(super) fn through((address, ports): (String, PodPorts)) -> Self {
        Self {
            address,
            _ports: Some(ports),
        }
    }

    /// Hands alerts over, as `POST /api/v2/alerts` takes them.
    pub(crate) async fn post(&self, alerts: &serde_json::Value) -> Result<(), Error> {
        let failed = |what: String| {
            let message = format!("Alertmanager at {} {what}", self.address);
            Error::new(Code::NoAlertmanager, message)
        };
        match timeout(WITHIN, self.asked(alerts)).await {
            Err(_) => Err(failed(format!("did not answer within {WITHIN:?}"))),
            Ok(Err(error)) => Err(failed(format!("cannot be reached: {error}"))),
            Ok(Ok((200, _))) => Ok(()),
            Ok(Ok((status, text))) => {
                let words: String = text.chars().take(SHOWN).collect();
                Err(failed(format!("answered {status}: {words}")))
            }
        }
    }

    async fn asked(
        &self,
        alerts: &serde_json::Value,
    ) -> Result<(u16, String), Box<dyn std::error::Error + Send + Sync>> {
        let stream = TcpStream::connect(&self.address).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let request = http::Request::post("/api/v2/alerts")
            .header("host", &self.address)
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(alerts.to_string())))?;
        // It ends with the sender, whose drop is the end of this call.
        tokio::spawn(connection);
        let response = sender.send_request(request).await?;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await?.to_bytes();
        Ok((status, String::from_utf8_lossy(&body).into_owned()))
    }
}
