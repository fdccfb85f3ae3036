//! Audit records over the API: one connection, made anew whenever it fails.
//!
//! It must not retry; the follower decides when to ask again.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Uri};

use super::{AuditPage, AuditSource};
use crate::http::{Connection, Connector};
use crate::options::{AuditOptions, RunId};
use crate::target::{Target, TargetError};

/// Longest wait for one page.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Larger pages are refused.
const MAX_PAGE_BYTES: usize = 16 << 20;

/// Reads `GET {base}/v1/queues/{queue}/audit/{run}`.
pub(crate) struct HttpAudit {
    connector: Connector,
    headers: HeaderMap,
    path: String,
    connection: Option<Connection>,
}

impl HttpAudit {
    pub(crate) fn new(options: &AuditOptions, run: &RunId) -> Result<Self, TargetError> {
        let base = options.base_url.trim_end_matches('/');
        let url = format!("{base}/v1/queues/{}/audit/{}", options.queue, run.as_str());
        let target = Target::http(run, "GET", &url, &[], "")?;
        Ok(Self {
            path: target.uri.path().to_owned(),
            headers: target.headers.clone(),
            connector: Connector::new(target),
            connection: None,
        })
    }

    async fn fetch(&mut self, uri: Uri) -> Result<Bytes, String> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self
                .connector
                .open()
                .await
                .map_err(|e| format!("no connection: {e}"))?,
        };
        let request = crate::http::request(Method::GET, uri, self.headers.clone(), Bytes::new());
        let (status, body) = connection.fetch(request, MAX_PAGE_BYTES).await?;
        self.connection = connection.is_reusable().then_some(connection);
        if status == 200 {
            Ok(body)
        } else {
            Err(format!("status {status}"))
        }
    }
}

impl AuditSource for HttpAudit {
    async fn page(&mut self, after: &str, limit: usize) -> Result<AuditPage, String> {
        let after_part = if after.is_empty() {
            String::new()
        } else {
            format!("&after={after}")
        };
        let uri = format!("{}?limit={limit}{after_part}", self.path);
        let uri = uri.parse().map_err(|e| format!("cursor `{after}`: {e}"))?;
        let body = tokio::time::timeout(TIMEOUT, self.fetch(uri))
            .await
            .map_err(|_| format!("no page within {TIMEOUT:?}"))??;
        serde_json::from_slice(&body).map_err(|e| format!("not a page of records: {e}"))
    }
}
