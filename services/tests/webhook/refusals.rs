//! What is not taken, and who hears of it.

use crate::{Hook, OPERATORS, TOKEN, WITHIN, group};
use kedactl_testkit::until_async;

#[tokio::test(flavor = "multi_thread")]
async fn what_no_retry_mends_is_refused_and_told_to_the_operators() {
    let hook = Hook::with(&["--max-body-bytes=2048"]).await;
    let whole = group("A", &[("a", true)], 1).to_string();
    for token in ["", "0123456789abcdef012", "0123456789abcdef01234"] {
        assert_eq!(hook.send("default", token, whole.clone()).await.0, 401);
    }
    let deep = format!("{}{}", "[".repeat(70), "]".repeat(70));
    for (route, body, status) in [
        ("nowhere", whole.clone(), 404),
        ("default", "{\"alerts\": [".to_owned(), 400),
        ("default", deep, 400),
        ("default", "{\"alerts\": 1}".to_owned(), 400),
        ("default", "x".repeat(4096), 413),
    ] {
        let (answered, problem) = hook.send(route, TOKEN, body).await;
        assert_eq!(answered, status, "{problem}");
    }
    let kinds = [
        "there is no such route",
        "its token is not known",
        "no JSON",
        "no notification of Alertmanager",
        "of 4096 bytes for the route default was dropped: it is too large",
    ];
    let told = hook
        .telegram
        .until("five words", OPERATORS, WITHIN, |shown| {
            kinds
                .iter()
                .all(|kind| shown.iter().any(|it| it.text.contains(kind)))
        });
    let all: Vec<&str> = told.iter().map(|it| it.text.as_str()).collect();
    // Three posts had a wrong token; with the tenth minute a second word of a kind may come.
    let of_token = all.iter().filter(|it| it.contains("token")).count();
    assert!((1..=2).contains(&of_token), "{all:?}");
    hook.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_redis_is_away_nothing_is_taken_and_nothing_is_lost() {
    let mut hook = Hook::with(&["--accept-timeout-ms=500"]).await;
    hook.post(&group("Before", &[("a", true)], 1)).await;
    hook.redis.freeze();
    let body = group("Meanwhile", &[("a", true)], 1).to_string();
    let (status, _) = hook.send("default", TOKEN, body.clone()).await;
    assert_eq!(status, 503);
    hook.redis.thaw();
    until_async("it is taken", WITHIN, || async {
        hook.send("default", TOKEN, body.clone()).await.0 == 202
    })
    .await;
    hook.telegram
        .until("both", crate::CHAT, WITHIN, |shown| shown.len() == 2);
    hook.redis.kill();
    assert_eq!(hook.send("default", TOKEN, body.clone()).await.0, 503);
    until_async("it says so", WITHIN, || async {
        hook.page("/readyz").await.contains("redis")
    })
    .await;
    assert!(hook.page("/healthz").await.contains("ok"));
    hook.redis.restart();
    until_async("it is taken", WITHIN, || async {
        hook.send("default", TOKEN, body.clone()).await.0 == 202
    })
    .await;
    hook.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_token_of_the_bot_is_in_no_error() {
    let hook = Hook::start().await;
    hook.telegram.down(true);
    hook.post(&group("A", &[("a", true)], 1)).await;
    until_async("a failed call", WITHIN, || async {
        hook.page("/metrics").await.contains("event=\"retried\"")
    })
    .await;
    // What is kept about it, and everything else in Redis.
    let kept = hook.redis.command("KEYS *");
    let mut all = kept.clone();
    for key in kept.lines().filter(|it| it.starts_with("ka:")) {
        all += &hook.redis.command(&format!("HGETALL {key}"));
    }
    assert!(all.contains("the Bot API"), "{all}");
    assert!(!all.contains("AAsecretOfTheBot"), "{all}");
    hook.telegram.down(false);
    hook.telegram
        .until("it comes", crate::CHAT, WITHIN, |shown| shown.len() == 1);
    hook.stop().await;
}
