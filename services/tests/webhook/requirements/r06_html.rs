//! 6: whatever an alert or a template holds, what arrives is a message, and no alert is dropped without being counted.

use crate::hook::{Hook, routes};
use crate::{CHAT, TOKEN, WITHIN, group};
use kedactl_testkit::TelegramFault;
use serde_json::json;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn r06_a_template_that_fails_costs_no_alert() {
    let mut routes = routes();
    // Each is a template that can be read; the first wants what no alert has, the second is no HTML of Telegram.
    let broken = ["{{labels.host}}", "<br>{{name}}", "<b>{{name}}"];
    for (n, text) in broken.iter().enumerate() {
        let template = json!({"alert": text});
        routes["routes"][format!("t{n}")] =
            json!({"chats": [{"id": 60 + n}], "template": template});
    }
    let hook = Hook::of(&routes, &[]).await;
    for n in 0..broken.len() {
        let body = group("A", &[("a", true)], 1).to_string();
        assert_eq!(hook.send(&format!("t{n}"), TOKEN, body).await.0, 202);
        let shown = hook
            .telegram
            .until("it", 60 + n as i64, WITHIN, |shown| shown.len() == 1);
        assert!(
            shown[0]
                .text
                .contains("<b>a is &lt;sick&gt; &amp; slow</b>"),
            "{shown:?}"
        );
    }
    hook.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r06_what_has_no_room_is_counted() {
    let hook = Hook::start().await;
    let names: Vec<String> = (0..300).map(|n| format!("pod-{n}")).collect();
    let alerts: Vec<(&str, bool)> = names.iter().map(|name| (name.as_str(), true)).collect();
    let mut body = group("Many", &alerts, 1);
    body["truncatedAlerts"] = 17.into();
    hook.post(&body).await;
    // The stand-in refuses what is longer than Telegram takes.
    let shown = hook
        .telegram
        .until("it", CHAT, WITHIN, |shown| shown.len() == 1);
    let text = &shown[0].text;
    let blocks = text.matches("is &lt;sick&gt;").count();
    assert!(text.contains("300 firing") && text.contains("+17 that Alertmanager left out"));
    assert!(
        blocks > 10 && text.contains(&format!("(+{} more)", 300 - blocks)),
        "{text}"
    );
    assert!(hook.telegram.sends().iter().all(|it| it.status == 200));
    hook.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r06_html_that_is_refused_is_sent_once_more_without_tags() {
    let hook = Hook::start().await;
    let words = "Bad Request: can't parse entities: unsupported start tag \"new\" at byte offset 3";
    hook.telegram
        .fail(CHAT, [TelegramFault::Refuse(400, words.to_owned())]);
    hook.post(&group("A", &[("a", true)], 1)).await;
    let shown = hook
        .telegram
        .until("it", CHAT, WITHIN, |shown| shown.len() == 1);
    assert!(shown[0].text.contains("a is <sick> & slow") && !shown[0].text.contains("<b>"));
    let calls = hook.telegram.sends();
    assert_eq!(
        (calls.len(), &calls[1].body["parse_mode"]),
        (2, &json!(null))
    );
    // The second call has its turn as any other has.
    assert!(
        calls[1].at >= calls[0].at + Duration::from_secs(1),
        "{calls:?}"
    );
    // It has its buttons all the same, and the next state is HTML again.
    assert_eq!(shown[0].buttons.len(), 1);
    hook.post(&group("A", &[("a", true), ("b", true)], 1)).await;
    hook.telegram
        .until("HTML", CHAT, WITHIN, |shown| shown[0].text.contains("<b>"));
    hook.stop().await;
}
