//! Readiness with reasons, by causes that are made on purpose.

use std::time::Duration;

use kedactl_cluster::{Error, NotReady, ReadyOptions, Secrets};
use kedactl_plan::{Collect, Step};
use serde_json::{Value as Json, json};

use crate::lab::{Lab, SLEEP, lab};

async fn fails(lab: &Lab, object: Json, seconds: u64) -> NotReady {
    let name = object["metadata"]["name"].as_str().unwrap().to_owned();
    let reference = lab.at(
        object["apiVersion"].as_str().unwrap(),
        object["kind"].as_str().unwrap(),
        &name,
    );
    lab.apply(&[object]).await.unwrap();
    let secrets = Secrets::of([&json!({"kind": "Secret", "stringData": {"p": "s3cret-value"}})]);
    let options = ReadyOptions {
        secrets,
        ..ReadyOptions::within(Duration::from_secs(seconds))
    };
    let events = Collect::default();
    let step = Step::start(&events, "ready", "ready");
    match kedactl_cluster::ready(&lab.cluster, &[reference], &options, &step).await {
        Err(Error::NotReady(it)) => *it,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_program_that_crashes_is_told_with_its_last_words() {
    lab("crash", |lab| async move {
        let it = fails(
            &lab,
            lab.deployment("web", "echo cannot reach redis with s3cret-value; exit 3"),
            150,
        )
        .await;
        let failure = &it.failures[0];
        assert!(!it.timed_out, "{it}");
        assert_eq!(failure.reason, "CrashLoopBackOff");
        assert!(failure.detail.contains("exit code 3"), "{failure}");
        assert_eq!(failure.log, ["cannot reach redis with ***"]);
        assert!(
            failure
                .event
                .as_deref()
                .unwrap_or_default()
                .contains("ack-off"),
            "{:?}",
            failure.event
        );
    })
    .await;
}

#[tokio::test]
async fn an_image_that_is_not_there_is_told_within_seconds() {
    lab("image", |lab| async move {
        let mut web = lab.deployment("web", SLEEP);
        web["spec"]["template"]["spec"]["containers"][0]["image"] = "localhost/none:1".into();
        web["spec"]["template"]["spec"]["containers"][0]["imagePullPolicy"] = "Never".into();
        let it = fails(&lab, web, 60).await;
        assert_eq!(it.failures[0].reason, "ErrImageNeverPull");
        assert!(
            !it.timed_out && it.failures[0].cure.contains("localhost/none:1"),
            "{it:?}"
        );
        let mut pulled = lab.deployment("pulled", SLEEP);
        pulled["spec"]["template"]["spec"]["containers"][0]["image"] =
            "registry.invalid/none:1".into();
        let it = fails(&lab, pulled, 90).await;
        assert!(
            ["ErrImagePull", "ImagePullBackOff"].contains(&it.failures[0].reason.as_str()),
            "{it:?}"
        );
        assert!(!it.timed_out);
    })
    .await;
}

#[tokio::test]
async fn a_missing_secret_is_told_by_name() {
    lab("config", |lab| async move {
        let mut web = lab.deployment("web", SLEEP);
        web["spec"]["template"]["spec"]["containers"][0]["env"] =
            json!([{"name": "P", "valueFrom": {"secretKeyRef": {"name": "no-such-secret", "key": "p"}}}]);
        let it = fails(&lab, web, 60).await;
        assert_eq!(it.failures[0].reason, "CreateContainerConfigError");
        assert!(it.failures[0].detail.contains("no-such-secret"), "{it}");
    })
    .await;
}

#[tokio::test]
async fn a_pod_that_fits_nowhere_is_told_in_the_schedulers_words() {
    lab("schedule", |lab| async move {
        let mut web = lab.deployment("web", SLEEP);
        web["spec"]["template"]["spec"]["containers"][0]["resources"]["requests"]["cpu"] =
            "900".into();
        let it = fails(&lab, web, 60).await;
        let failure = &it.failures[0];
        assert_eq!(failure.reason, "Unschedulable");
        assert!(
            failure.detail.contains("Insufficient cpu") && failure.cure.contains("requests"),
            "{failure}"
        );
    })
    .await;
}

#[tokio::test]
async fn a_claim_that_cannot_bind_is_told_before_its_pod() {
    lab("claim", |lab| async move {
        let mut set = lab.deployment("redis", SLEEP);
        set["kind"] = "StatefulSet".into();
        set["spec"]["serviceName"] = "redis".into();
        set["spec"]["volumeClaimTemplates"] = json!([{"metadata": {"name": "data"},
            "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": "no-such-class", "resources": {"requests": {"storage": "1Mi"}}}}]);
        set["spec"]["template"]["spec"]["containers"][0]["volumeMounts"] = json!([{"name": "data", "mountPath": "/data"}]);
        let it = fails(&lab, set, 60).await;
        assert_eq!(it.failures[0].reason, "StorageClassMissing", "{it}");
        assert!(it.failures[0].detail.contains("no-such-class"), "{it}");
    })
    .await;
}

#[tokio::test]
async fn quota_and_pod_security_are_told_though_no_pod_exists() {
    lab("quota", |lab| async move {
        let quota = json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "small", "namespace": lab.namespace}, "spec": {"hard": {"pods": "0"}}});
        let mut home = lab.home();
        home["metadata"]["labels"] = json!({"pod-security.kubernetes.io/enforce": "restricted"});
        lab.apply(&[home.clone(), quota.clone()]).await.unwrap();
        let web = lab.deployment("web", SLEEP);
        lab.apply(&[home.clone(), quota.clone(), web]).await.unwrap();
        let reference = lab.at("apps/v1", "Deployment", "web");
        let error = lab.ready(&[reference], 60).await.unwrap_err();
        assert!(error.to_string().contains("exceeded quota"), "{error}");
        assert!(error.hint().unwrap().contains("ResourceQuota"));
        let mut bad = lab.deployment("bad", SLEEP);
        bad["spec"]["template"]["spec"]["securityContext"] = json!({});
        lab.apply(&[home, bad]).await.unwrap();
        let error = lab.ready(&[lab.at("apps/v1", "Deployment", "bad")], 60).await.unwrap_err();
        assert!(error.to_string().contains("PodSecurity"), "{error}");
    })
    .await;
}

