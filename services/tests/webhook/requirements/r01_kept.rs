//! 1: a notification is answered 2xx when it is kept and not before; what cannot be kept now is 503, never 4xx.

use crate::hook::{self, Hook, routes};
use crate::{BOT, CHAT, TOKEN, WITHIN, group};
use clap::Parser as _;
use kedactl_services::settings::WebhookArgs;
use kedactl_testkit::{RedisOptions, RedisServer, Telegram, until, until_async};
use std::os::unix::fs::PermissionsExt as _;

/// Posts what is 503 while something is broken, as often as Alertmanager does, and the same when it is mended.
async fn refused_until_mended(hook: &Hook, name: &str, mend: impl FnOnce()) {
    let body = group(name, &[("a", true)], 1).to_string();
    for _ in 0..2 {
        let (status, answer) = hook.send("default", TOKEN, body.clone()).await;
        assert_eq!(status, 503, "{name}: {answer}");
    }
    mend();
    until_async(&format!("{name} is taken"), WITHIN, || async {
        let (status, answer) = hook.send("default", TOKEN, body.clone()).await;
        assert!(matches!(status, 202 | 503), "{name}: {status} {answer}");
        status == 202
    })
    .await;
}

/// Every name once, however often it was posted.
fn all_shown(hook: &Hook, names: &[&str]) {
    let shown = hook
        .telegram
        .until("all", CHAT, WITHIN, |shown| shown.len() >= names.len());
    for name in names {
        let count = shown.iter().filter(|it| it.text.contains(name)).count();
        assert_eq!(count, 1, "{name}: {shown:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r01_answers_2xx_only_after_the_write_is_kept() {
    let redis = RedisServer::start(&RedisOptions {
        aof: true,
        ..RedisOptions::default()
    });
    let telegram = Telegram::start(BOT);
    let mut hook = Hook::on(redis, telegram, &routes(), &["--accept-timeout-ms=500"]).await;
    hook.post(&group("Before", &[("a", true)], 1)).await;
    hook.redis.freeze();
    refused_until_mended(&hook, "Frozen", || hook.redis.thaw()).await;
    until_async("nothing is under way", WITHIN, || async {
        hook.metric("kedactl_outbox_events_total{event=\"sent\"}")
            .await
            == 2
    })
    .await;
    hook.redis.kill();
    let body = group("Killed", &[("a", true)], 1).to_string();
    assert_eq!(hook.send("default", TOKEN, body.clone()).await.0, 503);
    hook.redis.restart();
    until_async("it is taken", WITHIN, || async {
        hook.send("default", TOKEN, body.clone()).await.0 == 202
    })
    .await;
    all_shown(&hook, &["Before", "Frozen", "Killed"]);
    hook.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r01_a_redis_that_takes_no_writes_is_503() {
    let hook = Hook::with(&["--accept-timeout-ms=1000"]).await;
    let say = |line: &str| drop(hook.redis.command(line));
    say("CONFIG SET maxmemory 1");
    refused_until_mended(&hook, "OutOfMemory", || say("CONFIG SET maxmemory 0")).await;
    say("CONFIG SET min-replicas-to-write 1");
    refused_until_mended(&hook, "NoReplicas", || {
        say("CONFIG SET min-replicas-to-write 0");
    })
    .await;
    say("REPLICAOF 127.0.0.1 1");
    refused_until_mended(&hook, "ReadOnly", || say("REPLICAOF NO ONE")).await;
    all_shown(&hook, &["OutOfMemory", "NoReplicas", "ReadOnly"]);
    hook.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r01_a_disk_without_room_is_503() {
    if !RedisServer::can_have_a_disk() {
        return;
    }
    for (aof, name) in [(true, "AppendOnly"), (false, "Snapshots")] {
        let redis = RedisServer::start(&RedisOptions {
            aof,
            disk_mib: Some(4),
            extra: vec!["save 3600 1".to_owned()],
            ..RedisOptions::default()
        });
        let telegram = Telegram::start(BOT);
        let hook = Hook::on(redis, telegram, &routes(), &["--accept-timeout-ms=1000"]).await;
        hook.post(&group("Before", &[("a", true)], 1)).await;
        let says = |words: &str| {
            until(words, WITHIN, || {
                // A snapshot is tried again; where there is a log, nothing is asked for.
                let _said = if aof {
                    String::new()
                } else {
                    hook.redis.command("BGSAVE")
                };
                hook.redis.command("SET x y").contains(words)
            });
        };
        hook.redis.fill_disk(true);
        says("MISCONF");
        refused_until_mended(&hook, name, || {
            hook.redis.fill_disk(false);
            says("OK");
        })
        .await;
        all_shown(&hook, &["Before", name]);
        hook.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r01_a_replica_has_it_before_the_answer() {
    let redis = RedisServer::start(&RedisOptions::default());
    let replica = RedisServer::start(&RedisOptions {
        extra: vec![format!("replicaof 127.0.0.1 {}", redis.port())],
        ..RedisOptions::default()
    });
    // By the master's word: its replica thinks so sooner.
    until("the replica is in step", WITHIN, || {
        redis.info("slave0").contains("state=online")
    });
    let telegram = Telegram::start(BOT);
    let hook = Hook::on(redis, telegram, &routes(), &["--accept-timeout-ms=1500"]).await;
    hook.post(&group("Before", &[("a", true)], 1)).await;
    replica.freeze();
    refused_until_mended(&hook, "Alone", || replica.thaw()).await;
    // Not by and by: at the moment of the answer.
    let kept = replica.command("KEYS ka:*");
    assert_eq!(kept.matches(":seen:").count(), 2, "{kept}");
    all_shown(&hook, &["Before", "Alone"]);
    hook.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r01_two_tokens_are_valid_while_they_are_changed() {
    let (old, new) = (TOKEN, "fedcba9876543210fedc");
    let files = tempfile::tempdir().unwrap();
    let tokens = hook::write(&files, "both", &format!("{new}\n{old}\n"));
    let hook = Hook::with(&[&format!("--tokens-file={tokens}")]).await;
    let body = group("A", &[("a", true)], 1).to_string();
    for token in [old, new] {
        assert_eq!(hook.send("default", token, body.clone()).await.0, 202);
    }
    assert_eq!(
        hook.send("default", "another-token-of-20x", body).await.0,
        401
    );
    hook.stop().await;

    // A file that everybody may read is no secret, and three tokens are one too many.
    let args = |tokens: &str| {
        let more = format!("--tokens-file={tokens}");
        let args = hook::arguments(&files, 1, "http://127.0.0.1:1", &routes(), &[&more]);
        WebhookArgs::try_parse_from(args).unwrap().resolve()
    };
    let open = hook::write(&files, "open", new);
    std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o404)).unwrap();
    let refused = args(&open).unwrap_err().to_string();
    assert!(refused.contains("may be read by everybody"), "{refused}");
    let three = hook::write(&files, "three", &format!("{old}\n{new}\n{old}x\n"));
    let refused = args(&three).unwrap_err().to_string();
    assert!(refused.contains("more than two tokens"), "{refused}");
}
