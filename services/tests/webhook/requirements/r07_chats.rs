//! 7: a chat that moved takes what is for it along; one that takes nothing is told to the operators, and waits.

use crate::hook::{Hook, routes};
use crate::{CHAT, OPERATORS, TOKEN, WITHIN, group};
use kedactl_testkit::TelegramFault;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn r07_a_chat_that_moves_keeps_what_is_for_it() {
    let hook = Hook::start().await;
    hook.post(&group("Before", &[("a", true)], 1)).await;
    hook.telegram
        .until("the old chat", CHAT, WITHIN, |shown| shown.len() == 1);
    hook.telegram.fail(CHAT, [TelegramFault::Migrate(-1007)]);
    for name in ["One", "Two", "Three"] {
        hook.post(&group(name, &[("a", true)], 1)).await;
    }
    hook.telegram
        .until("the new chat", -1007, WITHIN, |shown| shown.len() == 3);
    // What was there is not found in the new one, and comes anew; the file of routes has the old number still.
    hook.post(&group("Before", &[("a", false)], 1)).await;
    hook.telegram.until("the end", -1007, WITHIN, |shown| {
        shown.len() == 4 && shown[3].text.contains("Before")
    });
    let calls = hook.telegram.sends();
    let moved = calls
        .iter()
        .filter(|it| it.description.contains("upgraded to a supergroup"));
    assert_eq!(moved.count(), 1, "it is told once: {calls:#?}");
    assert_eq!(
        hook.metric("kedactl_outbox_events_total{event=\"moved\"}")
            .await,
        1
    );
    hook.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r07_a_chat_that_takes_nothing_is_told_to_the_operators_and_the_others_go_on() {
    let mut routes = routes();
    routes["routes"]["other"] = json!({"chats": [{"id": 70}]});
    let hook = Hook::of(&routes, &[]).await;
    for (n, refusal) in [
        (403, "Forbidden: bot was kicked from the supergroup chat"),
        (400, "Bad Request: chat not found"),
        (403, "Forbidden: bot was blocked by the user"),
    ]
    .into_iter()
    .enumerate()
    {
        hook.telegram.close(CHAT, Some(refusal));
        hook.post(&group(&format!("Closed{n}"), &[("a", true)], 1))
            .await;
        let body = group(&format!("Other{n}"), &[("a", true)], 1).to_string();
        assert_eq!(hook.send("other", TOKEN, body).await.0, 202);
        hook.telegram
            .until("the others", 70, WITHIN, |shown| shown.len() == n + 1);
        if n == 0 {
            hook.telegram
                .until("a word to the operators", OPERATORS, WITHIN, |shown| {
                    let told = |text: &str| {
                        text.contains("chat 7 takes nothing") && text.contains("kicked")
                    };
                    shown.iter().any(|it| told(&it.text))
                });
        }
        assert_eq!(hook.metric("kedactl_outbox_closed_chats").await, 1);
    }
    assert_eq!(hook.telegram.messages(CHAT), []);
    // Let in again, it gets everything: an operator says so, or the time does.
    hook.telegram.close(CHAT, None);
    hook.outbox().await.retry(None).await.unwrap();
    hook.telegram
        .until("all of it", CHAT, WITHIN, |shown| shown.len() == 3);
    assert_eq!(hook.metric("kedactl_outbox_closed_chats").await, 0);
    hook.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r07_a_topic_that_was_deleted_is_not_the_end_of_its_chat() {
    let hook = Hook::start().await;
    let post = async |name: &str| {
        let body = group(name, &[("a", true)], 1).to_string();
        assert_eq!(hook.send("topic", TOKEN, body).await.0, 202);
    };
    post("There").await;
    let shown = hook
        .telegram
        .until("the topic", -9, WITHIN, |shown| shown.len() == 1);
    assert_eq!(shown[0].thread, Some(3));
    hook.telegram.delete_topic(-9, 3, true);
    for name in ["Gone", "GoneToo"] {
        post(name).await;
    }
    let shown = hook
        .telegram
        .until("the chat", -9, WITHIN, |shown| shown.len() == 3);
    assert_eq!((shown[1].thread, shown[2].thread), (None, None));
    hook.telegram
        .until("a word to the operators", OPERATORS, WITHIN, |shown| {
            shown
                .iter()
                .any(|it| it.text.contains("chat -9 has no topic 3"))
        });
    // The second one did not try the topic again.
    let calls = hook.telegram.sends();
    assert_eq!(
        calls.iter().filter(|it| it.status == 400).count(),
        1,
        "{calls:#?}"
    );
    hook.stop().await;
}
