//! 8: what is refused five times is dead until an operator says otherwise, and holds up nobody.

use crate::hook::Hook;
use crate::{CHAT, WITHIN, group};
use kedactl_outbox::Kind;
use kedactl_testkit::{TelegramFault, until_async};

#[tokio::test(flavor = "multi_thread")]
async fn r08_what_is_refused_five_times_is_dead_and_can_be_looked_at_retried_and_dropped() {
    let hook = Hook::start().await;
    let outbox = hook.outbox().await;
    let words = "Bad Request: message must be non-empty";
    let poison = |times: usize| {
        let refused = TelegramFault::Refuse(400, words.to_owned());
        hook.telegram.fail(CHAT, vec![refused; times]);
    };
    let dead = async |count: u64| {
        until_async("it is dead", WITHIN, || async {
            hook.metric("kedactl_outbox_dead").await == count
        })
        .await;
    };
    poison(5);
    hook.post(&group("Poison", &[("a", true)], 1)).await;
    dead(1).await;
    hook.post(&group("Healthy", &[("a", true)], 1)).await;
    hook.telegram
        .until("the other", CHAT, WITHIN, |shown| shown.len() == 1);
    // Telegram has it before the outbox is told so.
    until_async("only the dead one is left", WITHIN, || async {
        outbox.list(10).await.unwrap().len() == 1
    })
    .await;

    let rows = outbox.list(10).await.unwrap();
    assert_eq!(
        (rows.len(), rows[0].kind, rows[0].why.as_str()),
        (1, Kind::Dead, words)
    );
    assert_eq!((rows[0].chat, rows[0].route.as_str()), (CHAT, "default"));
    assert_eq!(outbox.retry(Some(&rows[0].group)).await.unwrap(), 1);
    hook.telegram.until("it", CHAT, WITHIN, |shown| {
        shown.len() == 2 && shown[1].text.contains("Poison")
    });
    poison(5);
    hook.post(&group("Dropped", &[("a", true)], 1)).await;
    dead(1).await;
    assert_eq!(outbox.drop_groups(None).await.unwrap(), 1);
    until_async("nothing is left", WITHIN, || async {
        outbox.list(10).await.unwrap().is_empty()
    })
    .await;
    assert_eq!(
        hook.metric("kedactl_outbox_events_total{event=\"died\"}")
            .await,
        2
    );

    // A new state of what is dead is worth a try by itself.
    poison(5);
    hook.post(&group("Again", &[("a", true)], 1)).await;
    dead(1).await;
    hook.post(&group("Again", &[("a", true), ("b", true)], 1))
        .await;
    hook.telegram
        .until("it", CHAT, WITHIN, |shown| shown.len() == 3);
    dead(0).await;
    hook.stop().await;
}
