//! What the webhook counts, and what the outbox says of itself.
//!
//! It must not count what the outbox counts: its counters are the same on every replica, so take their maximum, not their sum.

use std::sync::atomic::{AtomicU64, Ordering};

use http::StatusCode;
use kedactl_outbox::Depth;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::trace::TraceMetrics;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ClassLabel {
    class: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EventLabel {
    event: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: &'static str,
}

/// Every handle of the webhook.
#[derive(Debug)]
pub(crate) struct WebhookMetrics {
    pub(crate) registry: Registry,
    answers: Family<ClassLabel, Counter>,
    presses: Family<OutcomeLabel, Counter>,
    polling: Gauge,
    waiting: Gauge,
    sending: Gauge,
    dead: Gauge,
    closed_chats: Gauge,
    oldest: Gauge<f64, AtomicU64>,
    events: Family<EventLabel, Counter>,
    pub(super) traces: TraceMetrics,
}

impl Default for WebhookMetrics {
    fn default() -> Self {
        let it = Self {
            registry: Registry::default(),
            answers: Family::default(),
            presses: Family::default(),
            polling: Gauge::default(),
            waiting: Gauge::default(),
            sending: Gauge::default(),
            dead: Gauge::default(),
            closed_chats: Gauge::default(),
            oldest: Gauge::default(),
            events: Family::default(),
            traces: TraceMetrics::default(),
        };
        let mut r = Registry::default();
        it.traces.register(&mut r);
        r.register(
            "kedactl_webhook_answers",
            "Answers to posts by class of status",
            it.answers.clone(),
        );
        r.register(
            "kedactl_webhook_presses",
            "Buttons that were pressed, by what came of it",
            it.presses.clone(),
        );
        r.register(
            "kedactl_webhook_polling",
            "Whether this replica asks for presses",
            it.polling.clone(),
        );
        r.register(
            "kedactl_outbox_waiting",
            "Groups with a state that is not shown yet",
            it.waiting.clone(),
        );
        r.register(
            "kedactl_outbox_sending",
            "Groups that are being sent",
            it.sending.clone(),
        );
        r.register(
            "kedactl_outbox_dead",
            "Groups that are not tried again by themselves",
            it.dead.clone(),
        );
        r.register(
            "kedactl_outbox_closed_chats",
            "Chats that nothing gets into",
            it.closed_chats.clone(),
        );
        r.register(
            "kedactl_outbox_oldest_seconds",
            "How long the oldest state has waited",
            it.oldest.clone(),
        );
        r.register(
            "kedactl_outbox_events",
            "What became of notifications and messages",
            it.events.clone(),
        );
        Self { registry: r, ..it }
    }
}

impl WebhookMetrics {
    /// Gives every family a series, for whoever lists what is exported.
    pub(crate) fn touch(&self) {
        self.answered(StatusCode::OK);
        self.pressed("silenced");
        let event = "accepted".to_owned();
        drop(self.events.get_or_create_owned(&EventLabel { event }));
    }

    /// Counts an answer to a post.
    pub(super) fn answered(&self, status: StatusCode) {
        let class = match status.as_u16() {
            ..400 => "2xx",
            400..500 => "4xx",
            _ => "5xx",
        };
        self.answers.get_or_create(&ClassLabel { class }).inc();
    }

    /// Counts a press.
    pub(super) fn pressed(&self, outcome: &'static str) {
        self.presses.get_or_create(&OutcomeLabel { outcome }).inc();
    }

    /// Says whether this one asks for presses.
    pub(super) fn polling(&self, polling: bool) {
        self.polling.set(i64::from(polling));
    }

    /// Replaces every reading of the outbox.
    pub(super) fn set(&self, depth: &Depth) {
        self.waiting.set(depth.waiting as i64);
        self.sending.set(depth.sending as i64);
        self.dead.set(depth.dead as i64);
        self.closed_chats.set(depth.closed_chats as i64);
        self.oldest.set(depth.oldest.as_secs_f64());
        for (event, count) in &depth.counts {
            let label = EventLabel {
                event: event.clone(),
            };
            let counter = self.events.get_or_create_owned(&label);
            counter.inner().store(*count, Ordering::Relaxed);
        }
    }
}
