//! Traces of posts and of calls: whose they are, and that the bot's token is in none.

use crate::hook::Hook;
use crate::{BOT, CHAT, TOKEN, WITHIN, group};
use kedactl_testkit::Collector;

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

#[tokio::test(flavor = "multi_thread")]
async fn a_post_belongs_to_its_callers_trace_and_no_span_has_a_token() {
    let collector = Collector::start();
    let endpoint = format!("--otel-exporter-otlp-endpoint={}", collector.endpoint());
    let hook = Hook::with(&[&endpoint, "--otel-exporter-otlp-protocol=http/json"]).await;
    let client = reqwest::Client::builder().build().unwrap();
    let posted = client
        .post(format!("http://{}/v1/alerts/default", hook.at))
        .header("authorization", format!("Bearer {TOKEN}"))
        .header("traceparent", PARENT)
        .body(group("A", &[("a", true)], 1).to_string());
    assert_eq!(posted.send().await.unwrap().status().as_u16(), 202);
    hook.telegram
        .until("it is shown", CHAT, WITHIN, |shown| shown.len() == 1);
    // What waits is sent on a stop.
    hook.stop().await;
    let spans = collector.spans();
    let named = |name: &str| {
        let found = spans.iter().find(|it| it["name"] == name);
        found.unwrap_or_else(|| panic!("{name}: {spans:#?}"))
    };
    let post = named("POST /v1/alerts/{route}");
    assert_eq!(post["traceId"], "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(post["parentSpanId"], "00f067aa0ba902b7");
    assert_eq!(post["attributes"]["http.response.status_code"], "202");
    let call = named("sendMessage");
    assert_eq!(call["kind"], 3);
    assert_eq!(call["attributes"]["server.address"], "127.0.0.1");
    assert!(call["attributes"]["kedactl.alerts.group"].is_string());
    for request in collector.requests() {
        let body = String::from_utf8_lossy(&request.body).into_owned();
        let secret = BOT.split(':').next_back().unwrap();
        assert!(!body.contains(secret) && !body.contains(TOKEN), "{body}");
    }
}
