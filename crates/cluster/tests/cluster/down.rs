//! Teardown: order, data, finalizers, and the second time.

use std::collections::BTreeMap;
use std::time::Duration;

use kedactl_cluster::{
    Data, DownOptions, Holder, Inventory, Made, ObjectRef, Outcome, Removed, Run, Wanted,
    ensure_secret, read_secret,
};
use kedactl_plan::{Discard, Step};
use serde_json::{Value as Json, json};

use crate::lab::{Lab, SLEEP, lab, options};

async fn down(lab: &Lab, data: Data) -> Option<Vec<Removed>> {
    let mut options = DownOptions::new(Holder::own("test@here"));
    options.data = data;
    let step = Step::start(&Discard, "down", "down");
    kedactl_cluster::down(&lab.cluster, &lab.stack, options, &step)
        .await
        .unwrap()
}

fn claim(lab: &Lab) -> Json {
    json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data", "namespace": lab.namespace},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}}})
}

#[tokio::test]
async fn a_namespace_with_a_scaler_goes_and_the_second_time_is_nothing() {
    lab("purge", |lab| async move {
        let objects = [
            lab.home(),
            lab.deployment("web", SLEEP),
            lab.scaler("web"),
            claim(&lab),
        ];
        let (applied, _) = lab.apply(&objects).await.unwrap();
        let names: Vec<_> = applied.iter().map(|it| it.object.clone()).collect();
        lab.ready(&names, 90).await.unwrap();
        let start = tokio::time::Instant::now();
        let removed = down(&lab, Data::Purge).await.unwrap();
        assert!(
            start.elapsed() < Duration::from_secs(90),
            "{:?}",
            start.elapsed()
        );
        assert!(
            removed.iter().all(|it| it.outcome == Outcome::Deleted),
            "{removed:?}"
        );
        assert_eq!(removed.len(), 4);
        let home = ObjectRef::new("v1", "Namespace", None, &lab.namespace);
        assert!(lab.get(&home).await.is_none());
        assert!(down(&lab, Data::Purge).await.is_none());
    })
    .await;
}

/// A Secret that was made once and got a key later; what was there stays.
async fn completed_secret(lab: &Lab) -> ObjectRef {
    let wanted: BTreeMap<String, Wanted> = [("password".to_owned(), Wanted::Random(32))].into();
    let (secret, made) = ensure_secret(&lab.cluster, &lab.stack, &lab.namespace, "redis", &wanted)
        .await
        .unwrap();
    assert_eq!(made, Made::Created);
    let first = read_secret(&lab.cluster, &lab.namespace, "redis")
        .await
        .unwrap();
    let more: BTreeMap<String, Wanted> = [
        ("password".to_owned(), Wanted::Given("other".into())),
        ("token".to_owned(), Wanted::Given("t".into())),
    ]
    .into();
    let (_, made) = ensure_secret(&lab.cluster, &lab.stack, &lab.namespace, "redis", &more)
        .await
        .unwrap();
    assert_eq!(made, Made::Completed);
    let now = read_secret(&lab.cluster, &lab.namespace, "redis")
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        now["password"],
        first.unwrap()["password"],
        "what is there stays"
    );
    assert_eq!(now["token"], "t");
    secret
}

#[tokio::test]
async fn data_and_generated_secrets_stay_until_they_are_purged() {
    lab("keep", |lab| async move {
        lab.create(lab.home()).await;
        let secret = completed_secret(&lab).await;
        let objects = [lab.map("config", "1"), claim(&lab)];
        let run = Run::begin(
            &lab.cluster,
            &lab.stack,
            &objects,
            std::slice::from_ref(&secret),
            options(),
        )
        .await
        .unwrap();
        let step = Step::start(&Discard, "apply", "apply");
        run.apply(|_| true, &step).await.unwrap();
        assert!(run.finish(&step).await.unwrap().is_empty());

        let removed = down(&lab, Data::Keep).await.unwrap();
        let kept: Vec<&str> = removed
            .iter()
            .filter(|it| matches!(it.outcome, Outcome::Kept { .. }))
            .map(|it| it.object.kind.as_str())
            .collect();
        assert_eq!(kept, ["PersistentVolumeClaim", "Secret"]);
        assert!(
            lab.get(&lab.at("v1", "ConfigMap", "config"))
                .await
                .is_none()
        );
        let inventory = Inventory::read(&lab.cluster, &lab.stack)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(inventory.len(), 2);
        let again = down(&lab, Data::Keep).await.unwrap();
        assert!(
            again
                .iter()
                .all(|it| matches!(it.outcome, Outcome::Kept { .. }))
        );

        let removed = down(&lab, Data::Purge).await.unwrap();
        assert!(
            removed.iter().all(|it| it.outcome == Outcome::Deleted),
            "{removed:?}"
        );
        assert!(
            Inventory::read(&lab.cluster, &lab.stack)
                .await
                .unwrap()
                .is_none()
        );
        let home = ObjectRef::new("v1", "Namespace", None, &lab.namespace);
        assert!(lab.get(&home).await.is_some(), "kedactl did not create it");
        assert!(down(&lab, Data::Purge).await.is_none());
    })
    .await;
}

#[tokio::test]
async fn claims_of_stateful_sets_are_purged_with_them() {
    lab("claims", |lab| async move {
        lab.create(lab.home()).await;
        let mut set = lab.deployment("redis", SLEEP);
        set["kind"] = "StatefulSet".into();
        set["spec"]["serviceName"] = "redis".into();
        set["spec"]["volumeClaimTemplates"] = json!([{"metadata": {"name": "data"},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}}}]);
        lab.apply(&[set]).await.unwrap();
        let claim = lab.at("v1", "PersistentVolumeClaim", "data-redis-0");
        lab.until("the claim", 30, || async { lab.get(&claim).await.is_some() }).await;
        let removed = down(&lab, Data::Purge).await.unwrap();
        assert!(removed.iter().any(|it| it.object == claim && it.outcome == Outcome::Deleted), "{removed:?}");
    })
    .await;
}

#[tokio::test]
async fn a_finalizer_that_nobody_removes_is_named() {
    lab("stuck", |lab| async move {
        lab.apply(&[lab.map("held", "1")]).await.unwrap();
        let held = lab.at("v1", "ConfigMap", "held");
        lab.merge(
            &held,
            "test",
            json!({"metadata": {"finalizers": ["example.org/never"]}}),
        )
        .await;
        let mut options = DownOptions::new(Holder::own("test@here"));
        options.patience = Duration::from_secs(2);
        let step = Step::start(&Discard, "down", "down");
        let error = kedactl_cluster::down(&lab.cluster, &lab.stack, options, &step)
            .await
            .unwrap_err();
        assert!(
            error
                .to_string()
                .contains("it waits for finalizer example.org/never"),
            "{error}"
        );
        lab.merge(&held, "test", json!({"metadata": {"finalizers": null}}))
            .await;
        down(&lab, Data::Keep).await.unwrap();
        assert!(lab.get(&held).await.is_none());
    })
    .await;
}
