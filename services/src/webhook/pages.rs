//! Probes and metrics.
//!
//! It must not ask Telegram: a webhook is of use as long as it can keep what comes.

use std::time::Duration;

use axum::extract::State as Shared;
use axum::response::{IntoResponse as _, Response};
use http::header::CONTENT_TYPE;
use tokio::time::timeout;

use super::state::State;
use crate::metrics;

/// A scrape must not hang on Redis.
const READ_WITHIN: Duration = Duration::from_secs(2);

pub(super) async fn healthz(Shared(state): Shared<State>) -> Response {
    state.health.alive().into_response()
}

pub(super) async fn readyz(Shared(state): Shared<State>) -> Response {
    let draining = state.shutdown.is_draining();
    state.ready.answer(draining).into_response()
}

pub(super) async fn metrics_text(Shared(state): Shared<State>) -> Response {
    match timeout(READ_WITHIN, state.outbox.depth()).await {
        Ok(Ok(depth)) => state.metrics.set(&depth),
        Ok(Err(error)) => tracing::debug!(%error, "no metrics of the outbox"),
        Err(_) => tracing::debug!("no metrics of the outbox within {READ_WITHIN:?}"),
    }
    let text = metrics::render(&state.metrics.registry);
    ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response()
}
