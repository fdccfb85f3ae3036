//! What is sent: one request line, headers, and a body with the index and the run filled in.
//!
//! It must not open connections.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use serde_json::{Value, json};

use crate::options::RunId;

/// Which statuses count as `ok`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// Any 2xx or 3xx.
    Success,
    /// This status alone.
    Status(u16),
}

impl Expect {
    pub(crate) fn accepts(self, status: u16) -> bool {
        match self {
            Self::Success => (200..400).contains(&status),
            Self::Status(code) => status == code,
        }
    }
}

/// A task as every request of a run submits it.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskTemplate {
    pub queue: String,
    /// Name of the handler.
    pub kind: String,
    /// `{{index}}` and `{{run}}` inside strings are filled in.
    pub payload: Value,
}

/// A request with its parts checked.
#[derive(Debug, Clone)]
pub struct Target {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) uri: Uri,
    pub(crate) method: Method,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<Piece>,
    pub(crate) expect: Expect,
    pub(crate) url: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece {
    Text(Bytes),
    Index,
}

/// A target that cannot be asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    #[error("`{url}` is not a URL: {reason}")]
    Url { url: String, reason: String },
    #[error("`{url}` is not an http:// URL; the load path speaks plain HTTP only")]
    Scheme { url: String },
    #[error("method `{0}` is not an HTTP method")]
    Method(String),
    #[error("header `{0}` is not NAME: VALUE")]
    Header(String),
}

impl Target {
    /// Any request: `headers` as `NAME: VALUE`, `body` with `{{index}}` and `{{run}}` filled in.
    pub fn http(
        run: &RunId,
        method: &str,
        url: &str,
        headers: &[String],
        body: &str,
    ) -> Result<Self, TargetError> {
        let uri: Uri = url
            .parse()
            .map_err(|e: http::uri::InvalidUri| TargetError::Url {
                url: url.to_owned(),
                reason: e.to_string(),
            })?;
        let missing = || TargetError::Url {
            url: url.to_owned(),
            reason: "no host".to_owned(),
        };
        let host = uri.host().ok_or_else(missing)?;
        if uri.scheme_str() != Some("http") {
            return Err(TargetError::Scheme {
                url: url.to_owned(),
            });
        }
        let authority = uri.authority().map_or(host, |a| a.as_str());
        let mut map = HeaderMap::new();
        let host_value = authority.rsplit_once('@').map_or(authority, |(_, h)| h);
        map.insert(http::header::HOST, header_value(host_value)?);
        for header in headers {
            let (name, value) = parse_header(header)?;
            map.insert(name, value);
        }
        let path = uri
            .path_and_query()
            .map_or("/", http::uri::PathAndQuery::as_str);
        Ok(Self {
            host: host.trim_matches(['[', ']']).to_owned(),
            port: uri.port_u16().unwrap_or(80),
            uri: path.parse().map_err(|_| missing())?,
            method: method
                .parse()
                .map_err(|_| TargetError::Method(method.to_owned()))?,
            headers: map,
            body: pieces(&body.replace("{{run}}", run.as_str())),
            expect: Expect::Success,
            url: url.to_owned(),
        })
    }

    /// Submits one audited task a request to the API at `base_url`; a 202 is a promise.
    pub fn tasks(run: &RunId, base_url: &str, task: &TaskTemplate) -> Result<Self, TargetError> {
        let url = format!("{}/v1/tasks", base_url.trim_end_matches('/'));
        let body = json!({
            "queue": task.queue,
            "type": task.kind,
            "payload": task.payload,
            "audit": format!("{}:{{{{index}}}}", run.as_str()),
        });
        let headers = ["content-type: application/json".to_owned()];
        let target = Self::http(run, "POST", &url, &headers, &body.to_string())?;
        Ok(Self {
            expect: Expect::Status(202),
            ..target
        })
    }

    /// Changes which statuses count as `ok`.
    #[must_use]
    pub fn expecting(self, expect: Expect) -> Self {
        Self { expect, ..self }
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn body_for(&self, index: u64) -> Bytes {
        if let [Piece::Text(text)] = self.body.as_slice() {
            return text.clone();
        }
        let mut body = Vec::with_capacity(self.body.len() * 64);
        for piece in &self.body {
            match piece {
                Piece::Text(text) => body.extend_from_slice(text),
                Piece::Index => push_number(&mut body, index),
            }
        }
        body.into()
    }
}

/// Decimal digits without the formatting machinery: this runs once a request.
fn push_number(out: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

fn pieces(body: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    for (k, text) in body.split("{{index}}").enumerate() {
        if k > 0 {
            pieces.push(Piece::Index);
        }
        if !text.is_empty() {
            pieces.push(Piece::Text(Bytes::copy_from_slice(text.as_bytes())));
        }
    }
    pieces
}

fn header_value(text: &str) -> Result<HeaderValue, TargetError> {
    text.trim()
        .parse()
        .map_err(|_| TargetError::Header(text.to_owned()))
}

fn parse_header(header: &str) -> Result<(HeaderName, HeaderValue), TargetError> {
    let bad = || TargetError::Header(header.to_owned());
    let (name, value) = header.split_once(':').ok_or_else(bad)?;
    Ok((
        name.trim().parse().map_err(|_| bad())?,
        header_value(value).map_err(|_| bad())?,
    ))
}
