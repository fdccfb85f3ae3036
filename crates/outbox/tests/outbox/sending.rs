//! Whose turn it is, how often, and what becomes of what was taken.

use crate::{Bench, LEASE, WITHIN, chat, entry, fast, group_of, taken, taken_in_time};
use kedactl_outbox::{Claim, Kind, Outcome, Pace, Reported, Sender};
use kedactl_testkit::until_async;
use std::time::Duration;

#[tokio::test]
async fn what_fires_comes_first_and_the_oldest_of_it() {
    let bench = Bench::new().await;
    for (group, status) in [
        ("a", "resolved"),
        ("b", "firing"),
        ("c", "firing"),
        ("d", "resolved"),
    ] {
        bench.add(&[1], group, status, 0).await;
        bench.next_millisecond().await;
    }
    let mut sender = bench.sender();
    let mut order = String::new();
    while let Claim::Work(work) = sender.claim().await.unwrap() {
        order += group_of(&work);
        sender.report(&work, &Outcome::Done(Some(1))).await.unwrap();
    }
    assert_eq!(order, "bcad");
}

#[tokio::test]
async fn a_chat_a_group_chat_and_all_together_have_their_pace() {
    let bench = Bench::new().await;
    for group in ["a", "b", "c", "d"] {
        bench.add(&[1, -2], group, "firing", 0).await;
    }
    let pace = Pace {
        gap: Duration::from_millis(200),
        most: 2,
        window: Duration::from_mins(1),
        rate: 100_000,
    };
    let mut sender = Sender::new(&bench.outbox, pace.clone(), LEASE);
    let mut chats = Vec::new();
    for _ in 0..2 {
        let work = taken(&mut sender).await;
        chats.push(work.chat.id);
        sender.report(&work, &Outcome::Done(Some(1))).await.unwrap();
    }
    chats.sort_unstable();
    assert_eq!(chats, [-2, 1]);
    let Claim::Wait(time) = sender.claim().await.unwrap() else {
        panic!("both chats have had their turn");
    };
    assert!(time <= pace.gap, "{time:?}");
    // The group chat has one more call in its minute, the person all of the others.
    let mut later = Vec::new();
    for _ in 0..4 {
        let work = taken_in_time(&mut sender).await;
        later.push(work.chat.id);
        sender.report(&work, &Outcome::Done(Some(1))).await.unwrap();
    }
    assert_eq!(later.iter().filter(|it| **it == -2).count(), 1);
    let Claim::Wait(time) = sender.claim().await.unwrap() else {
        panic!("the minute of the group chat is not over");
    };
    assert!(time > Duration::from_secs(50), "{time:?}");

    let slow = Pace { rate: 1, ..fast() };
    bench.add(&[9, 10], "a", "resolved", 0).await;
    let mut sender = Sender::new(&bench.outbox, slow, LEASE);
    let work = taken(&mut sender).await;
    sender.report(&work, &Outcome::Done(Some(1))).await.unwrap();
    assert!(
        matches!(sender.claim().await.unwrap(), Claim::Wait(time) if time <= Duration::from_secs(1))
    );
}

#[tokio::test]
async fn a_chat_has_one_call_at_a_time_and_its_pause_begins_with_the_end_of_it() {
    let bench = Bench::new().await;
    for group in ["a", "b"] {
        bench.add(&[1], group, "firing", 0).await;
    }
    let pace = Pace {
        gap: Duration::from_millis(300),
        ..fast()
    };
    let mut sender = Sender::new(&bench.outbox, pace, LEASE);
    let work = taken(&mut sender).await;
    let until_the_lease_ends = sender.claim().await.unwrap();
    assert!(
        matches!(until_the_lease_ends, Claim::Wait(time) if time > LEASE / 2),
        "{until_the_lease_ends:?}"
    );
    let ended = bench.redis.now_us();
    sender.report(&work, &Outcome::Done(Some(1))).await.unwrap();
    taken_in_time(&mut sender).await;
    assert!(bench.redis.now_us() - ended >= 290_000);
}

#[tokio::test]
async fn what_fires_in_one_chat_comes_before_what_is_over_in_another() {
    let bench = Bench::new().await;
    bench.add(&[1, 2, 3, 4, 5], "over", "resolved", 0).await;
    bench.next_millisecond().await;
    bench.add(&[9], "now", "firing", 0).await;
    let mut sender = bench.sender();
    assert_eq!(taken(&mut sender).await.chat, chat(9));
}

