//! Every feature of the queue, one test each.
//!
//! It must not measure.

use std::time::Duration;

use kedactl_queue::{
    AuditTag, Backoff, Cancel, CronEntry, Durability, EnqueueError, NewTask, Outcome, QueueName,
    RateLimit, Retry, TaskState, Verdict, When,
};
use kedactl_testkit::{until, until_async};

use crate::support::{Bed, SOON, claim, claim_one, json, task};

fn failed(error: &str) -> Outcome {
    Outcome::Failed {
        error: error.to_owned(),
        retry: Retry::Backoff,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_task_is_retried_with_backoff_then_dead_then_replayed() {
    let bed = Bed::new().await;
    let _schedule = bed.schedule();
    let backoff = Backoff {
        base_ms: 40,
        max_ms: 1000,
        factor: 2.0,
    };
    let id = bed
        .put(NewTask {
            max_attempts: 2,
            backoff,
            result_ttl_s: 60,
            ..task("fail", "1")
        })
        .await
        .id;
    let consumer = bed.consumer("w").await;
    let first = claim_one(&consumer).await;
    consumer.finished(&first.ticket, failed("boom: one")).await;
    let waiting = bed.inspector.task(&bed.queue, id).await.unwrap().unwrap();
    assert_eq!(
        (waiting.failed_attempts, waiting.error.as_deref()),
        (1, Some("boom: one"))
    );
    let second = claim_one(&consumer).await;
    assert_eq!(second.task.attempt, 2);
    assert!(
        second.task.started_us - first.task.started_us >= 20_000,
        "half the backoff is the least"
    );
    consumer.finished(&second.ticket, failed("boom: two")).await;
    let dead = bed
        .inspector
        .dead_list(&bed.queue, 0, 10)
        .await
        .unwrap()
        .remove(0);
    assert_eq!(
        (dead.id, dead.reason.as_deref(), dead.error.as_deref()),
        (id, Some("attempts"), Some("boom: two"))
    );
    assert_eq!(dead.failed_attempts, 2);
    assert_eq!(bed.state(id).await, Some(TaskState::Dead));
    assert_eq!(
        bed.inspector
            .dead_retry(&bed.queue, Some(id))
            .await
            .unwrap(),
        1
    );
    let replayed = claim_one(&consumer).await;
    assert_eq!((replayed.task.id, replayed.task.attempt), (id, 1));
    let never = Outcome::Failed {
        error: "no".into(),
        retry: Retry::Never,
    };
    consumer.finished(&replayed.ticket, never).await;
    assert_eq!(bed.inspector.dead_purge(&bed.queue, None).await.unwrap(), 1);
    assert_eq!(bed.counts().await, (0, 0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delayed_task_is_outside_the_count_until_it_is_due() {
    let bed = Bed::new().await;
    let _schedule = bed.schedule();
    let at = bed.redis.now_us() / 1000 + 400;
    let after = bed
        .put(NewTask {
            when: When::After(300),
            ..task("a", "1")
        })
        .await
        .id;
    bed.put(NewTask {
        when: When::At(at),
        ..task("b", "1")
    })
    .await;
    bed.put(NewTask {
        when: When::At(1),
        ..task("past", "1")
    })
    .await;
    assert_eq!(bed.counts().await, (1, 1, 0));
    assert_eq!(bed.state(after).await, Some(TaskState::Delayed));
    let consumer = bed.consumer("w").await;
    let kinds: Vec<_> = claim(&consumer, 3)
        .await
        .into_iter()
        .map(|c| (c.task.kind, c.task.started_us))
        .collect();
    assert_eq!(
        kinds.iter().map(|k| k.0.as_str()).collect::<Vec<_>>(),
        ["past", "a", "b"]
    );
    assert!(kinds[2].1 / 1000 >= at, "not before its time");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_starts_too_late_is_expired() {
    let bed = Bed::new().await;
    let short = NewTask {
        expires_in_ms: Some(1),
        result_ttl_s: 60,
        ..task("late", "1")
    };
    let id = bed.put(short).await.id;
    until("its time is over", SOON, || {
        bed.server_ms() > id.timestamp_ms() + 1
    });
    let consumer = bed.consumer("w").await;
    assert!(consumer.claim(1).await.is_empty());
    consumer.flush().await;
    assert_eq!(
        (bed.state(id).await, consumer.counters().expired),
        (Some(TaskState::Expired), 1)
    );
    assert_eq!(
        (bed.counts().await, bed.total("expired").await),
        ((0, 0, 0), 1)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idempotency_key_makes_one_task() {
    let bed = Bed::new().await;
    let keyed = |payload: &str| NewTask {
        idempotency_key: Some("order 1".into()),
        ..task("pay", payload)
    };
    let first = bed.put(keyed("1")).await;
    let again = bed.put(keyed("1")).await;
    assert_eq!(
        (again.id, again.duplicate, first.duplicate),
        (first.id, true, false)
    );
    let other = bed
        .producer
        .enqueue(&bed.queue, Durability::None, keyed("2"))
        .await;
    assert!(matches!(other, Err(EnqueueError::KeyConflict)));
    let consumer = bed.consumer("w").await;
    consumer
        .finished(&claim_one(&consumer).await.ticket, Outcome::Done(None))
        .await;
    assert!(
        bed.put(keyed("1")).await.duplicate,
        "a key outlives its task"
    );
    assert_eq!(bed.counts().await, (0, 0, 0));
    let same_batch = (0..50)
        .map(|_| NewTask {
            idempotency_key: Some("k".into()),
            ..task("a", "1")
        })
        .collect();
    let answers = bed
        .producer
        .enqueue_many(&bed.queue, Durability::None, same_batch)
        .await;
    assert_eq!(
        answers
            .into_iter()
            .filter(|a| !a.as_ref().unwrap().duplicate)
            .count(),
        1
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_and_delayed_tasks_are_cancelled() {
    let bed = Bed::new().await;
    let waiting = bed
        .put(NewTask {
            result_ttl_s: 60,
            ..task("a", "1")
        })
        .await
        .id;
    let delayed = bed
        .put(NewTask {
            when: When::After(60_000),
            ..task("b", "1")
        })
        .await
        .id;
    let kept = bed.put(task("c", "1")).await.id;
    assert_eq!(
        bed.inspector.cancel(&bed.queue, waiting).await.unwrap(),
        Cancel::Removed
    );
    assert_eq!(
        bed.inspector.cancel(&bed.queue, delayed).await.unwrap(),
        Cancel::Removed
    );
    assert_eq!(
        bed.inspector.cancel(&bed.queue, delayed).await.unwrap(),
        Cancel::NotFound
    );
    assert_eq!(bed.state(waiting).await, Some(TaskState::Cancelled));
    assert_eq!(
        bed.counts().await,
        (1, 1, 0),
        "the count sees the cancellation at once"
    );
    let consumer = bed.consumer("w").await;
    assert_eq!(claim_one(&consumer).await.task.id, kept);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_task_is_cancelled_at_once() {
    let bed = Bed::new().await;
    let consumer = bed.consumer("w").await;
    let mut cancelled = consumer.cancellations();
    let id = bed
        .put(NewTask {
            result_ttl_s: 60,
            ..task("long", "1")
        })
        .await
        .id;
    let claimed = claim_one(&consumer).await;
    assert_eq!(
        bed.inspector.cancel(&bed.queue, id).await.unwrap(),
        Cancel::Requested
    );
    let heard = tokio::time::timeout(Duration::from_secs(2), cancelled.recv())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(heard, id);
    assert_eq!(
        consumer.finished(&claimed.ticket, Outcome::Cancelled).await,
        Verdict::Applied
    );
    assert_eq!(bed.state(id).await, Some(TaskState::Cancelled));
    let other = bed
        .put(NewTask {
            result_ttl_s: 60,
            ..task("fails", "1")
        })
        .await
        .id;
    let claimed = claim_one(&consumer).await;
    bed.inspector.cancel(&bed.queue, other).await.unwrap();
    consumer.finished(&claimed.ticket, failed("late")).await;
    assert_eq!(
        bed.state(other).await,
        Some(TaskState::Cancelled),
        "a cancelled task is not retried"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_queue_gives_nothing_out() {
    let bed = Bed::new().await;
    bed.inspector.pause(&bed.queue).await.unwrap();
    bed.put(task("a", "1")).await;
    let consumer = bed.consumer("w").await;
    assert!(consumer.claim(1).await.is_empty());
    assert!(bed.inspector.stats(&bed.queue).await.unwrap().paused);
    bed.inspector.resume(&bed.queue).await.unwrap();
    claim_one(&consumer).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rate_limit_holds() {
    let bed = Bed::new().await;
    let limit = RateLimit {
        per_second: 50.0,
        burst: 5,
    };
    bed.inspector
        .set_rate_limit(&bed.queue, Some(limit))
        .await
        .unwrap();
    bed.put_many(30).await;
    let consumer = bed.consumer("w").await;
    let start = tokio::time::Instant::now();
    let first = consumer.claim(100).await;
    assert_eq!(first.len(), 5, "the burst");
    claim(&consumer, 25).await;
    let took = start.elapsed();
    assert!(
        took >= Duration::from_millis(460) && took < Duration::from_secs(3),
        "25 more at 50/s took {took:?}"
    );
    assert_eq!(
        bed.inspector.stats(&bed.queue).await.unwrap().rate_limit,
        Some(limit)
    );
    bed.inspector
        .set_rate_limit(&bed.queue, None)
        .await
        .unwrap();
    bed.put_many(100).await;
    assert_eq!(claim(&consumer, 100).await.len(), 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_and_results_are_seen_and_forgotten() {
    let bed = Bed::new().await;
    let consumer = bed.consumer("w").await;
    let id = bed
        .put(NewTask {
            result_ttl_s: 1,
            ..task("a", "1")
        })
        .await
        .id;
    let claimed = claim_one(&consumer).await;
    assert!(
        consumer
            .progress(&claimed.ticket, &json(r#"{"percent":40}"#))
            .await
            .unwrap()
    );
    let running = bed.inspector.task(&bed.queue, id).await.unwrap().unwrap();
    assert_eq!(running.progress.unwrap().get(), r#"{"percent":40}"#);
    let wait = tokio::spawn({
        let (inspector, queue) = (bed.inspector.clone(), bed.queue.clone());
        async move { inspector.wait(&queue, id, SOON).await }
    });
    consumer
        .finished(&claimed.ticket, Outcome::Done(Some(json("[1]"))))
        .await;
    assert!(
        !consumer
            .progress(&claimed.ticket, &json("1"))
            .await
            .unwrap(),
        "not after the end"
    );
    let seen = wait.await.unwrap().unwrap().unwrap();
    assert_eq!(
        (seen.state, seen.result.unwrap().get()),
        (TaskState::Done, "[1]")
    );
    until_async("the result is forgotten", SOON, async || {
        bed.state(id).await.is_none()
    })
    .await;
    until_async("its key too", SOON, async || {
        !bed.server.command("KEYS *").contains(":res:")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn peek_and_purge_see_what_waits() {
    let bed = Bed::new().await;
    // One after the other: what is put together is spread over lanes, whose batches overtake each other.
    for payload in ["0", "1", "2"] {
        bed.put(task("echo", payload)).await;
    }
    bed.put_many(2497).await;
    bed.put(NewTask {
        when: When::After(60_000),
        ..task("later", "1")
    })
    .await;
    let seen = bed.inspector.peek(&bed.queue, 3).await.unwrap();
    assert_eq!(
        seen.iter()
            .map(|t| t.payload.as_ref().unwrap().get())
            .collect::<Vec<_>>(),
        ["0", "1", "2"]
    );
    let consumer = bed.consumer("w").await;
    let running = claim_one(&consumer).await;
    assert_eq!(bed.inspector.purge(&bed.queue).await.unwrap(), 2500);
    assert_eq!(bed.counts().await, (1, 0, 1), "running tasks stay");
    assert_eq!(
        consumer
            .finished(&running.ticket, Outcome::Done(None))
            .await,
        Verdict::Applied
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_audited_run_is_read_page_by_page() {
    let bed = Bed::new().await;
    let audited = |index| NewTask {
        audit: Some(AuditTag {
            run: "r-1".into(),
            index,
        }),
        ..task("a", "1")
    };
    for index in 0..25 {
        bed.put(audited(index)).await;
    }
    let consumer = bed.consumer("w").await;
    for claimed in claim(&consumer, 25).await {
        consumer.finish(&claimed.ticket, Outcome::Done(None));
    }
    let waiting = bed.put(audited(25)).await.id;
    bed.inspector.cancel(&bed.queue, waiting).await.unwrap();
    consumer.flush().await;
    let (mut seen, mut next) = (Vec::new(), None);
    loop {
        let page = bed
            .inspector
            .audit_read(&bed.queue, "r-1", next.as_deref(), 7)
            .await
            .unwrap();
        if page.records.is_empty() {
            break;
        }
        assert!(page.records.len() <= 7);
        next = Some(page.next);
        seen.extend(page.records);
    }
    seen.sort_unstable();
    assert_eq!(
        seen.iter().map(|r| r[0]).collect::<Vec<_>>(),
        (0..26).collect::<Vec<_>>()
    );
    assert!(
        seen[..25]
            .iter()
            .all(|r| r[1] == 1 && r[2] <= r[3] && r[3] <= r[4] && r[5] == 0)
    );
    assert_eq!(seen[25][5], 3);
    assert!(
        bed.inspector
            .audit_read(&bed.queue, "r-1", Some("x"), 7)
            .await
            .is_err()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn queues_are_served_in_turn() {
    let bed = Bed::new().await;
    let other = QueueName::new("other").unwrap();
    bed.put_many(20).await;
    for _ in 0..20 {
        bed.producer
            .enqueue(&other, Durability::None, task("o", "1"))
            .await
            .unwrap();
    }
    let mut options = bed.options("w");
    options.queues.push(other.clone());
    let consumer = kedactl_queue::Consumer::start(&bed.redis, options)
        .await
        .unwrap();
    let claimed: Vec<_> = {
        let mut all = Vec::new();
        for _ in 0..10 {
            all.push(claim_one(&consumer).await);
        }
        all
    };
    assert_eq!(claimed.iter().filter(|c| c.task.queue == other).count(), 5);
    assert_eq!(
        bed.inspector.queues().await.unwrap(),
        [bed.queue.clone(), other]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn cron_entries_are_kept_listed_and_removed() {
    let bed = Bed::new().await;
    let _schedule = bed.schedule();
    let entry = CronEntry {
        name: "tick".into(),
        schedule: "@every 200ms".parse().unwrap(),
        kind: "beat".into(),
        payload: json("{}"),
        priority: kedactl_queue::Priority::High,
        max_attempts: Some(1),
        timeout_ms: None,
        result_ttl_s: 0,
        catch_up: false,
    };
    bed.inspector.cron_put(&bed.queue, &entry).await.unwrap();
    bed.inspector.cron_put(&bed.queue, &entry).await.unwrap();
    assert_eq!(
        bed.inspector.cron_list(&bed.queue).await.unwrap()[0].name,
        "tick"
    );
    let consumer = bed.consumer("w").await;
    let slots: Vec<_> = claim(&consumer, 3)
        .await
        .iter()
        .map(|c| c.task.id.timestamp_ms())
        .collect();
    assert!(
        slots.iter().all(|s| s % 200 == 0) && slots[0] < slots[1] && slots[1] < slots[2],
        "{slots:?}"
    );
    assert!(bed.inspector.cron_remove(&bed.queue, "tick").await.unwrap());
    assert!(!bed.inspector.cron_remove(&bed.queue, "tick").await.unwrap());
}
