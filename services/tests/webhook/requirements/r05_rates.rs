//! 5: no call that Telegram would refuse for its limits; what fires comes first, and states that nobody saw are one.

use crate::hook::{self, Hook, Program, routes};
use crate::{BOT, CHAT, TOKEN, WITHIN, group};
use kedactl_testkit::{
    RedisOptions, RedisServer, Telegram, TelegramCall, TelegramFault, until_async,
};
use serde_json::json;
use std::net::TcpListener;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn r05_a_hundred_flaps_are_two_calls_a_state_at_most() {
    let hook = Hook::start().await;
    for hour in 0..50 {
        hook.post(&group("Flap", &[("a", true)], hour)).await;
        hook.post(&group("Flap", &[("a", false)], hour)).await;
    }
    hook.telegram.until("the end of it", CHAT, WITHIN, |shown| {
        let over = |it: &kedactl_testkit::TelegramMessage| it.text.contains("1 resolved");
        !shown.is_empty() && shown.iter().all(over)
    });
    let calls = hook.telegram.sends();
    // As many as the second that the posts took has room for, and their ends.
    assert!(calls.len() < 20, "{}", calls.len());
    assert!(calls.iter().all(|it| it.status == 200), "{calls:?}");
    hook.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r05_a_chat_that_wants_to_be_left_alone_does_not_hold_up_the_others() {
    let mut routes = routes();
    routes["routes"]["other"] = json!({"chats": [{"id": 70}]});
    let hook = Hook::of(&routes, &[]).await;
    hook.telegram.fail(CHAT, [TelegramFault::TooMany(4)]);
    hook.post(&group("Parked", &[("a", true)], 1)).await;
    until_async("it is refused", WITHIN, || async {
        !hook.telegram.sends().is_empty()
    })
    .await;
    let body = group("Other", &[("a", true)], 1).to_string();
    assert_eq!(hook.send("other", TOKEN, body).await.0, 202);
    hook.telegram
        .until("the other", 70, WITHIN, |shown| shown.len() == 1);
    assert_eq!(hook.telegram.messages(CHAT), []);
    hook.telegram
        .until("it", CHAT, WITHIN, |shown| shown.len() == 1);
    let calls = hook.telegram.sends();
    let of: Vec<&TelegramCall> = calls
        .iter()
        .filter(|it| it.body["chat_id"] == CHAT)
        .collect();
    assert_eq!((of.len(), of[0].status), (2, 429));
    assert!(of[1].at >= of[0].at + Duration::from_secs(4), "{of:?}");
    assert_eq!(
        hook.metric("kedactl_outbox_events_total{event=\"limited_ms\"}")
            .await,
        4000
    );
    hook.stop().await;
}

/// Chats of groups that fire, at the twenty messages that a group takes in a minute.
const GROUPS: i64 = 45;
/// Chats of persons, for what is over.
const PERSONS: i64 = 5;
const EACH: i64 = 20;

/// A thousand groups at once, at the speed that Telegram's limits allow: 25 a second, 40 seconds.
#[tokio::test(flavor = "multi_thread")]
async fn r05_a_thousand_groups_at_once_meet_no_limit_and_what_fires_comes_first() {
    let mut routes = routes();
    for chat in 1..=GROUPS {
        routes["routes"][format!("g{chat}")] = json!({"chats": [{"id": -1000 - chat}]});
    }
    for chat in 1..=PERSONS {
        routes["routes"][format!("p{chat}")] = json!({"chats": [{"id": 1000 + chat}]});
    }
    let redis = RedisServer::start(&RedisOptions::default());
    // Nothing gets out until all is in: this one's Bot API takes connections and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let nowhere = format!("http://{}", silent.local_addr().unwrap());
    let files = tempfile::tempdir().unwrap();
    let more = ["--call-timeout-ms=15000"];
    let first = Program::start(hook::arguments(
        &files,
        redis.port(),
        &nowhere,
        &routes,
        &more,
    ));
    for (kind, chats, firing) in [("p", PERSONS, false), ("g", GROUPS, true)] {
        for n in 0..EACH * chats {
            let (route, name) = (format!("{kind}{}", n % chats + 1), format!("{kind}-{n}-"));
            let reply = first.send_to(&route, &group(&name, &[("a", firing)], 1));
            assert_eq!(reply.status, 202, "{}", reply.text);
        }
    }
    drop(first);
    let hook = Hook::on(redis, Telegram::start(BOT), &routes, &[]).await;
    let deadline = 3 * WITHIN;
    let chats = (1..=GROUPS)
        .map(|it| -1000 - it)
        .chain((1..=PERSONS).map(|it| 1000 + it));
    for chat in chats {
        let shown = hook
            .telegram
            .until("all of a chat", chat, deadline, |shown| {
                shown.len() >= EACH as usize
            });
        assert_eq!(shown.len(), EACH as usize, "each once: {shown:?}");
    }
    let calls = hook.telegram.sends();
    let (first, last) = (calls.first().unwrap().at, calls.last().unwrap().at);
    println!("{} calls in {:?}", calls.len(), last.abs_diff(first));
    let refused: Vec<&TelegramCall> = calls.iter().filter(|it| it.status != 200).collect();
    assert!(refused.is_empty(), "{refused:?}");
    let fires = |it: &TelegramCall| it.body["text"].as_str().unwrap().contains("1 firing");
    // Those that the first one had taken come when their leases are over.
    let over_first = calls.iter().position(|it| !fires(it)).unwrap();
    let firing = GROUPS * EACH;
    // At the very end, chats of what fires may have their pause while one of the others has none.
    assert!(
        over_first as i64 > firing * 8 / 10,
        "what is over came as call {over_first}"
    );
    hook.stop().await;
}
