//! Diff, plan, and the read side.

use std::collections::BTreeMap;
use std::time::Duration;

use kedactl_cluster::{
    Action, Adopt, Class, Diff, LogOptions, Plan, Secrets, follow_logs, pods, scalers,
};
use serde_json::{Value as Json, json};
use tokio::sync::mpsc;

use crate::lab::{Lab, SLEEP, lab};

async fn diff(lab: &Lab, objects: &[Json]) -> Diff {
    kedactl_cluster::diff(&lab.cluster, &lab.stack, objects, &[], Adopt::Refuse)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_diff_shows_what_an_apply_would_do_and_nothing_else() {
    lab("diff", |lab| async move {
        let secret = |value: &str| json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": lab.namespace}, "stringData": {"p": value}});
        let objects = [lab.home(), lab.map("config", "1"), secret("hidden-one"), lab.deployment("web", SLEEP), lab.scaler("web")];
        let new = diff(&lab, &objects).await;
        assert_eq!(new.count(|it| *it == Action::Create), 5, "{new:?}");
        let (applied, _) = lab.apply(&objects).await.unwrap();
        let names: Vec<_> = applied.iter().map(|it| it.object.clone()).collect();
        lab.ready(&names, 90).await.unwrap();
        let web = lab.at("apps/v1", "Deployment", "web");
        lab.merge(&web, "kube-controller-manager", json!({"spec": {"replicas": 3}})).await;
        let same = diff(&lab, &objects).await;
        assert!(!same.has_changes(), "replicas belong to the autoscaler: {same:?}");

        let changed = [lab.home(), lab.map("config", "2"), secret("hidden-two"), lab.deployment("web", SLEEP)];
        let it = diff(&lab, &changed).await;
        let action = |name: &str, kind: &str| it.objects.iter().find(|it| it.object.name == name && it.object.kind == kind).unwrap().clone();
        assert_eq!(action("config", "ConfigMap").action, Action::Change { drift: false });
        assert_eq!(action("config", "ConfigMap").fields[0].path, ".data.key");
        assert_eq!(action("web", "ScaledObject").action, Action::Delete);
        let shown = serde_json::to_string(&it).unwrap();
        assert!(shown.contains("***(10 B, sha256:") && !shown.contains("hidden"), "{shown}");

        lab.merge(&lab.at("v1", "ConfigMap", "config"), "kubectl-edit", json!({"data": {"key": null}})).await;
        let it = diff(&lab, &objects).await;
        let config = it.objects.iter().find(|it| it.object.name == "config").unwrap();
        assert_eq!(config.action, Action::Change { drift: true });
    })
    .await;
}

#[tokio::test]
async fn a_plan_is_refused_once_the_world_changed() {
    lab("plan", |lab| async move {
        let objects = [
            lab.home(),
            lab.map("config", "1"),
            lab.deployment("web", SLEEP),
        ];
        lab.apply(&objects).await.unwrap();
        let next = [
            lab.home(),
            lab.map("config", "2"),
            lab.deployment("web", SLEEP),
        ];
        let pins: BTreeMap<String, String> =
            [("chart redis".to_owned(), "sha256:1".to_owned())].into();
        let made = Plan::make(
            &lab.cluster,
            &lab.stack,
            &next,
            &[],
            Adopt::Refuse,
            pins.clone(),
        )
        .await
        .unwrap();
        let plan = made.0;
        assert!(plan.has_changes());
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("plan.json");
        plan.save(&path).unwrap();
        let plan = Plan::load(&path).unwrap();
        let verify = |objects: Vec<Json>| {
            let (plan, lab, pins) = (plan.clone(), lab.clone(), pins.clone());
            async move {
                plan.verify(
                    &lab.cluster,
                    &lab.stack,
                    &objects,
                    &[],
                    Adopt::Refuse,
                    &pins,
                )
                .await
            }
        };
        lab.ready(&[lab.at("apps/v1", "Deployment", "web")], 60)
            .await
            .unwrap();
        verify(next.to_vec()).await.unwrap();
        let error = verify(objects.to_vec()).await.unwrap_err();
        assert!(
            error.to_string().contains("rendered differently"),
            "{error}"
        );
        lab.merge(
            &lab.at("v1", "ConfigMap", "config"),
            "kubectl-edit",
            json!({"data": {"more": "x"}}),
        )
        .await;
        let error = verify(next.to_vec()).await.unwrap_err();
        assert_eq!(error.class(), Class::Locked);
        assert!(
            error.to_string().contains("config changed on the cluster"),
            "{error}"
        );
    })
    .await;
}

#[tokio::test]
async fn logs_go_on_over_a_pod_that_is_replaced() {
    lab("logs", |lab| async move {
        let talk = "trap 'exit 0' TERM; n=0; while :; do echo line $n of $HOSTNAME token-abcdef; n=$((n+1)); sleep 0.2 & wait $!; done";
        lab.apply(&[lab.deployment("web", talk)]).await.unwrap();
        let web = lab.at("apps/v1", "Deployment", "web");
        lab.ready(std::slice::from_ref(&web), 60).await.unwrap();
        let mut secrets = Secrets::default();
        secrets.add("token-abcdef");
        let options = LogOptions { namespaces: vec![lab.namespace.clone()], components: vec!["web".into()], follow: true, secrets, ..LogOptions::default() };
        let (sender, mut lines) = mpsc::channel(64);
        let cluster = lab.cluster.clone();
        let reader = tokio::spawn(async move { follow_logs(&cluster, options, sender).await });
        let first = lines.recv().await.unwrap();
        assert!(first.text.starts_with("line 0 of ") && first.text.ends_with(" ***"), "{first:?}");
        let before = pods(&lab.cluster, &lab.namespace, None).await.unwrap();
        let pod = lab.at("v1", "Pod", &before[0].name);
        let api: kube::Api<k8s_openapi::api::core::v1::Pod> = kube::Api::namespaced(lab.cluster.client().clone(), &lab.namespace);
        api.delete(&pod.name, &kube::api::DeleteParams::default()).await.unwrap();
        let mut seen: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let deadline = Duration::from_mins(1);
        tokio::time::timeout(deadline, async {
            while seen.len() < 2 || seen.iter().any(|(name, it)| *name != pod.name && it.len() < 5) {
                let line = lines.recv().await.unwrap();
                seen.entry(line.pod).or_default().push(line.text);
            }
        })
        .await
        .unwrap();
        for (pod, texts) in &seen {
            let mut unique = texts.clone();
            unique.sort();
            unique.dedup();
            assert_eq!(unique.len(), texts.len(), "no line twice from {pod}");
        }
        drop(lines);
        reader.await.unwrap().unwrap();
    })
    .await;
}

#[tokio::test]
async fn the_read_side_shows_pods_and_scalers() {
    lab("views", |lab| async move {
        let objects = [lab.deployment("web", SLEEP), lab.scaler("web")];
        let (applied, _) = lab.apply(&objects).await.unwrap();
        let names: Vec<_> = applied.iter().map(|it| it.object.clone()).collect();
        lab.ready(&names, 90).await.unwrap();
        let all = pods(&lab.cluster, &lab.namespace, None).await.unwrap();
        assert_eq!(
            (
                all[0].component.as_str(),
                all[0].ready,
                all[0].containers[0].state.as_str()
            ),
            ("web", true, "running")
        );
        let all = scalers(&lab.cluster, &lab.namespace).await.unwrap();
        assert_eq!(
            (
                all[0].target.as_str(),
                all[0].ready,
                all[0].autoscaler.as_str()
            ),
            ("Deployment web", true, "keda-hpa-web")
        );
        let all = kedactl_cluster::autoscalers(&lab.cluster, &lab.namespace)
            .await
            .unwrap();
        assert_eq!((all[0].name.as_str(), all[0].max), ("keda-hpa-web", 3));
        let about = lab.at(
            "v1",
            "Pod",
            &pods(&lab.cluster, &lab.namespace, None).await.unwrap()[0].name,
        );
        let all = kedactl_cluster::events(&lab.cluster, &lab.namespace, Some(&about))
            .await
            .unwrap();
        assert!(all.iter().any(|it| it.reason == "Scheduled"), "{all:?}");
    })
    .await;
}
