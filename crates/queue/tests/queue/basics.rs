//! A task's plain way: stored, counted, claimed, ended, once.
//!
//! It must not depend on a scheduler.

use std::time::Duration;

use kedactl_queue::{
    Durability, EnqueueError, NewTask, Outcome, Priority, Retry, TaskState, Verdict,
};
use kedactl_testkit::until_async;

use crate::support::{Bed, SOON, claim, claim_one, json, task};

#[tokio::test(flavor = "multi_thread")]
async fn a_task_is_stored_counted_run_and_gone() {
    let bed = Bed::new().await;
    let mut new = task("echo", r#"{"a":[1, 2],"ü":"\u00e9"}"#);
    new.result_ttl_s = 60;
    let stored = bed.put(new).await;
    assert_eq!(bed.counts().await, (1, 1, 0));
    let consumer = bed.consumer("w").await;
    let claimed = claim_one(&consumer).await;
    assert_eq!(claimed.task.payload.get(), r#"{"a":[1, 2],"ü":"\u00e9"}"#);
    assert_eq!((claimed.task.id, claimed.task.attempt), (stored.id, 1));
    assert!(claimed.task.started_us >= claimed.task.enqueued_us);
    assert_eq!(bed.counts().await, (1, 0, 1), "a running task still counts");
    let running = bed
        .inspector
        .task(&bed.queue, stored.id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(running.worker, Some(consumer.instance()));
    let verdict = consumer
        .finished(&claimed.ticket, Outcome::Done(Some(json("42"))))
        .await;
    assert_eq!(verdict, Verdict::Applied);
    assert_eq!(bed.counts().await, (0, 0, 0));
    let done = bed
        .inspector
        .task(&bed.queue, stored.id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (done.state, done.result.unwrap().get()),
        (TaskState::Done, "42")
    );
    assert_eq!(bed.total("done").await, 1);
    assert_eq!(
        bed.inspector.queues().await.unwrap(),
        std::slice::from_ref(&bed.queue)
    );
    assert_eq!(bed.redis.failovers(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn priorities_are_served_in_order_and_none_starves() {
    let bed = Bed::new().await;
    for priority in [
        Priority::Low,
        Priority::Normal,
        Priority::High,
        Priority::Critical,
    ] {
        bed.put(NewTask {
            priority,
            ..task("echo", "0")
        })
        .await;
    }
    let consumer = bed.consumer("w").await;
    let order: Vec<_> = claim(&consumer, 4)
        .await
        .iter()
        .map(|c| c.task.priority)
        .collect();
    assert_eq!(
        order,
        [
            Priority::Critical,
            Priority::High,
            Priority::Normal,
            Priority::Low
        ]
    );
    bed.put(NewTask {
        priority: Priority::Low,
        ..task("low", "0")
    })
    .await;
    for _ in 0..40 {
        bed.put(NewTask {
            priority: Priority::Critical,
            ..task("critical", "0")
        })
        .await;
    }
    let mut before = 0;
    while claim_one(&consumer).await.task.kind != "low" {
        before += 1;
    }
    assert!(before <= 16, "low waited for {before} critical tasks");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_worker_wakes_at_once() {
    let bed = Bed::new().await;
    let mut options = bed.options("w");
    options.idle_wait = Duration::from_secs(10);
    let consumer = kedactl_queue::Consumer::start(&bed.redis, options)
        .await
        .unwrap();
    let waiting = tokio::spawn({
        let consumer = consumer.clone();
        async move { consumer.claim(1).await }
    });
    let workers = async || bed.server.info("blocked_clients") == "2";
    until_async("the worker and its lease block", SOON, workers).await;
    let start = tokio::time::Instant::now();
    bed.put(task("echo", "1")).await;
    assert_eq!(waiting.await.unwrap().len(), 1);
    assert!(
        start.elapsed() < Duration::from_millis(500),
        "{:?}",
        start.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_claim_loses_nothing() {
    let bed = Bed::new().await;
    let consumer = bed.consumer("w").await;
    bed.put_many(500).await;
    let mut seen = std::collections::HashSet::new();
    let deadline = tokio::time::Instant::now() + SOON;
    while seen.len() < 500 {
        assert!(
            tokio::time::Instant::now() < deadline,
            "{} of 500",
            seen.len()
        );
        let wait = Duration::from_micros(seen.len() as u64 % 7 * 100);
        if let Ok(claimed) = tokio::time::timeout(wait, consumer.claim(5)).await {
            for c in claimed {
                assert!(seen.insert(c.task.id));
                consumer.finish(&c.ticket, Outcome::Done(None));
            }
        }
    }
    consumer.flush().await;
    assert_eq!((consumer.holding(), bed.counts().await), (0, (0, 0, 0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn durability_needs_replicas() {
    let bed = Bed::new().await;
    let options = kedactl_queue::ProducerOptions {
        wait_timeout: Duration::from_millis(50),
        commit_timeout: Duration::from_millis(300),
        ..kedactl_queue::ProducerOptions::default()
    };
    let producer = kedactl_queue::Producer::new(&bed.redis, options);
    for durability in [Durability::One, Durability::All] {
        let short = producer
            .enqueue(&bed.queue, durability, task("echo", "1"))
            .await
            .unwrap_err();
        assert!(
            matches!(
                short,
                EnqueueError::ShortReplication {
                    need: 1,
                    got: 0,
                    ..
                }
            ),
            "{short}"
        );
        assert!(short.retry_after().is_some());
    }
    assert_eq!(bed.counts().await.0, 2, "resent batches were stored once");
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_tasks_are_refused_by_field() {
    let bed = Bed::new().await;
    let cases: [(&str, NewTask); 4] = [
        ("type", task("no spaces", "1")),
        (
            "max_attempts",
            NewTask {
                max_attempts: 0,
                ..task("a", "1")
            },
        ),
        (
            "idempotency_key",
            NewTask {
                idempotency_key: Some(String::new()),
                ..task("a", "1")
            },
        ),
        (
            "audit",
            NewTask {
                audit: Some(kedactl_queue::AuditTag {
                    run: "a:b".into(),
                    index: 1,
                }),
                ..task("a", "1")
            },
        ),
    ];
    for (field, bad) in cases {
        match bed
            .producer
            .enqueue(&bed.queue, Durability::None, bad)
            .await
        {
            Err(EnqueueError::Invalid(invalid)) => assert_eq!(invalid.field, field),
            other => panic!("{field}: {other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_released_task_goes_first_and_keeps_its_attempts() {
    let bed = Bed::new().await;
    bed.put_many(3).await;
    let consumer = bed.consumer("w").await;
    let first = claim_one(&consumer).await;
    consumer.finished(&first.ticket, Outcome::Released).await;
    let again = claim_one(&consumer).await;
    assert_eq!(
        (again.task.id, again.task.attempt, again.task.crashes),
        (first.task.id, 1, 0)
    );
    let failed = Outcome::Failed {
        error: "x".into(),
        retry: Retry::Never,
    };
    consumer.finished(&again.ticket, failed).await;
    claim(&consumer, 2).await;
    consumer.close(SOON).await;
    assert_eq!(
        bed.counts().await,
        (2, 2, 0),
        "close hands back what is held"
    );
    assert_eq!(bed.inspector.stats(&bed.queue).await.unwrap().workers, 0);
}
