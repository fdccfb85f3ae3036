//! The worker's port: `/metrics`, `/healthz`, `/readyz`.
//!
//! It must not ask Redis.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use http::header::CONTENT_TYPE;
use tokio_util::sync::CancellationToken;

use super::builder::WorkerError;
use super::metrics::WorkerMetrics;
use crate::api::routed;
use crate::health::Health;
use crate::metrics;
use crate::serve::{ConnectionLimits, Server};
use crate::shutdown::Shutdown;

/// What the pages show.
#[derive(Debug, Clone)]
pub(crate) struct Pages {
    pub(crate) metrics: Arc<WorkerMetrics>,
    pub(crate) health: Arc<Health>,
    pub(crate) shutdown: Shutdown,
}

/// Binds the port and serves it in the background.
pub(crate) fn serve(
    address: SocketAddr,
    pages: Pages,
    stop: CancellationToken,
) -> Result<(), WorkerError> {
    let limits = ConnectionLimits {
        max_connections: 256,
        max_header_bytes: 16 * 1024,
        header_timeout: Duration::from_secs(10),
    };
    let server =
        Server::bind(address, limits, Arc::default()).map_err(|source| WorkerError::Start {
            what: format!("listen on {address}"),
            source,
        })?;
    let bound = server.address().unwrap_or(address);
    tracing::info!(metrics_at = %bound, "the worker listens");
    let router = Router::new()
        .route("/metrics", get(metrics_text))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .with_state(pages);
    tokio::spawn(routed(server, router, stop));
    Ok(())
}

async fn metrics_text(State(pages): State<Pages>) -> Response {
    let text = metrics::render(&pages.metrics.registry);
    ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response()
}

async fn healthz(State(pages): State<Pages>) -> Response {
    pages.health.alive().into_response()
}

async fn readyz(State(pages): State<Pages>) -> Response {
    pages
        .health
        .ready(pages.shutdown.is_draining())
        .into_response()
}
