//! Contexts, samplers and spans, without a collector.

use http::{HeaderMap, HeaderValue};
use prometheus_client::metrics::counter::Counter;
use tokio::sync::mpsc;

use super::context::TraceContext;
use super::export::Message;
use super::sampler::Sampler;
use super::span::{Data, Kind, Tracer};

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn headers(all: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in all {
        headers.append(*name, HeaderValue::from_str(value).unwrap());
    }
    headers
}

#[test]
fn a_context_is_read_and_written_as_it_came() {
    let read = TraceContext::read(PARENT, Some("vendor=1, other@x=a b")).unwrap();
    assert_eq!(read.traceparent(), PARENT);
    assert_eq!(read.tracestate(), Some("vendor=1, other@x=a b"));
    assert!(read.is_sampled());
    assert_eq!(
        read.trace_id().to_string(),
        "4bf92f3577b34da6a3ce929d0e0e4736"
    );
    let child = read.child();
    assert_eq!(child.trace_id().to_string(), read.trace_id().to_string());
    assert_ne!(child.span_id().to_string(), read.span_id().to_string());
    assert_eq!(child.tracestate(), read.tracestate());
}

#[test]
fn a_later_version_is_read_as_far_as_it_is_known() {
    let later = "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-ff-what-comes";
    let read = TraceContext::read(later, None).unwrap();
    // Of the flags those that are known, and the version that is written here.
    assert_eq!(read.traceparent(), PARENT.replace("-01", "-03"));
}

#[test]
fn what_is_not_valid_begins_no_trace() {
    let longer = format!("{PARENT}-x");
    let upper = PARENT.to_uppercase();
    for bad in [
        "",
        "00",
        "nonsense",
        &longer,
        &upper,
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01x",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "00-4bf92f3577b34da6a3ce929d0e0e473-600f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902bg-01",
        "00_4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7_01",
        "00-4bf92f3577b34da6a3ce929d0e0eäää6-00f067aa0ba902b7-01",
    ] {
        assert_eq!(TraceContext::read(bad, None), None, "{bad}");
    }
    assert_eq!(TraceContext::of_headers(&headers(&[])), None);
    let twice = headers(&[("traceparent", PARENT), ("traceparent", PARENT)]);
    assert_eq!(TraceContext::of_headers(&twice), None);
}

#[test]
fn a_state_that_is_not_valid_is_left_out_and_the_rest_stays() {
    let long = format!("a={}", "x".repeat(600));
    let many = (0..33)
        .map(|n| format!("k{n}=v"))
        .collect::<Vec<_>>()
        .join(",");
    for bad in ["", "novalue", "A=1", "a=1=2", "a=\u{7f}", &long, &many] {
        let read = TraceContext::read(PARENT, Some(bad)).unwrap();
        assert_eq!(read.tracestate(), None, "{bad}");
        assert_eq!(read.traceparent(), PARENT);
    }
    let parts = headers(&[
        ("traceparent", PARENT),
        ("tracestate", "a=1"),
        ("tracestate", "b=2"),
    ]);
    assert_eq!(
        TraceContext::of_headers(&parts).unwrap().tracestate(),
        Some("a=1,b=2")
    );
}

#[test]
fn any_text_is_read_or_refused() {
    // Every single-character change of a good one, and cuts at every place.
    for at in 0..PARENT.len() {
        let _cut = TraceContext::read(&PARENT[..at], None);
        for byte in [b'-', b'0', b'g', b'F', b' ', 0x7f] {
            let mut text = PARENT.as_bytes().to_vec();
            text[at] = byte;
            let text = String::from_utf8(text).unwrap();
            if let Some(read) = TraceContext::read(&text, None) {
                assert_eq!(TraceContext::read(&read.traceparent(), None), Some(read));
            }
        }
    }
}

#[test]
fn samplers_are_those_of_the_specification() {
    let parent = |text| TraceContext::read(text, None).unwrap();
    let (kept, left) = (parent(PARENT), parent(&PARENT.replace("-01", "-00")));
    let keeps = |name, argument, parent: Option<&TraceContext>| {
        let own = parent.map_or_else(TraceContext::root, TraceContext::child);
        Sampler::read(name, argument).unwrap().keeps(parent, &own)
    };
    assert_eq!(
        Sampler::read("parentbased_always_on", None),
        Ok(Sampler::default())
    );
    assert!(keeps("parentbased_always_on", None, None));
    assert!(!keeps("parentbased_always_on", None, Some(&left)));
    assert!(keeps("parentbased_traceidratio", Some("0"), Some(&kept)));
    assert!(!keeps("parentbased_traceidratio", Some("0"), None));
    assert!(keeps("always_on", None, Some(&left)));
    assert!(!keeps("always_off", None, Some(&kept)));
    let half = Sampler::read("traceidratio", Some("0.5")).unwrap();
    let roots: Vec<TraceContext> = (0..4000).map(|_| TraceContext::root()).collect();
    let share = roots.iter().filter(|it| half.keeps(None, it)).count();
    assert!((1700..2300).contains(&share), "{share}");
    // Another span of the same trace is decided alike.
    assert!(
        roots
            .iter()
            .all(|it| half.keeps(None, it) == half.keeps(Some(it), &it.child()))
    );
    assert!(Sampler::read("traceidratio", Some("1.5")).is_err());
    assert!(Sampler::read("jaeger_remote", None).is_err());
}

