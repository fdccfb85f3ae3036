//! Traces: whose request this is (W3C trace context), what was done for it (spans), and the way of spans to a collector (OTLP).
//!
//! It must not delay or fail what it traces: spans that do not fit are dropped and counted. Where no collector is named, no
//! span is made.

mod context;
mod export;
mod json;
mod protobuf;
mod sampler;
mod span;

pub(crate) use context::{TRACEPARENT, TRACESTATE, TraceContext};
pub(crate) use export::{Exporter, TraceMetrics};
pub(crate) use sampler::Sampler;
pub(crate) use span::{Kind, Span, Tracer};

#[cfg(test)]
mod tests;
