//! What comes in: once each, the newest state of each group.

use crate::{Bench, chat, entry, group_of, taken};
use kedactl_alerts::Status;
use kedactl_outbox::{Accepted, Claim, Outbox, OutboxError, OutboxOptions, Outcome, Reported};
use kedactl_queue::{HostPort, Redis, RedisConfig};
use kedactl_testkit::{SentinelOptions, SentinelStack};
use std::time::Duration;

#[tokio::test]
async fn the_same_notification_is_taken_once() {
    let bench = Bench::new().await;
    bench.add(&[1], "a", "firing", 0).await;
    let known = Accepted {
        duplicate: true,
        updated: 0,
    };
    for _ in 0..20 {
        let again = bench.accept(entry(&[1], "a", "firing", 0)).await;
        assert_eq!(again.unwrap(), known);
    }
    let mut sender = bench.sender();
    let work = taken(&mut sender).await;
    assert_eq!(
        (group_of(&work), work.chat, work.number, work.message),
        ("a", chat(1), 1, None)
    );
    let done = Outcome::Done(Some(7));
    assert_eq!(sender.report(&work, &done).await.unwrap(), Reported::Well);
    assert_eq!(sender.claim().await.unwrap(), Claim::Idle);
    let depth = bench.outbox.depth().await.unwrap();
    assert_eq!((depth.waiting, depth.sending, depth.dead), (0, 0, 0));
    assert_eq!(
        (
            depth.counts["accepted"],
            depth.counts["deduplicated"],
            depth.counts["sent"]
        ),
        (1, 20, 1)
    );
}

#[tokio::test]
async fn states_that_nobody_saw_are_one() {
    let bench = Bench::new().await;
    for time in 0..50 {
        bench.add(&[1], "a", "firing", time).await;
        bench.add(&[1], "a", "resolved", time).await;
    }
    let mut sender = bench.sender();
    let work = taken(&mut sender).await;
    assert_eq!((work.number, work.status), (100, Status::Resolved));
    // What comes while it is being sent is shown after it.
    bench.add(&[1], "a", "firing", 59).await;
    assert!(matches!(sender.claim().await.unwrap(), Claim::Wait(_)));
    sender.report(&work, &Outcome::Done(Some(7))).await.unwrap();
    let next = taken(&mut sender).await;
    assert_eq!((next.number, next.status), (101, Status::Firing));
    sender.report(&next, &Outcome::Done(None)).await.unwrap();
    assert_eq!(sender.claim().await.unwrap(), Claim::Idle);
}

#[tokio::test]
async fn a_replay_of_what_is_over_is_not_shown() {
    let bench = Bench::new().await;
    bench.add(&[1], "a", "resolved", 5).await;
    let mut old = entry(&[1], "a", "firing", 1);
    old.stale = true;
    let nothing = Accepted {
        duplicate: false,
        updated: 0,
    };
    assert_eq!(bench.accept(old).await.unwrap(), nothing);
    // The first word of a group that nobody knows is news, however old.
    let mut unknown = entry(&[1], "b", "firing", 1);
    unknown.stale = true;
    assert_eq!(bench.accept(unknown).await.unwrap().updated, 1);
}

/// 200 posts at once are a few writes.
#[tokio::test]
async fn what_comes_together_is_written_together() {
    let bench = Bench::new().await;
    let all = (0..200).map(|n| bench.accept(entry(&[n], "a", "firing", 0)));
    let keys: Vec<_> = futures(all).await;
    // One key: the first is taken for its chat, the others are the same notification.
    assert_eq!(keys.iter().filter(|it| !it.duplicate).count(), 1);
    let all = (0..200).map(|n| bench.accept(entry(&[1], &format!("g{n}"), "firing", 0)));
    assert!(futures(all).await.iter().all(|it| !it.duplicate));
    assert_eq!(bench.outbox.depth().await.unwrap().waiting, 201);
}

async fn futures(
    all: impl Iterator<Item = impl Future<Output = Result<Accepted, OutboxError>>>,
) -> Vec<Accepted> {
    let mut done = Vec::new();
    for one in all.collect::<Vec<_>>() {
        done.push(one.await.unwrap());
    }
    done
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_replica_that_confirms_nothing_is_accepted() {
    let stack = SentinelStack::start(SentinelOptions::default());
    let sentinels = stack.sentinel_ports();
    let sentinels = sentinels
        .iter()
        .map(|port| HostPort::new("127.0.0.1", *port));
    let redis = Redis::connect(RedisConfig::sentinel(sentinels.collect(), "mymaster"))
        .await
        .unwrap();
    let options = OutboxOptions {
        within: Duration::from_secs(2),
        replica_within: Duration::from_millis(100),
        ..OutboxOptions::default()
    };
    let outbox = Outbox::new(&redis, options);
    outbox.accept(entry(&[1], "a", "firing", 0)).await.unwrap();
    let replicas = stack.replicas();
    for replica in &replicas {
        stack.freeze(*replica);
    }
    let refused = outbox.accept(entry(&[1], "b", "firing", 0)).await;
    assert!(refused.is_err(), "{refused:?}");
    for replica in &replicas {
        stack.thaw(*replica);
    }
    // Sent again, as Alertmanager does: it is there once.
    let within = Duration::from_secs(20);
    kedactl_testkit::until_async("it is accepted", within, || async {
        outbox.accept(entry(&[1], "b", "firing", 0)).await.is_ok()
    })
    .await;
    assert_eq!(outbox.depth().await.unwrap().waiting, 2);
}
