//! Buttons: what they stand for, who asks for presses, and that each is acted upon once.

use crate::{Bench, WITHIN, entry, entry_of, taken};
use kedactl_alerts::{Marks, Silence};
use kedactl_outbox::{Begun, Claim, GroupId, Outcome, Poll, Poller, Sender, Work};
use kedactl_testkit::until_async;
use std::time::Duration;

const FOR: Duration = Duration::from_secs(30);

fn silenced(by: &str) -> Marks {
    Marks {
        silence: Some(Silence {
            until: 1,
            by: by.to_owned(),
        }),
        ..Marks::default()
    }
}

/// Shows what waits.
async fn shown(sender: &mut Sender) -> Work {
    let work = taken(sender).await;
    let message = work.message.is_none().then_some(40);
    sender.report(&work, &Outcome::Done(message)).await.unwrap();
    work
}

async fn polling(bench: &Bench, from: i64) -> Poller {
    let mut poller = Poller::new(&bench.outbox, FOR);
    assert_eq!(poller.poll().await.unwrap(), Poll::From(from));
    poller
}

#[tokio::test]
async fn one_asks_at_a_time() {
    let bench = Bench::new().await;
    let mut first = polling(&bench, 0).await;
    let mut second = Poller::new(&bench.outbox, Duration::from_millis(100));
    let Poll::Wait(time) = second.poll().await.unwrap() else {
        panic!("two ask at a time");
    };
    assert!(time > FOR / 2 && time <= FOR);
    assert_eq!(second.begin(1, "x").await.unwrap(), Begun::Ousted);
    assert!(!second.acted(1, "x", None, &[]).await.unwrap());
    // What keeps it keeps it for the same one.
    let mut keeper = first.keeper(&bench.outbox);
    assert!(keeper.keep().await.unwrap());
    assert!(!second.keeper(&bench.outbox).keep().await.unwrap());
    first.leave().await.unwrap();
    assert_eq!(second.poll().await.unwrap(), Poll::From(0));
    // One that is not heard of any more is ousted.
    until_async("the first asks again", WITHIN, || async {
        Poller::new(&bench.outbox, FOR).poll().await.unwrap() == Poll::From(0)
    })
    .await;
    second.leave().await.unwrap();
    assert_eq!(second.begin(1, "x").await.unwrap(), Begun::Ousted);
}

#[tokio::test]
async fn a_press_changes_its_message_once() {
    let bench = Bench::new().await;
    bench.add(&[1, 2], "a", "firing", 0).await;
    let mut sender = bench.sender();
    let (first, second) = (shown(&mut sender).await, shown(&mut sender).await);
    let button = first.button.clone().unwrap();
    assert!(second.button.is_some() && second.button != first.button);

    let mut poller = polling(&bench, 0).await;
    for again in [false, true] {
        let Begun::Wanted(wanted) = poller.begin(7, &button).await.unwrap() else {
            panic!("the button stands for its group");
        };
        assert_eq!((wanted.again, wanted.route.as_str()), (again, "default"));
        assert_eq!(
            (&wanted.state, &wanted.marks),
            (&first.state, &Marks::default())
        );
    }
    let marks = silenced("ann");
    let others = [
        second.group.clone(),
        first.group.clone(),
        GroupId::new(first.chat, "none"),
    ];
    for _ in 0..2 {
        assert!(
            poller
                .acted(7, &button, Some(&marks), &others)
                .await
                .unwrap()
        );
    }
    assert_eq!(poller.begin(7, &button).await.unwrap(), Begun::Known);
    assert_eq!(poller.poll().await.unwrap(), Poll::From(8));
    for _ in 0..2 {
        let work = shown(&mut sender).await;
        assert_eq!((work.message, work.number), (Some(40), 2));
        assert_eq!(work.marks, marks);
    }
    assert_eq!(sender.claim().await.unwrap(), Claim::Idle);
    // Who comes next knows what was done.
    poller.leave().await.unwrap();
    let mut next = polling(&bench, 8).await;
    assert_eq!(next.begin(7, &button).await.unwrap(), Begun::Known);
    let Begun::Wanted(wanted) = next.begin(8, &button).await.unwrap() else {
        panic!("the button is there");
    };
    assert_eq!(wanted.marks, marks);
}

#[tokio::test]
async fn a_mark_that_comes_while_its_message_is_sent_is_shown_after_it() {
    let bench = Bench::new().await;
    bench.add(&[1], "a", "firing", 0).await;
    let mut sender = bench.sender();
    let button = shown(&mut sender).await.button.unwrap();
    bench
        .accept(entry_of(&[1], "a", &[("a", true, 0), ("b", true, 1)]))
        .await
        .unwrap();
    let edit = taken(&mut sender).await;
    let mut poller = polling(&bench, 0).await;
    assert!(matches!(
        poller.begin(1, &button).await.unwrap(),
        Begun::Wanted(_)
    ));
    assert!(
        poller
            .acted(1, &button, Some(&silenced("bob")), &[])
            .await
            .unwrap()
    );
    sender.report(&edit, &Outcome::Done(None)).await.unwrap();
    let work = shown(&mut sender).await;
    assert_eq!(
        (work.number, &work.marks),
        (edit.number + 1, &silenced("bob"))
    );
    // Neither a new state nor an end takes it away.
    bench
        .accept(entry_of(&[1], "a", &[("a", false, 0), ("b", true, 1)]))
        .await
        .unwrap();
    assert_eq!(shown(&mut sender).await.marks, silenced("bob"));
}

