//! `http`: calls a URL that the operator allows.
//!
//! It must not follow redirects: the list of allowed targets would mean nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Client, Method, Response, Url, redirect};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::super::{Context, Failure, WorkerBuilder};
use crate::settings::HandlerSettings;
use crate::trace::{TRACEPARENT, TRACESTATE};

/// How much of an answer is kept.
const MAX_ANSWER: usize = 64 * 1024;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Call {
    url: String,
    #[serde(default)]
    method: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// Sent as JSON.
    #[serde(default)]
    body: Option<Value>,
}

#[derive(Debug, Serialize)]
struct Answer {
    status: u16,
    /// At most 64 KiB.
    body: String,
}

/// Registers `http`; without a list of targets each call is refused, with the cure.
pub(super) fn register(builder: WorkerBuilder, reach: &HandlerSettings) -> WorkerBuilder {
    let allowed: Arc<[Url]> = reach
        .http_allow
        .iter()
        .filter_map(|prefix| Url::parse(prefix).ok())
        .collect();
    // An error means that somebody has installed a provider before, which is as good.
    drop(rustls::crypto::ring::default_provider().install_default());
    let client = Client::builder()
        .redirect(redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .user_agent("kedactl-worker")
        .build();
    builder.handle("http", move |call: Call, task: Context| {
        let (allowed, client) = (Arc::clone(&allowed), client.as_ref().ok().cloned());
        async move {
            let client = client.ok_or_else(|| Failure::dead("no TLS on this machine"))?;
            run(&client, &allowed, call, &task).await
        }
    })
}

async fn run(
    client: &Client,
    allowed: &[Url],
    call: Call,
    task: &Context,
) -> Result<Answer, Failure> {
    let url = Url::parse(&call.url).map_err(|e| Failure::dead(format!("`url`: {e}")))?;
    if !allowed.iter().any(|prefix| within(prefix, &url)) {
        return Err(Failure::dead(format!(
            "`{}` is not allowed here; the operator sets `--http-allow`",
            url.origin().ascii_serialization()
        )));
    }
    let name = call.method.as_deref().unwrap_or("POST");
    let method = Method::from_bytes(name.as_bytes())
        .map_err(|_| Failure::dead(format!("`method`: `{name}` is none")))?;
    let mut request = client.request(method, url);
    for (name, value) in &call.headers {
        request = request.header(name, value);
    }
    let own = |name: &str| call.headers.keys().any(|it| it.eq_ignore_ascii_case(name));
    if let Some(parent) = task.traceparent().filter(|_| !own(TRACEPARENT)) {
        request = request.header(TRACEPARENT, parent);
        if let Some(state) = task.tracestate() {
            request = request.header(TRACESTATE, state);
        }
    }
    if let Some(body) = &call.body {
        request = request
            .header(CONTENT_TYPE, "application/json")
            .body(body.to_string());
    }
    judge(request.send().await?).await
}

/// 2xx is done; 408, 425, 429 and 5xx are tried again; the rest would stay as it is.
async fn judge(mut response: Response) -> Result<Answer, Failure> {
    let status = response.status();
    let pause = response
        .headers()
        .get(RETRY_AFTER)
        .and_then(|v| v.to_str().ok()?.parse().ok());
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        let room = MAX_ANSWER - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if body.len() == MAX_ANSWER {
            break;
        }
    }
    let body = String::from_utf8_lossy(&body).into_owned();
    if status.is_success() {
        return Ok(Answer {
            status: status.as_u16(),
            body,
        });
    }
    let message = format!("{status}: {}", body.chars().take(500).collect::<String>());
    let again = status.is_server_error() || matches!(status.as_u16(), 408 | 425 | 429);
    Err(match (again, pause) {
        (false, _) => Failure::dead(message),
        (true, Some(seconds)) => Failure::retry_after(Duration::from_secs(seconds), message),
        (true, None) => Failure::retry(message),
    })
}

/// Both have been parsed, so `..` and percent signs cannot leave the prefix.
fn within(prefix: &Url, url: &Url) -> bool {
    prefix.origin() == url.origin()
        && url.username().is_empty()
        && url.password().is_none()
        && (url.path() == prefix.path()
            || (url.path().starts_with(prefix.path())
                && (prefix.path().ends_with('/')
                    || url.path()[prefix.path().len()..].starts_with('/'))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_at_a_slash() {
        let prefix = Url::parse("https://a.example/hooks").unwrap();
        let ok = |u| within(&prefix, &Url::parse(u).unwrap());
        assert!(ok("https://a.example/hooks"));
        assert!(ok("https://a.example/hooks/1?x=1"));
        assert!(!ok("https://a.example/hooksen"));
        assert!(!ok("https://a.example/hooks/../admin"));
        assert!(!ok("https://a.example/hooks/%2e%2e/admin"));
        assert!(!ok("https://a.example.evil/hooks/1"));
        assert!(!ok("http://a.example/hooks/1"));
        assert!(!ok("https://u@a.example/hooks/1"));
        assert!(!ok("https://a.example:8443/hooks/1"));
    }
}
