//! Many at once: what stops queues whose scripts unpack everything.
//!
//! It must not wait longer than a deadline that a quiet machine halves.

use std::collections::HashSet;
use std::time::Duration;

use kedactl_queue::{
    Consumer, CronEntry, Inspector, NewTask, Outcome, Producer, ProducerOptions, Redis,
    SchedulerOptions, When,
};
use kedactl_testkit::until_async;

use crate::support::{Bed, claim, json, schedule, single, task};

const CROWD: u64 = 20_000;
const LONG: Duration = Duration::from_mins(1);

#[tokio::test(flavor = "multi_thread")]
async fn twenty_thousand_due_at_once() {
    let bed = Bed::new().await;
    let due = bed.redis.now_us() / 1000 + 1500;
    let tasks = (0..CROWD)
        .map(|i| NewTask {
            when: When::At(due),
            ..task("due", &i.to_string())
        })
        .collect();
    for answer in bed
        .producer
        .enqueue_many(&bed.queue, kedactl_queue::Durability::None, tasks)
        .await
    {
        answer.unwrap();
    }
    let _schedule = bed.schedule();
    until_async("all are ready", LONG, async || {
        bed.counts().await.0 == CROWD
    })
    .await;
    let consumer = bed.consumer("w").await;
    let mut seen = HashSet::new();
    while (seen.len() as u64) < CROWD {
        for claimed in claim(&consumer, 1)
            .await
            .into_iter()
            .chain(consumer.claim(2000).await)
        {
            assert!(seen.insert(claimed.task.id), "each comes once");
            consumer.finish(&claimed.ticket, Outcome::Done(None));
        }
    }
    consumer.flush().await;
    assert_eq!(bed.counts().await, (0, 0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_thousand_orphaned_at_once() {
    let bed = Bed::new().await;
    bed.put_many(CROWD).await;
    // Its lease is never beaten: the thread's first beat comes with the registration, the next would come after it.
    let orphans = {
        let redis = Redis::connect(single(&bed.server)).await.unwrap();
        let mut options = bed.options("dies");
        options.lease = Duration::from_secs(2);
        let dies = Consumer::start(&redis, options).await.unwrap();
        let claimed = claim(&dies, CROWD as usize).await;
        assert_eq!(bed.counts().await, (CROWD, 0, CROWD));
        drop(dies);
        claimed.len() as u64
    };
    let _schedule = bed.schedule();
    until_async("all wait again", LONG, async || {
        bed.counts().await == (CROWD, CROWD, 0)
    })
    .await;
    assert_eq!((orphans, bed.total("reaped").await), (CROWD, CROWD));
    let again = claim(&bed.consumer("w").await, CROWD as usize).await;
    assert!(
        again
            .iter()
            .all(|c| c.task.attempt == 1 && c.task.crashes == 1),
        "attempts are not burned"
    );
    assert_eq!(
        again
            .iter()
            .map(|c| c.task.id)
            .collect::<HashSet<_>>()
            .len() as u64,
        CROWD
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_cron_slots_fire_once_with_four_schedulers() {
    let bed = Bed::new().await;
    for i in 0..1000 {
        let entry = CronEntry {
            name: format!("job-{i}"),
            schedule: "@every 100ms".parse().unwrap(),
            kind: "cron".into(),
            payload: json("{}"),
            priority: kedactl_queue::Priority::Normal,
            max_attempts: None,
            timeout_ms: None,
            result_ttl_s: 0,
            catch_up: true,
        };
        bed.inspector.cron_put(&bed.queue, &entry).await.unwrap();
    }
    let mut schedulers = Vec::new();
    for _ in 0..4 {
        let redis = Redis::connect(single(&bed.server)).await.unwrap();
        schedulers.push(schedule(&redis, SchedulerOptions::default()));
    }
    until_async("ten thousand slots fired", LONG, async || {
        bed.total("enqueued").await >= 10_000
    })
    .await;
    schedulers
        .iter()
        .for_each(tokio_util::sync::CancellationToken::cancel);
    let consumer = bed.consumer("w").await;
    let fired = bed.total("enqueued").await;
    let mut ids = HashSet::new();
    let mut claimed = claim(&consumer, fired as usize).await;
    claimed.extend(consumer.claim(1000).await);
    for c in claimed {
        assert!(
            ids.insert(c.task.id),
            "slot {} fired twice",
            c.task.id.timestamp_ms()
        );
    }
    let slots = ids
        .iter()
        .map(kedactl_queue::TaskId::timestamp_ms)
        .collect::<HashSet<_>>();
    assert!(slots.len() >= 10, "{} slots", slots.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_loop_ends_in_the_dead_letters() {
    let bed = Bed::new().await;
    let _schedule = bed.schedule();
    let id = bed
        .put(NewTask {
            result_ttl_s: 60,
            ..task("poison", "1")
        })
        .await
        .id;
    for round in 0..3 {
        let redis = Redis::connect(single(&bed.server)).await.unwrap();
        let mut options = bed.options("dies");
        options.lease = Duration::from_millis(400);
        let dies = Consumer::start(&redis, options).await.unwrap();
        let claimed = claim(&dies, 1).await;
        assert_eq!(
            (claimed[0].task.attempt, claimed[0].task.crashes),
            (1, round)
        );
        drop(dies);
        until_async("it is reaped", LONG, async || {
            bed.total("reaped").await == u64::from(round) + 1
        })
        .await;
    }
    let dead = bed
        .inspector
        .dead_list(&bed.queue, 0, 1)
        .await
        .unwrap()
        .remove(0);
    assert_eq!(
        (dead.id, dead.reason.as_deref(), dead.crashes),
        (id, Some("crashed"), 3)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn many_producers_of_many_queues_share_lanes() {
    let bed = Bed::new().await;
    let queues: Vec<_> = (0..5)
        .map(|i| kedactl_queue::QueueName::new(&format!("q{i}")).unwrap())
        .collect();
    let producer = Producer::new(
        &bed.redis,
        ProducerOptions {
            lanes: 3,
            ..ProducerOptions::default()
        },
    );
    let mut sent = tokio::task::JoinSet::new();
    for i in 0..2000_usize {
        let (producer, queue) = (producer.clone(), queues[i % 5].clone());
        sent.spawn(async move {
            producer
                .enqueue(&queue, kedactl_queue::Durability::None, task("a", "1"))
                .await
                .map(|a| a.id)
        });
    }
    let ids: HashSet<_> = sent
        .join_all()
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    assert_eq!(ids.len(), 2000);
    let inspector = Inspector::new(&bed.redis);
    for queue in &queues {
        assert_eq!(inspector.stats(queue).await.unwrap().waiting, 400);
    }
}