#[tokio::test]
async fn each_call_for_a_state_has_its_turn() {
    let bench = Bench::new().await;
    let mut topic = entry(&[-1], "a", "firing", 0);
    topic.chats[0].thread = Some(7);
    bench.accept(topic.clone()).await.unwrap();
    let mut sender = bench.sender();
    let work = taken(&mut sender).await;
    assert_eq!((work.chat.thread, work.plain), (Some(7), false));
    let lost = Outcome::NoTopic(Duration::from_mins(10));
    assert_eq!(sender.report(&work, &lost).await.unwrap(), Reported::News);
    let work = taken(&mut sender).await;
    assert_eq!((work.chat.thread, work.plain), (None, false));
    sender.report(&work, &Outcome::NotHtml).await.unwrap();
    let work = taken(&mut sender).await;
    assert_eq!((work.chat.thread, work.plain), (None, true));
    sender.report(&work, &Outcome::Done(Some(1))).await.unwrap();
    // A new state may be HTML that is taken; its topic is passed over for its time.
    let mut next = entry(&[-1], "a", "resolved", 0);
    next.chats[0].thread = Some(7);
    bench.accept(next).await.unwrap();
    let work = taken(&mut sender).await;
    assert_eq!((work.chat.thread, work.plain), (None, false));
    assert_eq!(sender.report(&work, &lost).await.unwrap(), Reported::Well);
    let counts = bench.outbox.depth().await.unwrap().counts;
    assert_eq!((counts["plain"], counts["topics_lost"]), (1, 2));
}

#[tokio::test]
async fn a_server_that_takes_no_writes_says_so() {
    let bench = Bench::new().await;
    let mut prober = bench.outbox.prober();
    let now = prober.probe().await.unwrap();
    let known = Duration::from_micros(bench.redis.now_us());
    assert!(now.abs_diff(known) < Duration::from_secs(5));
    bench.server.command("CONFIG SET maxmemory 1");
    let refused = prober.probe().await.unwrap_err();
    assert!(format!("{refused:?}").contains("OOM"), "{refused:?}");
    bench.server.command("CONFIG SET maxmemory 0");
    prober.probe().await.unwrap();
}

#[tokio::test]
async fn what_a_sender_left_is_taken_by_another_and_shown_once_more_if_it_comes_back() {
    let bench = Bench::new().await;
    bench.add(&[1], "a", "firing", 0).await;
    let mut dead = Sender::new(&bench.outbox, fast(), Duration::from_millis(50));
    let left = taken(&mut dead).await;
    let mut sender = bench.sender();
    let again = taken_in_time(&mut sender).await;
    assert_eq!(again.group, left.group);
    sender
        .report(&again, &Outcome::Done(Some(7)))
        .await
        .unwrap();
    assert_eq!(sender.claim().await.unwrap(), Claim::Idle);
    // It was not dead, only slow, and what it wrote may have come last.
    let done = Outcome::Done(None);
    assert_eq!(dead.report(&left, &done).await.unwrap(), Reported::Late);
    let once_more = taken(&mut sender).await;
    assert_eq!((once_more.message, once_more.number), (Some(7), 1));
    sender.report(&once_more, &done).await.unwrap();
    assert_eq!(sender.claim().await.unwrap(), Claim::Idle);
}

/// As after a fail-over in the middle of a call: what was sent need not be sent again.
#[tokio::test]
async fn a_message_that_is_reported_late_is_that_of_its_incident() {
    for (anew, expected) in [(false, Some(40)), (true, None)] {
        let bench = Bench::new().await;
        bench.add(&[1], "a", "firing", 0).await;
        let lease = Duration::from_millis(300);
        let mut late = Sender::new(&bench.outbox, fast(), lease);
        let work = taken(&mut late).await;
        // Whoever has sent something a moment ago sees that the lease is over, and has to wait.
        bench.add(&[2], "b", "firing", 0).await;
        let slow = Pace { rate: 1, ..fast() };
        let mut other = Sender::new(&bench.outbox, slow, LEASE);
        assert_eq!(taken(&mut other).await.chat, chat(2));
        let over = bench.redis.now_us() + 310_000;
        let later = || async { bench.redis.now_us() > over };
        until_async("the lease is over", WITHIN, later).await;
        assert!(matches!(other.claim().await.unwrap(), Claim::Wait(_)));
        if anew {
            bench.add(&[1], "a", "firing", 5).await;
        }
        let done = Outcome::Done(Some(40));
        assert_eq!(late.report(&work, &done).await.unwrap(), Reported::Late);
        assert_eq!(taken_in_time(&mut other).await.message, expected);
    }
}

