//! 10: `/healthz` says that the process turns, `/readyz` that something can be kept, `/metrics` what became of it.

use crate::hook::{Hook, routes};
use crate::support::{self, Process, WEBHOOK, faketime};
use crate::{BOT, CHAT, TOKEN, WITHIN, group, hook};
use kedactl_testkit::{
    RedisOptions, RedisServer, Telegram, TelegramFault, skipped, until, until_async,
};

/// Waits until the probe of readiness says something that has these words in it, with that status.
async fn says(hook: &Hook, status: u16, words: &str) {
    let what = format!("{status} {words}");
    until_async(&what, WITHIN, || async {
        let (answered, text) = hook.look("/readyz").await;
        answered == status && text.contains(words)
    })
    .await;
    let (alive, _) = hook.look("/healthz").await;
    assert_eq!(
        alive, 200,
        "a process that waits for Redis is not restarted"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn r10_readiness_is_that_redis_takes_writes() {
    let mut hook = Hook::start().await;
    says(&hook, 200, "ready").await;
    hook.redis.command("CONFIG SET maxmemory 1");
    says(&hook, 503, "OOM").await;
    hook.redis.command("CONFIG SET maxmemory 0");
    says(&hook, 200, "ready").await;
    hook.redis.command("REPLICAOF 127.0.0.1 1");
    says(&hook, 503, "redis").await;
    hook.redis.command("REPLICAOF NO ONE");
    says(&hook, 200, "ready").await;
    hook.redis.command("CONFIG SET min-replicas-to-write 1");
    says(&hook, 503, "NOREPLICAS").await;
    hook.redis.command("CONFIG SET min-replicas-to-write 0");
    says(&hook, 200, "ready").await;
    hook.redis.kill();
    says(&hook, 503, "redis").await;
    hook.redis.restart();
    says(&hook, 200, "ready").await;
    hook.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r10_readiness_ends_with_the_room_on_the_disk() {
    if !RedisServer::can_have_a_disk() {
        return;
    }
    let options = RedisOptions {
        aof: true,
        disk_mib: Some(4),
        ..RedisOptions::default()
    };
    let redis = RedisServer::start(&options);
    let hook = Hook::on(redis, Telegram::start(BOT), &routes(), &[]).await;
    says(&hook, 200, "ready").await;
    hook.redis.fill_disk(true);
    says(&hook, 503, "MISCONF").await;
    hook.redis.fill_disk(false);
    says(&hook, 200, "ready").await;
    hook.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r10_readiness_does_not_depend_on_telegram() {
    let hook = Hook::start().await;
    hook.telegram.down(true);
    hook.post(&group("A", &[("a", true)], 1)).await;
    until_async("a failed call", WITHIN, || async {
        hook.metric("kedactl_outbox_events_total{event=\"retried\"}")
            .await
            > 0
    })
    .await;
    says(&hook, 200, "ready").await;
    hook.telegram.down(false);
    hook.telegram
        .until("it comes", CHAT, WITHIN, |shown| shown.len() == 1);
    hook.stop().await;
}

#[test]
fn r10_readiness_is_that_the_clock_is_not_far_off() {
    let Some(library) = faketime() else {
        return skipped("faketime is not installed");
    };
    let redis = RedisServer::start(&RedisOptions::default());
    let telegram = Telegram::start(BOT);
    let files = tempfile::tempdir().unwrap();
    let args = hook::arguments(&files, redis.port(), &telegram.url(), &routes(), &[]);
    // The monotonic clock stays right, as on a machine whose clock was set wrong.
    let env = [
        ("LD_PRELOAD", library),
        ("FAKETIME", "+600s".to_owned()),
        ("DONT_FAKE_MONOTONIC", "1".to_owned()),
    ];
    let process = Process::start_with(WEBHOOK, &args[1..], &env);
    let port = process.port("metrics_at");
    until("it says so", WITHIN, || {
        let page = support::get(port, "/readyz");
        page.status == 503 && page.text.contains("600 s off that of redis")
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn r10_metrics_say_what_became_of_everything() {
    let hook = Hook::start().await;
    let event = |name: &str| format!("kedactl_outbox_events_total{{event=\"{name}\"}}");
    hook.telegram
        .fail(CHAT, [TelegramFault::TooMany(1), TelegramFault::BadGateway]);
    hook.telegram.close(
        -9,
        Some((403, "Forbidden: bot was kicked from the group chat")),
    );
    hook.post(&group("A", &[("a", true)], 1)).await;
    hook.post(&group("A", &[("a", true)], 1)).await;
    let body = group("Waits", &[("a", true)], 1).to_string();
    assert_eq!(hook.send("topic", TOKEN, body).await.0, 202);
    hook.telegram
        .until("it", CHAT, WITHIN, |shown| shown.len() == 1);
    hook.post(&group("A", &[("a", false)], 1)).await;
    hook.telegram
        .until("its end", CHAT, WITHIN, |shown| shown[0].edits == 1);
    for (name, least) in [
        (event("accepted"), 3),
        (event("deduplicated"), 1),
        (event("sent"), 1),
        (event("edited"), 1),
        (event("retried"), 1),
        (event("limited"), 1),
        (event("limited_ms"), 1000),
        (event("closed"), 1),
        ("kedactl_webhook_answers_total{class=\"2xx\"}".to_owned(), 4),
        ("kedactl_outbox_waiting".to_owned(), 1),
        ("kedactl_outbox_closed_chats".to_owned(), 1),
        ("kedactl_outbox_oldest_seconds".to_owned(), 1),
    ] {
        until_async(&name, WITHIN, || async {
            hook.metric(&name).await >= least
        })
        .await;
    }
    let page = hook.page("/metrics").await;
    for name in [
        "kedactl_outbox_sending 0",
        "kedactl_outbox_dead 0",
        "kedactl_webhook_polling 1",
    ] {
        assert!(page.contains(name), "{name}: {page}");
    }
    hook.stop().await;
}
