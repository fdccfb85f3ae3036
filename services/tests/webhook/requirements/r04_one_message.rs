//! 4: a group has one live message in a chat; it is changed with the group, and never back.

use crate::hook::{self, Hook, Program, routes};
use crate::{BOT, CHAT, WITHIN, group};
use kedactl_testkit::{RedisOptions, RedisServer, Telegram, TelegramFault, until};
use rustix::process::Signal;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn r04_a_group_is_one_message_that_changes_with_it() {
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
    assert!(again[0].text.contains("2 resolved") && !again[1].silent);
    assert!(hook.telegram.sends().iter().all(|it| it.status == 200));
    hook.stop().await;
}

/// A silence keeps Alertmanager from telling of an end; what fires after it must ring all the same.
#[tokio::test(flavor = "multi_thread")]
async fn r04_what_begins_anew_rings_though_nobody_told_of_an_end() {
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
    assert!(both[0].text.contains("over, nobody said when"));
    hook.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r04_a_message_that_somebody_deleted_is_sent_anew() {
    let hook = Hook::start().await;
    hook.post(&group("A", &[("a", true)], 1)).await;
    let first = hook
        .telegram
        .until("it", CHAT, WITHIN, |shown| shown.len() == 1);
    hook.telegram.delete(CHAT, first[0].id);
    hook.post(&group("A", &[("a", true), ("b", true)], 1)).await;
    let again = hook
        .telegram
        .until("a new one", CHAT, WITHIN, |shown| shown.len() == 1);
    assert!(again[0].id != first[0].id && again[0].text.contains("2 firing"));
    hook.stop().await;
}

/// One replica stands still in the middle of showing an old state, another shows the newest, the first comes back.
#[test]
fn r04_an_older_state_never_stays_over_a_newer_one() {
    let (redis, telegram) = (
        RedisServer::start(&RedisOptions::default()),
        Telegram::start(BOT),
    );
    let files = tempfile::tempdir().unwrap();
    let args = || hook::arguments(&files, redis.port(), &telegram.url(), &routes(), &[]);
    let shown = |what: &str| {
        telegram.until(what, CHAT, WITHIN, |shown| {
            shown.len() == 1 && shown[0].text.contains(what)
        })
    };
    let slow = Program::start(args());
    slow.post(&group("A", &[("a", true)], 1));
    shown("1 firing");
    telegram.fail(CHAT, [TelegramFault::Slow(Duration::from_secs(3))]);
    slow.post(&group("A", &[("a", true), ("b", true)], 1));
    let leased = || redis.command("ZCARD ka:{outbox}:leased").contains(":1");
    until("it is being sent", WITHIN, leased);
    slow.process.signal(Signal::STOP);
    let other = Program::start(args());
    other.post(&group("A", &[("a", true), ("b", true), ("c", true)], 1));
    shown("3 firing");
    slow.process.signal(Signal::CONT);
    other.post(&group("A", &[("a", false), ("b", true), ("c", true)], 1));
    shown("2 firing, 1 resolved");
    // What comes after all of it meets a chat that shows the newest state.
    other.post(&group("Last", &[("a", true)], 1));
    let all = telegram.until("the last", CHAT, WITHIN, |shown| shown.len() == 2);
    assert!(
        all[0].text.contains("2 firing, 1 resolved"),
        "{}",
        all[0].text
    );
}
