//! Probes, metrics, the `OpenAPI` document and the page that shows it.
//!
//! It must not ask for a token: probes and scrapers have none.

use std::sync::LazyLock;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::{Html, IntoResponse as _, Response};
use http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use kedactl_queue::QueueError;
use tokio::time::{Instant, timeout};

use super::openapi;
use super::state::ApiState;
use crate::metrics::{self, QueueReading};

/// Scrapes that come closer together share one look at Redis.
const READ_EVERY: Duration = Duration::from_secs(1);
/// A scrape must not hang on Redis.
const READ_WITHIN: Duration = Duration::from_millis(800);
/// The page holds its own script and style and talks to its own server only.
const POLICY: &str = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; \
    connect-src 'self'; base-uri 'none'; form-action 'none'";

/// Whether the process lives
///
/// 200 while the control loop turns; a 503 asks for a restart.
#[utoipa::path(get, path = "/healthz", tag = "service",
    responses((status = 200, description = "alive"), (status = 503, description = "restart me")))]
pub(super) async fn healthz(State(state): State<ApiState>) -> Response {
    state.health.alive().into_response()
}

/// Whether to send requests here
///
/// 200 while Redis answers and the service is not stopping.
#[utoipa::path(get, path = "/readyz", tag = "service",
    responses((status = 200, description = "ready"), (status = 503, description = "send nothing now")))]
pub(super) async fn readyz(State(state): State<ApiState>) -> Response {
    state
        .health
        .ready(state.shutdown.is_draining())
        .into_response()
}

/// This document
#[utoipa::path(get, path = "/openapi.json", tag = "service",
    responses((status = 200, description = "OpenAPI 3.1", content_type = "application/json")))]
pub(super) async fn openapi_json() -> Response {
    static DOCUMENT: LazyLock<serde_json::Value> = LazyLock::new(openapi::document);
    Json(&*DOCUMENT).into_response()
}

/// The same as a page
#[utoipa::path(get, path = "/docs", tag = "service",
    responses((status = 200, description = "a page for people", content_type = "text/html")))]
pub(super) async fn docs() -> Response {
    (
        [(CONTENT_SECURITY_POLICY, POLICY)],
        Html(include_str!("docs.html")),
    )
        .into_response()
}

/// Answers `/metrics` on the metrics port.
pub(super) async fn metrics_text(State(state): State<ApiState>) -> Response {
    state.metrics.load(state.active(), &state.open);
    state.scraped.notify_one();
    let mut last = state.queues_read.lock().await;
    if last.is_none_or(|at| at.elapsed() >= READ_EVERY) {
        *last = Some(Instant::now());
        match timeout(READ_WITHIN, readings(&state)).await {
            Ok(Ok(readings)) => state.metrics.queues.set(&readings),
            Ok(Err(error)) => tracing::debug!(%error, "no queue metrics"),
            Err(_) => tracing::debug!("no queue metrics within {READ_WITHIN:?}"),
        }
    }
    drop(last);
    let text = metrics::render(&state.metrics.registry);
    ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response()
}

async fn readings(state: &ApiState) -> Result<Vec<QueueReading>, QueueError> {
    let mut readings = Vec::new();
    let mut queues = state.inspector.queues().await?;
    // It begins with its first task, and what grows must be seen from nothing.
    if !queues.contains(&state.settings.queue) {
        queues.insert(0, state.settings.queue.clone());
    }
    for queue in queues.iter().take(metrics::MAX_QUEUES) {
        let s = state.inspector.stats(queue).await?;
        let total = |name| s.totals.get(name).copied().unwrap_or(0);
        readings.push(QueueReading {
            queue: queue.to_string(),
            waiting: s.waiting,
            running: s.running,
            delayed: s.delayed,
            dead: s.dead,
            paused: s.paused,
            latency_s: s.oldest_ms as f64 / 1000.0,
            processed: total("done") + total("retry") + total("dead"),
            failed: total("retry") + total("dead"),
        });
    }
    Ok(readings)
}
