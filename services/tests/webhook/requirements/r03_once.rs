//! 3: what Alertmanager sends again, and what its peers send beside it, is one message; old replays are none.

use crate::hook::Hook;
use crate::{CHAT, TOKEN, WITHIN, group};
use serde_json::json;
use tokio::task::JoinSet;

#[tokio::test(flavor = "multi_thread")]
async fn r03_ten_retries_of_two_peers_are_one_message() {
    let hook = Hook::start().await;
    let other = hook.beside().await;
    // All at once, through both replicas.
    let mut posts = JoinSet::new();
    for attempt in 0..20 {
        let mut body = group("A", &[("a", true), ("b", true)], 1);
        // A peer orders alerts in its own way and says where it is itself.
        let to = if attempt % 2 == 0 {
            hook.poster()
        } else {
            body["alerts"].as_array_mut().unwrap().reverse();
            body["externalURL"] = "http://the-other-peer:9093".into();
            other.poster()
        };
        posts.spawn(async move { to.send("default", TOKEN, body.to_string()).await });
    }
    for (status, answer) in posts.join_all().await {
        assert_eq!(status, 202, "{answer}");
    }
    hook.post(&group("Last", &[("a", true)], 1)).await;
    let shown = hook
        .telegram
        .until("both", CHAT, WITHIN, |shown| shown.len() == 2);
    assert!(shown.iter().all(|it| it.edits == 0), "{shown:?}");
    assert_eq!(
        hook.metric("kedactl_outbox_events_total{event=\"deduplicated\"}")
            .await,
        19
    );
    assert_eq!(
        hook.metric("kedactl_outbox_events_total{event=\"sent\"}")
            .await,
        2
    );
    other.stop().await;
    hook.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r03_an_old_replay_of_what_is_over_is_taken_and_not_shown() {
    let hook = Hook::start().await;
    let old = |firing: bool, reason: &str| {
        let mut body = group("Old", &[("a", firing)], 1);
        body["alerts"][0]["startsAt"] = "2020-01-01T00:00:00Z".into();
        body["notification_reason"] = reason.into();
        body
    };
    // The first word of a group is news, however old.
    hook.post(&old(true, "first notification")).await;
    hook.post(&old(false, "all alerts resolved")).await;
    hook.telegram.until("its end", CHAT, WITHIN, |shown| {
        shown.len() == 1 && shown[0].text.contains("1 resolved")
    });
    for reason in ["repeat interval elapsed", "unknown", "none"] {
        let body = old(true, reason).to_string();
        let (status, answer) = hook.send("default", TOKEN, body).await;
        assert_eq!(
            (status, answer),
            (202, json!({"duplicate": false, "groups": 0}))
        );
    }
    hook.post(&group("Last", &[("a", true)], 1)).await;
    let shown = hook
        .telegram
        .until("the last", CHAT, WITHIN, |shown| shown.len() == 2);
    assert!(shown[0].text.contains("1 resolved") && shown[1].text.contains("Last"));
    assert_eq!(
        hook.metric("kedactl_outbox_events_total{event=\"stale\"}")
            .await,
        3
    );
    hook.stop().await;
}
