//! What the API counts.
//!
//! It must not build a label set for the usual request: those handles are found once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::{Method, StatusCode};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::redis_watch::RedisGauges;
use crate::metrics::{DestinationLabel, HistogramFamily, PerQueue, QueueGauges, latency};
use crate::trace::TraceMetrics;

/// Labels of OpenTelemetry's HTTP server metrics; the route is a template, never a path.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
#[expect(clippy::struct_field_names, reason = "the convention's names")]
pub(super) struct RequestLabels {
    pub http_request_method: &'static str,
    pub http_route: String,
    pub http_response_status_code: u16,
}

/// Why tasks were not accepted.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RefusedLabel {
    pub error_type: &'static str,
}

/// Every handle of the API.
#[derive(Debug)]
pub struct ApiMetrics {
    pub registry: Registry,
    pub queues: QueueGauges,
    pub redis: RedisGauges,
    pub sent: PerQueue,
    pub refused: Family<RefusedLabel, Counter>,
    pub duplicates: Counter,
    pub enqueue_seconds: Histogram,
    pub(crate) traces: TraceMetrics,
    requests: HistogramFamily<RequestLabels>,
    accepted: Histogram,
    active: Gauge,
    open: Gauge,
}

impl Default for ApiMetrics {
    fn default() -> Self {
        let mut registry = Registry::default();
        let r = &mut registry;
        let sent = Family::<DestinationLabel, Counter>::default();
        r.register(
            "messaging_client_sent_messages",
            "Tasks accepted",
            sent.clone(),
        );
        let enqueue_seconds = latency();
        r.register(
            "messaging_client_operation_duration_seconds",
            "From a parsed task to its commit in Redis",
            enqueue_seconds.clone(),
        );
        let refused = Family::<RefusedLabel, Counter>::default();
        r.register(
            "kedactl_api_tasks_refused",
            "Tasks not accepted, by cause",
            refused.clone(),
        );
        let duplicates = Counter::default();
        r.register(
            "kedactl_api_duplicates",
            "Tasks whose key was known",
            duplicates.clone(),
        );
        let requests = HistogramFamily::<RequestLabels>::new_with_constructor(latency as fn() -> _);
        r.register(
            "http_server_request_duration_seconds",
            "Time to answer",
            requests.clone(),
        );
        let (active, open) = (Gauge::default(), Gauge::default());
        r.register(
            "http_server_active_requests",
            "Requests under way",
            active.clone(),
        );
        r.register("http_server_open_connections", "Connections", open.clone());
        let queues = QueueGauges::default();
        queues.register(r);
        let redis = RedisGauges::default();
        redis.register(r);
        let traces = TraceMetrics::default();
        traces.register(r);
        let accepted = requests.get_or_create_owned(&RequestLabels {
            http_request_method: "POST",
            http_route: "/v1/tasks".to_owned(),
            http_response_status_code: 202,
        });
        let sent = PerQueue::new(sent);
        Self {
            registry,
            queues,
            redis,
            sent,
            refused,
            duplicates,
            enqueue_seconds,
            traces,
            requests,
            accepted,
            active,
            open,
        }
    }
}

impl ApiMetrics {
    /// Counts an answered request.
    pub fn answered(&self, method: &Method, route: &str, status: StatusCode, took: Duration) {
        let took = took.as_secs_f64();
        if status == StatusCode::ACCEPTED && route == "/v1/tasks" {
            self.accepted.observe(took);
            return;
        }
        let labels = RequestLabels {
            http_request_method: method_name(method),
            http_route: route.to_owned(),
            http_response_status_code: status.as_u16(),
        };
        self.requests.get_or_create(&labels).observe(took);
    }

    /// Takes over the live numbers that are kept elsewhere.
    pub fn load(&self, active: usize, open: &Arc<AtomicUsize>) {
        self.active.set(active as i64);
        self.open.set(open.load(Ordering::Relaxed) as i64);
    }
}

/// Clients may send any method; the label takes the known ones.
pub(super) fn method_name(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "POST" => "POST",
        "PUT" => "PUT",
        "DELETE" => "DELETE",
        "PATCH" => "PATCH",
        "HEAD" => "HEAD",
        "OPTIONS" => "OPTIONS",
        _ => "_OTHER",
    }
}
