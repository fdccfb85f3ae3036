//! The trace of a request: what it follows, and the spans of the request and of the send in it.
//!
//! It must not put a query, a header or a body into a span.

use http::{Method, Request, StatusCode};
use kedactl_queue::{NewTask, QueueName};

use super::metrics::method_name;
use crate::trace::{Kind, Span, TraceContext, Tracer};

/// Begins the span of a request of the API, and leaves for its handler what that is to follow: the span, or where nothing is
/// traced here, what the caller sent.
pub(crate) fn begin<B>(tracer: &Tracer, request: &mut Request<B>) -> Option<Span> {
    if !request.uri().path().starts_with("/v1/") {
        return None;
    }
    let parent = TraceContext::of_headers(request.headers());
    let mut span = tracer.span(Kind::Server, parent.as_ref(), || "request".into());
    if let Some(span) = &mut span {
        span.set("http.request.method", || method_name(request.method()));
        span.set("url.scheme", || "http");
        span.set("url.path", || {
            request.uri().path().chars().take(200).collect::<String>()
        });
    }
    let here = span.as_ref().map(|it| it.context().clone()).or(parent);
    if let Some(here) = here {
        request.extensions_mut().insert(here);
    }
    span
}

/// Says how it ended.
pub(crate) fn end(span: &mut Span, method: &Method, route: &str, status: StatusCode) {
    span.name(|| format!("{} {route}", method_name(method)));
    span.set("http.route", || route.to_owned());
    span.set("http.response.status_code", || u64::from(status.as_u16()));
    // A client's mistake is no error of ours.
    if status.is_server_error() {
        span.fail(status.as_u16().to_string(), "");
    }
}

/// Begins the span of a send, and gives the tasks the place that whoever runs them follows.
pub(super) fn send(
    tracer: &Tracer,
    here: Option<&TraceContext>,
    queue: &QueueName,
    tasks: &mut [NewTask],
) -> Option<Span> {
    let mut span = tracer.span(Kind::Producer, here, || format!("send {queue}").into());
    if let Some(span) = &mut span {
        span.set("messaging.system", || "kedactl");
        span.set("messaging.operation.name", || "send");
        span.set("messaging.operation.type", || "send");
        span.set("messaging.destination.name", || queue.to_string());
        if let [_, _, ..] = tasks {
            span.set("messaging.batch.message_count", || tasks.len() as u64);
        }
    }
    if let Some(place) = span.as_ref().map(Span::context).or(here) {
        for task in tasks {
            task.traceparent = Some(place.traceparent());
            task.tracestate = place.tracestate().map(str::to_owned);
        }
    }
    span
}
