//! One request, its answer, and another try where that is safe.
//! Must not print bodies anywhere, not even for tracing: they hold Secrets.

use std::time::Duration;

use http::{Request, Response};
use http_body_util::BodyExt as _;
use kube::client::Body;
use kube::core::response::Status;
use serde_json::Value as Json;
use tokio::time::{Instant, sleep, timeout};

use super::ApiError;
use super::error::classify;
use crate::connect::Cluster;

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The object, the list, or a Status.
    pub(crate) body: Json,
    /// `Warning` headers: deprecated versions, Pod Security.
    pub(crate) warnings: Vec<String>,
    /// Seconds since the epoch by the server's clock.
    pub(crate) server_time: Option<i64>,
}

impl Cluster {
    /// Sends a request, and sends it again while the server is away or overloaded, for as long as its patience lasts.
    pub(crate) async fn call(&self, request: Request<Vec<u8>>) -> Result<Answer, ApiError> {
        let deadline = Instant::now() + self.timeouts().patience;
        let mut pause = Duration::from_millis(100);
        loop {
            let error = match self.call_once(request.clone()).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            if !error.is_transient() || Instant::now() + pause >= deadline {
                return Err(error);
            }
            tracing::debug!(uri = %request.uri(), %error, "the request is sent again");
            sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(2));
        }
    }

    /// Sends a request once.
    pub(crate) async fn call_once(&self, request: Request<Vec<u8>>) -> Result<Answer, ApiError> {
        let within = self.timeouts().request;
        let whole = async {
            let response = self.open(request).await?;
            let (parts, body) = response.into_parts();
            let bytes = body
                .collect()
                .await
                .map_err(|error| classify(&error, self.server()))?
                .to_bytes();
            let body = serde_json::from_slice(&bytes)
                .map_err(|_| ApiError::Answer("it is not JSON".into()))?;
            Ok(Answer {
                body,
                warnings: warnings(&parts.headers),
                server_time: date(&parts.headers),
            })
        };
        match timeout(within, whole).await {
            Ok(outcome) => outcome,
            Err(_) => Err(ApiError::TimedOut {
                server: self.server().to_owned(),
                within,
            }),
        }
    }

    /// Sends a request and gives the answer as a stream; a refusal is an error.
    pub(crate) async fn open(&self, request: Request<Vec<u8>>) -> Result<Response<Body>, ApiError> {
        let response = self
            .client()
            .send(request.map(Body::from))
            .await
            .map_err(|error| classify(&error, self.server()))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let code = response.status().as_u16();
        let bytes = response
            .into_body()
            .collect()
            .await
            .map_err(|error| classify(&error, self.server()))?
            .to_bytes();
        Err(ApiError::Status(refusal(code, &bytes).boxed()))
    }
}

/// A refusal is a Status; what stands before the API server answers in plain text.
fn refusal(code: u16, bytes: &[u8]) -> Status {
    match serde_json::from_slice::<Status>(bytes) {
        Ok(status) if status.is_failure() => status.with_code(code),
        _ => {
            let text = String::from_utf8_lossy(bytes);
            let line = text.lines().next().unwrap_or_default();
            Status::failure(line.get(..200).unwrap_or(line), "").with_code(code)
        }
    }
}

/// `299 - "text"` per header.
fn warnings(headers: &http::HeaderMap) -> Vec<String> {
    let all = headers.get_all(http::header::WARNING).iter();
    all.filter_map(|value| value.to_str().ok())
        .map(|value| {
            let quoted = value
                .split_once('"')
                .and_then(|(_, rest)| rest.rsplit_once('"'));
            quoted.map_or(value, |(text, _)| text).replace("\\\"", "\"")
        })
        .collect()
}

fn date(headers: &http::HeaderMap) -> Option<i64> {
    use k8s_openapi::jiff::fmt::rfc2822;
    let text = headers.get(http::header::DATE)?.to_str().ok()?;
    Some(rfc2822::parse(text).ok()?.timestamp().as_second())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_and_dates_are_read_from_headers() {
        let mut headers = http::HeaderMap::new();
        headers.append(
            http::header::WARNING,
            r#"299 - "would violate PodSecurity \"restricted:latest\"""#
                .parse()
                .unwrap(),
        );
        headers.append(
            http::header::DATE,
            "Mon, 23 Nov 2026 23:22:38 GMT".parse().unwrap(),
        );
        assert_eq!(
            warnings(&headers),
            [r#"would violate PodSecurity "restricted:latest""#]
        );
        assert_eq!(date(&headers), Some(1_795_476_158));
    }

    #[test]
    fn a_proxy_in_between_is_quoted_by_its_first_line() {
        let status = refusal(502, b"Bad Gateway\n<html>");
        assert_eq!((status.code, status.message.as_str()), (502, "Bad Gateway"));
        let ours = br#"{"kind":"Status","status":"Failure","message":"no","reason":"Forbidden","code":403}"#;
        assert!(refusal(403, ours).is_forbidden());
    }
}
