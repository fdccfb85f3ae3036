//! The lock of a stack.

use std::time::Duration;

use kedactl_cluster::{Class, Error, Held, Holder};
use kedactl_exec::CancellationToken;
use serde_json::json;

use crate::lab::{Lab, lab};

fn elsewhere() -> Holder {
    Holder {
        who: "bob@other".into(),
        boot: "another-boot".into(),
        process: Holder::own("x").process,
    }
}

async fn acquire(lab: &Lab, holder: &Holder) -> Result<Held, Error> {
    let never = CancellationToken::new();
    Held::acquire(&lab.cluster, &lab.stack, holder, &never).await
}

#[tokio::test]
async fn a_live_holder_is_named_and_keeps_the_lock() {
    lab("lock", |lab| async move {
        lab.create(lab.home()).await;
        let held = acquire(&lab, &elsewhere()).await.unwrap();
        let start = tokio::time::Instant::now();
        let error = acquire(&lab, &Holder::own("alice@here")).await.unwrap_err();
        assert!(
            start.elapsed() < Duration::from_secs(10),
            "{:?}",
            start.elapsed()
        );
        assert_eq!(error.class(), Class::Locked);
        assert!(error.to_string().contains("bob@other (process "), "{error}");
        held.check().unwrap();
        held.release().await.unwrap();
        let lease = lab.at("coordination.k8s.io/v1", "Lease", &lab.stack.lease_name());
        assert!(lab.get(&lease).await.is_none());
        acquire(&lab, &Holder::own("alice@here"))
            .await
            .unwrap()
            .release()
            .await
            .unwrap();
    })
    .await;
}

#[tokio::test]
async fn the_lock_of_a_dead_run_is_taken_over() {
    lab("dead", |lab| async move {
        lab.create(lab.home()).await;
        // On another machine: when it runs out.
        let held = acquire(&lab, &elsewhere()).await.unwrap();
        drop(held);
        let start = tokio::time::Instant::now();
        let mine = acquire(&lab, &Holder::own("alice@here")).await.unwrap();
        assert!(
            start.elapsed() > Duration::from_secs(8) && start.elapsed() < Duration::from_secs(25),
            "{:?}",
            start.elapsed()
        );
        mine.release().await.unwrap();
        // On this machine: at once.
        let mut dead = Holder::own("carol@here");
        dead.process = dead.process.map(|mut it| {
            it.start_time += 1;
            it
        });
        drop(acquire(&lab, &dead).await.unwrap());
        let start = tokio::time::Instant::now();
        let mine = acquire(&lab, &Holder::own("alice@here")).await.unwrap();
        assert!(
            start.elapsed() < Duration::from_secs(2),
            "{:?}",
            start.elapsed()
        );
        mine.release().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_lock_that_was_taken_is_noticed() {
    lab("lost", |lab| async move {
        lab.create(lab.home()).await;
        let held = acquire(&lab, &elsewhere()).await.unwrap();
        let lease = lab.at("coordination.k8s.io/v1", "Lease", &lab.stack.lease_name());
        lab.merge(
            &lease,
            "test",
            json!({"spec": {"holderIdentity": "mallory"}}),
        )
        .await;
        lab.until("the loss", 15, || async { held.check().is_err() })
            .await;
        let error = held.check().unwrap_err();
        assert!(error.to_string().contains("another run took it"), "{error}");
        held.release().await.unwrap();
        assert!(lab.get(&lease).await.is_some(), "it is not ours to delete");
    })
    .await;
}
