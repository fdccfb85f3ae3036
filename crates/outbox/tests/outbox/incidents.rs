//! Which states are one incident, and so one message; and what becomes of the message of the incident before.

use crate::{Bench, entry_of, taken};
use kedactl_alerts::Status;
use kedactl_outbox::{Claim, Outcome, Sender, Work};

/// Shows what waits, and says by which message.
async fn shown(sender: &mut Sender, message: i64) -> (Option<i64>, Work) {
    let work = taken(sender).await;
    let new = work.message.is_none().then_some(message);
    sender.report(&work, &Outcome::Done(new)).await.unwrap();
    (work.message, work)
}

async fn add(bench: &Bench, alerts: &[(&str, bool, u32)]) {
    let accepted = bench.accept(entry_of(&[1], "g", alerts)).await.unwrap();
    assert_eq!((accepted.duplicate, accepted.updated), (false, 1));
}

#[tokio::test]
async fn a_message_is_changed_until_its_incident_is_over() {
    let bench = Bench::new().await;
    let mut sender = bench.sender();
    let mut used = Vec::new();
    for (at, alerts) in [
        &[("a", true, 0)][..],
        &[("a", true, 0), ("b", true, 1)],
        &[("a", false, 0), ("b", true, 1)],
        // Another Prometheus knows an earlier beginning of the same.
        &[("b", true, 0)],
        &[("b", false, 0)],
        &[("a", true, 2)],
    ]
    .into_iter()
    .enumerate()
    {
        add(&bench, alerts).await;
        used.push(shown(&mut sender, 40 + at as i64).await.0);
    }
    let old = Some(40);
    assert_eq!(used, [None, old, old, old, old, None]);
    assert_eq!(sender.claim().await.unwrap(), Claim::Idle);
}

/// As after a silence, of which Alertmanager tells nobody what ended in it.
#[tokio::test]
async fn an_incident_rings_though_nobody_said_that_the_last_one_ended() {
    let bench = Bench::new().await;
    let mut sender = bench.sender();
    add(&bench, &[("a", true, 0), ("b", true, 0)]).await;
    assert_eq!(shown(&mut sender, 40).await.0, None);
    add(&bench, &[("a", true, 5)]).await;
    // What fires comes first, and rings; then the old message tells its end.
    let (message, work) = shown(&mut sender, 41).await;
    assert_eq!(
        (message, work.status, work.ended),
        (None, Status::Firing, false)
    );
    let (message, work) = shown(&mut sender, 0).await;
    assert_eq!(
        (message, work.status, work.ended),
        (Some(40), Status::Resolved, true)
    );
    assert_eq!(sender.claim().await.unwrap(), Claim::Idle);
    add(&bench, &[("a", false, 5)]).await;
    assert_eq!(shown(&mut sender, 0).await.0, Some(41));
    assert_eq!(sender.claim().await.unwrap(), Claim::Idle);
    assert_eq!(bench.outbox.list(10).await.unwrap(), []);
}

#[tokio::test]
async fn an_end_that_was_not_shown_yet_is_shown_by_the_old_message() {
    let bench = Bench::new().await;
    let mut sender = bench.sender();
    add(&bench, &[("a", true, 0)]).await;
    shown(&mut sender, 40).await;
    for minute in 1..4 {
        add(&bench, &[("a", false, minute - 1)]).await;
        add(&bench, &[("a", true, minute)]).await;
    }
    assert_eq!(shown(&mut sender, 41).await.0, None);
    let (message, work) = shown(&mut sender, 0).await;
    // Its end was told, so it is no guess.
    assert_eq!((message, work.ended), (Some(40), false));
    assert_eq!(sender.claim().await.unwrap(), Claim::Idle);
}

#[tokio::test]
async fn an_incident_that_begins_while_the_last_one_is_being_sent_does_not_get_its_message() {
    let bench = Bench::new().await;
    let mut sender = bench.sender();
    add(&bench, &[("a", true, 0)]).await;
    let first = taken(&mut sender).await;
    add(&bench, &[("a", false, 0)]).await;
    add(&bench, &[("a", true, 1)]).await;
    add(&bench, &[("a", true, 2)]).await;
    sender
        .report(&first, &Outcome::Done(Some(40)))
        .await
        .unwrap();
    assert_eq!(shown(&mut sender, 41).await.0, None);
    let (message, work) = shown(&mut sender, 0).await;
    assert_eq!(
        (message, work.status, work.ended),
        (Some(40), Status::Resolved, false)
    );

    // The end is being shown when it begins anew: that message has nothing left to say.
    add(&bench, &[("a", false, 2)]).await;
    let end = taken(&mut sender).await;
    assert_eq!((end.message, end.status), (Some(41), Status::Resolved));
    add(&bench, &[("a", true, 3)]).await;
    sender.report(&end, &Outcome::Done(None)).await.unwrap();
    assert_eq!(shown(&mut sender, 42).await.0, None);
    assert_eq!(sender.claim().await.unwrap(), Claim::Idle);
    assert_eq!(bench.outbox.depth().await.unwrap().counts["split"], 1);
}

#[tokio::test]
async fn what_failed_meanwhile_goes_its_own_way_too() {
    for outcome in [Outcome::Gone, Outcome::Moved(2)] {
        let bench = Bench::new().await;
        let mut sender = bench.sender();
        add(&bench, &[("a", true, 0)]).await;
        shown(&mut sender, 40).await;
        add(&bench, &[("a", true, 0), ("b", true, 0)]).await;
        let edit = taken(&mut sender).await;
        assert_eq!(edit.message, Some(40));
        add(&bench, &[("c", true, 1)]).await;
        sender.report(&edit, &outcome).await.unwrap();
        assert_eq!(shown(&mut sender, 41).await.0, None);
        // A message that somebody took away has no end to tell; one whose chat moved is there.
        if outcome != Outcome::Gone {
            let (message, work) = shown(&mut sender, 0).await;
            assert_eq!((message, work.chat.id), (Some(40), 2));
        }
        assert_eq!(sender.claim().await.unwrap(), Claim::Idle);
    }
}
