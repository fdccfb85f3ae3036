//! OTLP's JSON: the mapping of its messages, with ids in hex and 64 bits as text.
//!
//! It must not know where it goes.

use serde_json::{Value as Json, json};

use super::context::TraceContext;
use super::export::Resource;
use super::span::{Data, Value};

/// One request with all the spans.
pub(super) fn request(resource: &Resource, spans: &[Data]) -> Vec<u8> {
    let text =
        |(key, value): &(String, String)| json!({"key": key, "value": {"stringValue": value}});
    let request = json!({"resourceSpans": [{
        "resource": {"attributes": resource.attributes.iter().map(text).collect::<Vec<_>>()},
        "scopeSpans": [{
            "scope": {"name": Resource::SCOPE, "version": Resource::VERSION},
            "spans": spans.iter().map(span).collect::<Vec<_>>(),
        }],
    }]});
    request.to_string().into_bytes()
}

fn span(data: &Data) -> Json {
    let mut span = place(&data.context);
    span["flags"] = data.flags().into();
    span["name"] = data.name.as_ref().into();
    span["kind"] = (data.kind as u8).into();
    span["startTimeUnixNano"] = data.start.to_string().into();
    span["endTimeUnixNano"] = data.end.to_string().into();
    span["attributes"] = data.attributes.iter().map(attribute).collect();
    if let Some(parent) = &data.parent {
        span["parentSpanId"] = parent.span_id().to_string().into();
    }
    if let Some(link) = &data.link {
        span["links"] = json!([place(link)]);
    }
    if let Some(error) = &data.error {
        span["status"] = json!({"code": 2, "message": error});
    }
    span
}

fn place(context: &TraceContext) -> Json {
    let mut it = json!({
        "traceId": context.trace_id().to_string(),
        "spanId": context.span_id().to_string(),
    });
    if let Some(state) = context.tracestate() {
        it["traceState"] = state.into();
    }
    it
}

fn attribute((key, value): &(&'static str, Value)) -> Json {
    match value {
        Value::Text(text) => json!({"key": key, "value": {"stringValue": text}}),
        Value::Number(number) => json!({"key": key, "value": {"intValue": number.to_string()}}),
    }
}

/// How many spans an answer says were not taken.
pub(super) fn rejected(answer: &[u8]) -> u64 {
    let answer: Json = serde_json::from_slice(answer).unwrap_or_default();
    let number = &answer["partialSuccess"]["rejectedSpans"];
    let text = number.as_str().and_then(|it| it.parse().ok());
    text.or(number.as_u64()).unwrap_or(0)
}
