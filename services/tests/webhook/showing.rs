//! What a chat shows of what was posted.

use crate::{CHAT, Hook, OPERATORS, WITHIN, group};
use kedactl_testkit::TelegramFault;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn a_group_is_one_message_that_changes_with_it() {
    let hook = Hook::start().await;
    let until = |what: &str, text: &str, messages: usize| {
        let text = text.to_owned();
        hook.telegram.until(what, CHAT, WITHIN, move |shown| {
            shown.len() == messages && shown[messages - 1].text.contains(&text)
        })
    };
    hook.post(&group("QueueIsOld", &[("a", true)], 1)).await;
    let first = until("the first state", "a is &lt;sick&gt; &amp; slow", 1);
    hook.post(&group("QueueIsOld", &[("a", true), ("b", true)], 1))
        .await;
    until("another alert", "2 firing", 1);
    hook.post(&group("QueueIsOld", &[("a", false), ("b", true)], 1))
        .await;
    until("one is over", "1 firing, 1 resolved", 1);
    hook.post(&group("QueueIsOld", &[("a", false), ("b", false)], 1))
        .await;
    let over = until("all is over", "2 resolved", 1);
    assert_eq!((over[0].id, over[0].edits), (first[0].id, 3));
    // A new incident rings: an edit does not.
    hook.post(&group("QueueIsOld", &[("a", true)], 2)).await;
    let again = until("a new incident", "1 firing", 2);
    assert!(again[0].text.contains("2 resolved"));
    assert!(hook.telegram.calls().iter().all(|it| it.status == 200));
    hook.stop().await;
}

/// A silence keeps Alertmanager from telling of an end; what fires after it must ring all the same.
#[tokio::test(flavor = "multi_thread")]
async fn what_begins_anew_rings_though_nobody_told_of_an_end() {
    let hook = Hook::start().await;
    hook.post(&group("Quiet", &[("a", true)], 1)).await;
    let shown = |what: &str, messages: usize, over: bool| {
        hook.telegram.until(what, CHAT, WITHIN, |shown| {
            shown.len() == messages && shown[0].text.contains("1 resolved") == over
        })
    };
    shown("the first", 1, false);
    hook.post(&group("Quiet", &[("a", true)], 9)).await;
    let both = shown("the second, and the end of the first", 2, true);
    assert!(!both[1].silent && both[1].text.contains("1 firing"));
    hook.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_peers_and_retries_send_again_is_one_message() {
    let hook = Hook::start().await;
    for _ in 0..20 {
        hook.post(&group("A", &[("a", true), ("b", true)], 1)).await;
    }
    hook.post(&group("B", &[("a", true)], 1)).await;
    let shown = hook
        .telegram
        .until("both", CHAT, WITHIN, |shown| shown.len() == 2);
    assert!(shown.iter().all(|it| it.edits == 0));
    let metrics = hook.page("/metrics").await;
    assert!(
        metrics.contains("kedactl_outbox_events_total{event=\"deduplicated\"} 19"),
        "{metrics}"
    );
    assert!(
        metrics.contains("kedactl_webhook_answers_total{class=\"2xx\"} 21"),
        "{metrics}"
    );
    hook.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_flaps_are_two_calls_a_state_at_most() {
    let hook = Hook::start().await;
    for hour in 0..50 {
        hook.post(&group("Flap", &[("a", true)], hour)).await;
        hook.post(&group("Flap", &[("a", false)], hour)).await;
    }
    hook.telegram.until("the end of it", CHAT, WITHIN, |shown| {
        shown
            .last()
            .is_some_and(|it| it.text.contains("1 resolved") && it.text.contains("Flap"))
    });
    let calls = hook.telegram.calls();
    assert!(calls.len() < 20, "{}", calls.len());
    assert!(calls.iter().all(|it| it.status == 200), "{calls:?}");
    hook.stop().await;
}

/// Each fault once; the message comes all the same, and at most twice.
#[tokio::test(flavor = "multi_thread")]
async fn no_fault_of_the_bot_api_loses_a_message() {
    let hook = Hook::start().await;
    let faults = [
        TelegramFault::TooMany(1),
        TelegramFault::BadGateway,
        TelegramFault::HalfReply,
        TelegramFault::NoReply,
        TelegramFault::Closed,
        TelegramFault::Slow(Duration::from_millis(1500)),
        TelegramFault::Refuse(500, "Internal Server Error".to_owned()),
    ];
    for (n, fault) in faults.into_iter().enumerate() {
        hook.telegram.fail(CHAT, [fault.clone()]);
        let name = format!("Fault{n}");
        hook.post(&group(&name, &[("a", true)], 1)).await;
        let shown = hook
            .telegram
            .until(&format!("{fault:?}"), CHAT, WITHIN, |shown| {
                shown.iter().any(|it| it.text.contains(&name))
            });
        let count = shown.iter().filter(|it| it.text.contains(&name)).count();
        assert!(count <= 2, "{fault:?}: {count}");
    }
    hook.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chat_that_moves_or_closes_keeps_what_is_for_it() {
    let hook = Hook::start().await;
    hook.telegram.fail(CHAT, [TelegramFault::Migrate(-1007)]);
    hook.post(&group("Moved", &[("a", true)], 1)).await;
    hook.telegram
        .until("the new chat", -1007, WITHIN, |shown| shown.len() == 1);
    // The bot is thrown out: the operators hear of it, the message waits.
    hook.telegram.close(
        -1007,
        Some((403, "Forbidden: bot was kicked from the supergroup chat")),
    );
    hook.post(&group("Kicked", &[("a", true)], 1)).await;
    hook.telegram
        .until("a word to the operators", OPERATORS, WITHIN, |shown| {
            shown
                .iter()
                .any(|it| it.text.contains("-1007") && it.text.contains("bot was kicked"))
        });
    let metrics = hook.page("/metrics").await;
    assert!(
        metrics.contains("kedactl_outbox_closed_chats 1"),
        "{metrics}"
    );
    hook.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_was_deleted_is_not_the_end_of_its_chat() {
    let hook = Hook::start().await;
    let words = "Bad Request: message thread not found".to_owned();
    hook.telegram.fail(-9, [TelegramFault::Refuse(400, words)]);
    let body = group("Topic", &[("a", true)], 1).to_string();
    assert_eq!(hook.send("topic", crate::TOKEN, body).await.0, 202);
    let shown = hook
        .telegram
        .until("the chat", -9, WITHIN, |shown| shown.len() == 1);
    assert_eq!(shown[0].thread, None);
    hook.stop().await;
}