#[tokio::test]
async fn a_button_stands_for_nothing_when_its_incident_is_over() {
    let bench = Bench::new().await;
    let mut sender = bench.sender();
    let mut poller = polling(&bench, 0).await;
    bench.add(&[1], "a", "firing", 0).await;
    let first = shown(&mut sender).await.button.unwrap();
    assert!(
        poller
            .acted(1, &first, Some(&silenced("ann")), &[])
            .await
            .unwrap()
    );
    shown(&mut sender).await;

    bench.add(&[1], "a", "resolved", 0).await;
    assert_eq!(poller.begin(2, &first).await.unwrap(), Begun::Nothing);
    let end = shown(&mut sender).await;
    assert_eq!((end.button, end.marks), (None, silenced("ann")));
    // The next incident has a button of its own, and nobody did anything about it yet.
    bench.add(&[1], "a", "firing", 1).await;
    let work = shown(&mut sender).await;
    let second = work.button.clone().unwrap();
    assert!(second != first && work.marks == Marks::default());
    assert_eq!(poller.begin(2, &first).await.unwrap(), Begun::Nothing);
    assert!(matches!(
        poller.begin(2, &second).await.unwrap(),
        Begun::Wanted(_)
    ));

    // One whose end nobody told of keeps its marks, and its button goes.
    assert!(
        poller
            .acted(2, &second, Some(&silenced("bob")), &[])
            .await
            .unwrap()
    );
    shown(&mut sender).await;
    bench.add(&[1], "a", "firing", 9).await;
    assert_eq!(shown(&mut sender).await.marks, Marks::default());
    let old = shown(&mut sender).await;
    assert_eq!(
        (old.ended, old.marks, old.button),
        (true, silenced("bob"), None)
    );
    assert_eq!(poller.begin(3, &second).await.unwrap(), Begun::Nothing);
    assert_eq!(poller.begin(3, "nonsense").await.unwrap(), Begun::Nothing);
}

/// Alertmanager tells nobody what ends in a silence: it has to be asked.
#[tokio::test]
async fn what_fired_before_a_silence_is_asked_for_after_it() {
    let bench = Bench::new().await;
    bench.add(&[1], "a", "firing", 0).await;
    let mut sender = bench.sender();
    let button = shown(&mut sender).await.button.unwrap();
    let mut poller = polling(&bench, 0).await;
    // One that ended in 1970.
    let marks = silenced("ann");
    assert_eq!(poller.unsilenced().await.unwrap(), None);
    for (press, over) in [(1, false), (2, true)] {
        assert!(
            poller
                .acted(press, &button, Some(&marks), &[])
                .await
                .unwrap()
        );
        assert_eq!(shown(&mut sender).await.marks, marks);
        let mut due = poller.unsilenced().await.unwrap().expect("it is over");
        assert_eq!(due.marks, marks);
        // Nobody else is asked at the same time.
        assert_eq!(poller.unsilenced().await.unwrap(), None);
        due.marks = Marks::default();
        poller.settle(&due, over).await.unwrap();
        let work = shown(&mut sender).await;
        assert_eq!((work.message, &work.marks), (Some(40), &Marks::default()));
        assert_eq!((work.ended, work.button.is_none()), (over, over));
        assert_eq!(poller.unsilenced().await.unwrap(), None);
    }
    assert_eq!(poller.begin(3, &button).await.unwrap(), Begun::Nothing);
    // What fires after it is a new incident, though nobody told of its beginning.
    bench.add(&[1], "a", "firing", 1).await;
    assert_eq!(shown(&mut sender).await.message, None);
    assert_eq!(sender.claim().await.unwrap(), Claim::Idle);
}

#[tokio::test]
async fn what_came_after_a_silence_is_not_undone_by_an_answer_from_before() {
    let bench = Bench::new().await;
    bench.add(&[1], "a", "firing", 0).await;
    let mut sender = bench.sender();
    let button = shown(&mut sender).await.button.unwrap();
    let mut poller = polling(&bench, 0).await;
    assert!(
        poller
            .acted(1, &button, Some(&silenced("ann")), &[])
            .await
            .unwrap()
    );
    shown(&mut sender).await;
    let due = poller.unsilenced().await.unwrap().expect("it is over");
    bench
        .accept(entry_of(&[1], "a", &[("a", true, 0), ("b", true, 1)]))
        .await
        .unwrap();
    poller.settle(&due, true).await.unwrap();
    let work = shown(&mut sender).await;
    assert!(!work.ended && work.button.is_some());
    assert_eq!(sender.claim().await.unwrap(), Claim::Idle);

    // Neither is an end that was a guess shown as told, where it fires anew before anybody saw it.
    let Some(due) = ({
        poller
            .acted(2, &button, Some(&silenced("ann")), &[])
            .await
            .unwrap();
        shown(&mut sender).await;
        poller.unsilenced().await.unwrap()
    }) else {
        panic!("it is over");
    };
    poller.settle(&due, true).await.unwrap();
    bench
        .accept(entry_of(&[1], "a", &[("c", true, 9)]))
        .await
        .unwrap();
    let fresh = shown(&mut sender).await;
    let old = shown(&mut sender).await;
    assert_eq!((fresh.message, fresh.ended), (None, false));
    assert_eq!((old.message, old.ended), (Some(40), true));
}

#[tokio::test]
async fn words_of_ours_have_no_buttons() {
    let bench = Bench::new().await;
    let mut notice = entry(&[1], "a", "firing", 0);
    notice.route = String::new();
    notice.state = kedactl_outbox::State::Notice("a word".to_owned());
    bench.accept(notice).await.unwrap();
    assert_eq!(taken(&mut bench.sender()).await.button, None);
}
