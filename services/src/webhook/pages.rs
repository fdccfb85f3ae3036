//! Probes and metrics.
//!
//! It must not ask Telegram: a webhook is of use as long as it can keep what comes.

use std::fmt::Write as _;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::extract::State as Shared;
use axum::response::{IntoResponse as _, Response};
use http::header::CONTENT_TYPE;
use tokio::time::timeout;

use super::state::State;
use crate::metrics::CONTENT_TYPE as OPEN_METRICS;

/// A scrape must not hang on Redis.
const READ_WITHIN: Duration = Duration::from_secs(2);

pub(super) async fn healthz(Shared(state): Shared<State>) -> Response {
    state.health.alive().into_response()
}

pub(super) async fn readyz(Shared(state): Shared<State>) -> Response {
    let draining = state.shutdown.is_draining();
    state.health.ready(draining).into_response()
}

/// Counters of the outbox are its own, and the same on every replica: take their maximum, not their sum.
pub(super) async fn metrics(Shared(state): Shared<State>) -> Response {
    let mut text = String::new();
    let name = "kedactl_webhook_answers";
    text += &format!("# TYPE {name} counter\n# HELP {name} Answers to posts by class of status.\n");
    for (class, count) in ["2xx", "4xx", "5xx"].iter().zip(&state.answers) {
        let count = count.load(Ordering::Relaxed);
        text += &format!("{name}_total{{class=\"{class}\"}} {count}\n");
    }
    if let Ok(Ok(depth)) = timeout(READ_WITHIN, state.outbox.depth()).await {
        let gauges = [
            (
                "kedactl_outbox_waiting",
                "Groups with a state that is not shown yet.",
                depth.waiting as f64,
            ),
            (
                "kedactl_outbox_sending",
                "Groups that are being sent.",
                depth.sending as f64,
            ),
            (
                "kedactl_outbox_dead",
                "Groups that are not tried again by themselves.",
                depth.dead as f64,
            ),
            (
                "kedactl_outbox_closed_chats",
                "Chats that nothing gets into.",
                depth.closed_chats as f64,
            ),
            (
                "kedactl_outbox_oldest_seconds",
                "How long the oldest state has waited.",
                depth.oldest.as_secs_f64(),
            ),
        ];
        for (name, help, value) in gauges {
            text += &format!("# TYPE {name} gauge\n# HELP {name} {help}\n{name} {value}\n");
        }
        let name = "kedactl_outbox_events";
        text += &format!(
            "# TYPE {name} counter\n# HELP {name} What became of notifications and messages.\n"
        );
        for (event, count) in &depth.counts {
            // Writing into a text cannot fail.
            let _ok = writeln!(text, "{name}_total{{event=\"{event}\"}} {count}");
        }
    }
    text += "# EOF\n";
    ([(CONTENT_TYPE, OPEN_METRICS)], text).into_response()
}