#[tokio::test]
async fn a_scaler_is_ready_with_its_autoscaler_and_a_later_run_recovers() {
    lab("recover", |lab| async move {
        let bad = lab.deployment("web", "exit 1");
        let it = fails(&lab, bad, 150).await;
        assert_eq!(it.failures[0].reason, "CrashLoopBackOff");
        let objects = [lab.deployment("web", SLEEP), lab.scaler("web")];
        let (applied, _) = lab.apply(&objects).await.unwrap();
        let names: Vec<_> = applied.iter().map(|it| it.object.clone()).collect();
        lab.ready(&names, 90).await.unwrap();
        let hpa = lab.at("autoscaling/v2", "HorizontalPodAutoscaler", "keda-hpa-web");
        assert!(lab.get(&hpa).await.is_some());
    })
    .await;
}

#[tokio::test]
async fn time_that_is_over_names_what_was_waited_for() {
    lab("late", |lab| async move {
        let mut web = lab.deployment("web", SLEEP);
        web["spec"]["template"]["spec"]["containers"][0]["readinessProbe"] =
            json!({"exec": {"command": ["/bin/sh", "-c", "exit 1"]}, "periodSeconds": 1});
        let it = fails(&lab, web, 12).await;
        assert!(it.timed_out && it.failures.is_empty(), "{it:?}");
        assert!(it.pending[0].why.contains("0 of 1 pods"), "{it}");
    })
    .await;
}