#[tokio::test]
async fn a_chat_that_moved_takes_everything_with_it() {
    let bench = Bench::new().await;
    for group in ["a", "b", "c"] {
        bench.add(&[-5], group, "firing", 0).await;
    }
    let mut sender = bench.sender();
    let work = taken(&mut sender).await;
    sender.report(&work, &Outcome::Moved(-1005)).await.unwrap();
    for _ in 0..3 {
        let work = taken(&mut sender).await;
        assert_eq!(work.chat, chat(-1005));
        sender.report(&work, &Outcome::Done(Some(1))).await.unwrap();
    }
    // The configuration has the old id for as long as nobody changes it.
    bench.add(&[-5], "a", "resolved", 0).await;
    let work = taken(&mut sender).await;
    assert_eq!((work.chat, work.message), (chat(-1005), Some(1)));
}

#[tokio::test]
async fn what_is_refused_again_and_again_is_dead_until_an_operator_says_otherwise() {
    let bench = Bench::new().await;
    bench.add(&[1], "poison", "firing", 0).await;
    let mut sender = bench.sender();
    for _ in 0..5 {
        let work = taken(&mut sender).await;
        let refused = Outcome::Refused(5, "message text is empty".to_owned());
        sender.report(&work, &refused).await.unwrap();
    }
    assert_eq!(sender.claim().await.unwrap(), Claim::Idle);
    let rows = bench.outbox.list(10).await.unwrap();
    assert_eq!((rows.len(), rows[0].kind), (1, Kind::Dead));
    assert_eq!(rows[0].why, "message text is empty");
    assert_eq!(bench.outbox.retry(Some(&rows[0].group)).await.unwrap(), 1);
    let work = taken(&mut sender).await;
    sender
        .report(&work, &Outcome::Refused(1, "still".to_owned()))
        .await
        .unwrap();
    // A new state of it is worth a try.
    bench.add(&[1], "poison", "resolved", 0).await;
    let work = taken(&mut sender).await;
    sender
        .report(&work, &Outcome::Refused(1, "no".to_owned()))
        .await
        .unwrap();
    assert_eq!(bench.outbox.drop_groups(None).await.unwrap(), 1);
    assert_eq!(bench.outbox.list(10).await.unwrap(), []);
}

#[tokio::test]
async fn a_closed_chat_waits_and_the_others_go_on() {
    let bench = Bench::new().await;
    for group in ["a", "b"] {
        bench.add(&[1, 2], group, "firing", 0).await;
    }
    let mut sender = bench.sender();
    let closed = Outcome::Closed(Duration::from_mins(5), "bot was kicked".to_owned());
    let mut others = 0;
    while let Claim::Work(work) = sender.claim().await.unwrap() {
        let outcome = if work.chat == chat(1) {
            &closed
        } else {
            others += 1;
            &Outcome::Done(Some(1))
        };
        let news = work.chat == chat(1);
        let said = sender.report(&work, outcome).await.unwrap();
        assert_eq!(said == Reported::News, news);
    }
    assert_eq!(others, 2);
    let depth = bench.outbox.depth().await.unwrap();
    assert_eq!((depth.waiting, depth.closed_chats), (2, 1));
    let rows = bench.outbox.list(10).await.unwrap();
    assert!(
        rows.iter()
            .all(|it| it.why == "bot was kicked" && it.chat == 1)
    );
    // Somebody let it in again.
    bench.outbox.retry(None).await.unwrap();
    for _ in 0..2 {
        let work = taken(&mut sender).await;
        sender.report(&work, &Outcome::Done(Some(1))).await.unwrap();
    }
    assert_eq!(bench.outbox.depth().await.unwrap().closed_chats, 0);
}

#[tokio::test]
async fn what_failed_is_tried_again_after_its_time() {
    let bench = Bench::new().await;
    bench.add(&[1], "a", "firing", 0).await;
    let mut sender = bench.sender();
    let work = taken(&mut sender).await;
    let failed = Outcome::Failed(Duration::from_millis(300), "HTTP 502".to_owned());
    sender.report(&work, &failed).await.unwrap();
    assert!(
        matches!(sender.claim().await.unwrap(), Claim::Wait(time) if time <= Duration::from_millis(300))
    );
    let again = taken_in_time(&mut sender).await;
    assert_eq!(again.tries, 1);
    let later = Outcome::Later(Duration::from_millis(100));
    sender.report(&again, &later).await.unwrap();
    let again = taken_in_time(&mut sender).await;
    sender.report(&again, &Outcome::Gone).await.unwrap();
    let again = taken(&mut sender).await;
    assert_eq!(again.message, None);
    let depth = bench.outbox.depth().await.unwrap();
    assert_eq!((depth.counts["retried"], depth.counts["limited"]), (1, 1));
    assert_eq!(entry(&[1], "a", "firing", 0).chats, [chat(1)]);
}