fn tracer(room: usize) -> (Tracer, mpsc::Receiver<Message>, Counter) {
    let (to, spans) = mpsc::channel(room);
    let dropped = Counter::default();
    (
        Tracer::new(Sampler::default(), to, dropped.clone()),
        spans,
        dropped,
    )
}

fn ended(spans: &mut mpsc::Receiver<Message>) -> Box<Data> {
    match spans.try_recv().unwrap() {
        Message::Span(data) => data,
        Message::Flush(_) => panic!("a span"),
    }
}

#[test]
fn spans_that_do_not_fit_are_dropped_and_counted() {
    let (tracer, mut spans, dropped) = tracer(2);
    for _ in 0..5 {
        drop(tracer.span(Kind::Server, None, || "x".into()));
    }
    assert_eq!(dropped.get(), 3);
    assert_eq!(ended(&mut spans).name, "x");
}

#[test]
fn off_or_not_kept_nothing_is_made_and_the_context_goes_on() {
    assert!(
        Tracer::default()
            .span(Kind::Server, None, || panic!("asked"))
            .is_none()
    );
    let (tracer, mut spans, _) = tracer(2);
    let left = TraceContext::read(&PARENT.replace("-01", "-00"), None).unwrap();
    let mut span = tracer
        .span(Kind::Server, Some(&left), || panic!("asked"))
        .unwrap();
    span.set("a", || -> &'static str { panic!("asked") });
    assert_eq!(
        span.context().trace_id().to_string(),
        left.trace_id().to_string()
    );
    assert!(!span.context().is_sampled());
    drop(span);
    assert!(spans.try_recv().is_err());
}

#[test]
fn both_ways_of_writing_say_the_same() {
    let (tracer, mut spans, _) = tracer(2);
    let parent = TraceContext::read(PARENT, Some("v=1")).unwrap();
    let mut span = tracer
        .span(Kind::Consumer, Some(&parent), || "process a".into())
        .unwrap();
    span.set("text", || "worth");
    span.set("number", || 7_u64);
    span.link(&parent);
    span.fail("timeout", "too late");
    let id = span.context().span_id().to_string();
    drop(span);
    let data = [*ended(&mut spans)];
    let resource = super::export::Resource {
        attributes: vec![("service.name".into(), "s".into())],
    };
    let json: serde_json::Value =
        serde_json::from_slice(&super::json::request(&resource, &data)).unwrap();
    let span = &json["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
    assert_eq!(span["spanId"], id.as_str());
    assert_eq!((&span["kind"], &span["flags"]), (&5.into(), &0x301.into()));
    assert_eq!(span["links"][0]["traceState"], "v=1");
    assert_eq!(span["status"]["message"], "too late");
    assert_eq!(span["attributes"][1]["value"]["intValue"], "7");
    assert!(span["endTimeUnixNano"].as_str() >= span["startTimeUnixNano"].as_str());
    let bytes = super::protobuf::request(&resource, &data);
    for text in [
        "service.name",
        "process a",
        "worth",
        "too late",
        "timeout",
        "v=1",
    ] {
        let found = bytes.windows(text.len()).any(|it| it == text.as_bytes());
        assert!(found, "{text}");
    }
}

#[test]
fn answers_say_what_was_not_taken() {
    let json = |text: &str| super::json::rejected(text.as_bytes());
    assert_eq!(json(r#"{"partialSuccess":{"rejectedSpans":"5"}}"#), 5);
    assert_eq!(json("{}") + json("") + json("nonsense"), 0);
    let protobuf = super::protobuf::rejected;
    assert_eq!(protobuf(&[0x0a, 0x03, 0x08, 0xac, 0x02]), 300);
    assert_eq!(protobuf(&[]) + protobuf(&[0x0a]) + protobuf(&[0xff; 20]), 0);
}
