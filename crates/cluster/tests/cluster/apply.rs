//! Apply, inventory, ownership and prune.

use std::time::Duration;

use kedactl_cluster::{Adopt, Error, Inventory, Outcome, Run};
use serde_json::json;

use crate::lab::{Lab, SLEEP, changes, lab, options, version};

fn all(lab: &Lab) -> Vec<serde_json::Value> {
    vec![
        lab.home(),
        lab.map("config", "1"),
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "secret", "namespace": lab.namespace}, "stringData": {"a": "hidden-value"}}),
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": lab.namespace},
            "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]}}),
        lab.deployment("web", SLEEP),
        lab.scaler("web"),
    ]
}

#[tokio::test]
async fn a_second_apply_changes_no_resource_version() {
    lab("second", |lab| async move {
        let objects = all(&lab);
        let (first, _) = lab.apply(&objects).await.unwrap();
        assert!(
            changes(&first)
                .iter()
                .all(|(_, change)| *change == "created"),
            "{first:?}"
        );
        let inventory = lab.at("v1", "ConfigMap", &lab.stack.inventory_name());
        let before = version(&lab.get(&inventory).await.unwrap());
        let names: Vec<_> = first.iter().map(|it| it.object.clone()).collect();
        lab.ready(&names, 90).await.unwrap();
        let start = tokio::time::Instant::now();
        let (second, pruned) = lab.apply(&objects).await.unwrap();
        assert!(
            start.elapsed() < Duration::from_secs(2),
            "{:?}",
            start.elapsed()
        );
        assert!(
            second.iter().all(|it| !it.changed()) && pruned.is_empty(),
            "{second:?}"
        );
        assert_eq!(before, version(&lab.get(&inventory).await.unwrap()));
        let lease = lab.at("coordination.k8s.io/v1", "Lease", &lab.stack.lease_name());
        assert!(lab.get(&lease).await.is_none(), "the lock is given back");
        let config = lab.at("v1", "ConfigMap", "config");
        let (third, _) = lab.apply(&objects).await.unwrap();
        let of = |list: &[kedactl_cluster::Applied]| {
            list.iter()
                .find(|it| it.object == config)
                .unwrap()
                .resource_version
                .clone()
        };
        assert_eq!(of(&second), of(&third));
    })
    .await;
}

#[tokio::test]
async fn a_hand_edit_is_told_and_put_back_on_request() {
    lab("edit", |lab| async move {
        let objects = [lab.deployment("web", SLEEP), lab.map("config", "1")];
        lab.apply(&objects).await.unwrap();
        let web = lab.at("apps/v1", "Deployment", "web");
        lab.edit(
            &web,
            "kubectl-edit",
            json!({"spec": {"template": {"spec": {"terminationGracePeriodSeconds": 7}}}}),
        )
        .await;
        let error = lab.apply(&objects).await.unwrap_err();
        let Error::Conflict(conflicts) = &error else {
            panic!("{error}")
        };
        let it = &conflicts[0];
        assert_eq!(
            (it.manager.as_str(), it.theirs.as_str(), it.ours.as_str()),
            ("kubectl-edit", "7", "1")
        );
        assert_eq!(
            it.field,
            ".spec.template.spec.terminationGracePeriodSeconds"
        );
        assert!(error.hint().unwrap().contains("--revert-edits"));
        let mut options = options();
        options.revert_edits = true;
        let (applied, _) = lab.apply_with(&objects, options).await.unwrap();
        let reverted: Vec<_> = applied.iter().flat_map(|it| it.reverted.clone()).collect();
        assert_eq!(
            reverted,
            [".spec.template.spec.terminationGracePeriodSeconds"]
        );
        let live = lab.get(&web).await.unwrap();
        assert_eq!(
            live["spec"]["template"]["spec"]["terminationGracePeriodSeconds"],
            1
        );
        // A removed field has no owner: it comes back without a word from anybody.
        let config = lab.at("v1", "ConfigMap", "config");
        lab.merge(&config, "kubectl-edit", json!({"data": {"key": null}}))
            .await;
        let (applied, _) = lab.apply(&objects).await.unwrap();
        assert!(changes(&applied).contains(&("ConfigMap config".into(), "changed")));
        assert_eq!(lab.get(&config).await.unwrap()["data"]["key"], "1");
    })
    .await;
}

#[tokio::test]
async fn a_controllers_field_is_never_taken() {
    lab("controller", |lab| async move {
        let objects = [lab.map("config", "1")];
        lab.apply(&objects).await.unwrap();
        let config = lab.at("v1", "ConfigMap", "config");
        lab.merge(&config, "some-operator", json!({"data": {"key": "theirs"}}))
            .await;
        let mut options = options();
        options.revert_edits = true;
        let error = lab.apply_with(&objects, options).await.unwrap_err();
        assert!(
            error
                .to_string()
                .contains("belongs to some-operator, which set \"theirs\""),
            "{error}"
        );
        assert_eq!(lab.get(&config).await.unwrap()["data"]["key"], "theirs");
    })
    .await;
}

#[tokio::test]
async fn prune_takes_what_inventory_and_label_both_name() {
    lab("prune", |lab| async move {
        let claim = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data", "namespace": lab.namespace},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}}});
        let names = ["stays", "goes", "disowned", "edited-away"];
        let mut objects: Vec<_> = names.iter().map(|name| lab.map(name, "1")).collect();
        objects.push(claim);
        lab.apply(&objects).await.unwrap();
        let stranger = lab.map("stranger", "1");
        lab.create(stranger).await;
        let disowned = lab.at("v1", "ConfigMap", "disowned");
        lab.merge(&disowned, "kubectl-label", json!({"metadata": {"labels": {"kedactl.io/stack": null}}})).await;
        let (_, removed) = lab.apply(&objects[..1]).await.unwrap();
        let outcome = |name: &str| removed.iter().find(|it| it.object.name == name).map(|it| it.outcome.clone());
        assert_eq!(outcome("goes"), Some(Outcome::Deleted));
        assert!(matches!(outcome("disowned"), Some(Outcome::Disowned { .. })));
        assert!(matches!(outcome("data"), Some(Outcome::Kept { .. })));
        assert_eq!(outcome("stranger"), None);
        for (name, there) in [("stays", true), ("goes", false), ("disowned", true), ("stranger", true)] {
            assert_eq!(lab.get(&lab.at("v1", "ConfigMap", name)).await.is_some(), there, "{name}");
        }
        let inventory = Inventory::read(&lab.cluster, &lab.stack).await.unwrap().unwrap();
        assert!(inventory.holds(&lab.at("v1", "PersistentVolumeClaim", "data")), "what is kept is not forgotten");
        assert!(!inventory.holds(&disowned));
    })
    .await;
}

#[tokio::test]
async fn a_foreign_object_stops_the_run_before_it_writes() {
    lab("foreign", |lab| async move {
        lab.create(lab.home()).await;
        lab.create(lab.map("taken", "theirs")).await;
        let mut helm = lab.map("helms", "theirs");
        helm["metadata"]["annotations"] =
            json!({"meta.helm.sh/release-name": "redis", "meta.helm.sh/release-namespace": "x"});
        helm["metadata"]["labels"] = json!({"app.kubernetes.io/managed-by": "Helm"});
        lab.create(helm).await;
        let objects = [lab.map("new", "1"), lab.map("taken", "ours")];
        let error = lab.apply(&objects).await.unwrap_err();
        assert!(
            matches!(
                error,
                Error::Foreign {
                    adoptable: true,
                    ..
                }
            ),
            "{error}"
        );
        assert!(error.hint().unwrap().contains("--adopt"));
        assert!(lab.get(&lab.at("v1", "ConfigMap", "new")).await.is_none());
        assert!(
            Inventory::read(&lab.cluster, &lab.stack)
                .await
                .unwrap()
                .is_none()
        );
        let mut options = options();
        options.adopt = Adopt::Unowned;
        let helms = [lab.map("helms", "ours")];
        let error = lab.apply_with(&helms, options.clone()).await.unwrap_err();
        assert!(
            error
                .to_string()
                .contains("Helm release redis in namespace x"),
            "{error}"
        );
        lab.merge(
            &lab.at("v1", "ConfigMap", "taken"),
            "kubectl-create",
            json!({"data": {"key": "theirs"}}),
        )
        .await;
        let outcome = lab.apply_with(&objects, options).await;
        // Created by a program of unknown name: its values are not taken, and the error says whose they are.
        match outcome {
            Ok((applied, _)) => assert_eq!(applied.len(), 2),
            Err(error) => assert!(matches!(error, Error::Conflict(_)), "{error}"),
        }
    })
    .await;
}

#[tokio::test]
async fn a_run_that_dies_after_writing_its_inventory_is_made_good() {
    lab("killed", |lab| async move {
        let doomed = [lab.map("a", "1"), lab.map("never", "1")];
        let run = Run::begin(&lab.cluster, &lab.stack, &doomed, &[], options())
            .await
            .unwrap();
        drop(run);
        let inventory = Inventory::read(&lab.cluster, &lab.stack)
            .await
            .unwrap()
            .unwrap();
        assert!(inventory.holds(&lab.at("v1", "ConfigMap", "never")));
        let (applied, removed) = lab.apply(&[lab.map("a", "1")]).await.unwrap();
        assert_eq!(changes(&applied), [("ConfigMap a".to_owned(), "created")]);
        assert!(
            removed.iter().all(|it| it.outcome == Outcome::Absent),
            "{removed:?}"
        );
        let inventory = Inventory::read(&lab.cluster, &lab.stack)
            .await
            .unwrap()
            .unwrap();
        assert!(!inventory.holds(&lab.at("v1", "ConfigMap", "never")));
    })
    .await;
}

#[tokio::test]
async fn a_target_that_becomes_autoscaled_keeps_its_replicas() {
    lab("handover", |lab| async move {
        let mut web = lab.deployment("web", SLEEP);
        web["spec"]["replicas"] = 2.into();
        lab.apply(std::slice::from_ref(&web)).await.unwrap();
        let autoscaler = json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": "web", "namespace": lab.namespace},
            "spec": {"minReplicas": 2, "maxReplicas": 4, "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
                "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}}]}});
        let objects = [web, autoscaler];
        lab.apply(&objects).await.unwrap();
        let web = lab.at("apps/v1", "Deployment", "web");
        assert_eq!(lab.get(&web).await.unwrap()["spec"]["replicas"], 2);
        lab.merge(&web, "kube-controller-manager", json!({"spec": {"replicas": 3}})).await;
        let (applied, _) = lab.apply(&objects).await.unwrap();
        assert!(applied.iter().all(|it| !it.changed()), "replicas are the autoscaler's: {applied:?}");
        assert_eq!(lab.get(&web).await.unwrap()["spec"]["replicas"], 3);
    })
    .await;
}

#[tokio::test]
async fn a_definition_and_its_object_come_in_one_set() {
    lab("definition", |lab| async move {
        let group = format!("{}.example.org", lab.namespace);
        let definition = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": format!("widgets.{group}")},
            "spec": {"group": group, "scope": "Namespaced", "names": {"kind": "Widget", "plural": "widgets"},
                "versions": [{"name": "v1", "served": true, "storage": true,
                    "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}]}});
        let widget = json!({"apiVersion": format!("{group}/v1"), "kind": "Widget", "metadata": {"name": "w"}, "spec": {"a": 1}});
        let objects = [widget, definition];
        let (applied, _) = lab.apply(&objects).await.unwrap();
        assert!(applied.iter().all(kedactl_cluster::Applied::changed));
        let (applied, _) = lab.apply(&objects).await.unwrap();
        assert!(!applied.iter().any(kedactl_cluster::Applied::changed), "{applied:?}");
        let mut options = kedactl_cluster::DownOptions::new(kedactl_cluster::Holder::own("test"));
        options.data = kedactl_cluster::Data::Purge;
        let step = kedactl_plan::Step::start(&kedactl_plan::Discard, "down", "down");
        kedactl_cluster::down(&lab.cluster, &lab.stack, options, &step).await.unwrap().unwrap();
        let definition = kedactl_cluster::ObjectRef::new("apiextensions.k8s.io/v1", "CustomResourceDefinition", None, &format!("widgets.{group}"));
        assert!(lab.get(&definition).await.is_none());
    })
    .await;
}

#[tokio::test]
async fn pod_security_warnings_are_reported() {
    lab("warnings", |lab| async move {
        let mut home = lab.home();
        home["metadata"]["labels"] = json!({"pod-security.kubernetes.io/warn": "restricted"});
        let good = lab.deployment("good", SLEEP);
        let mut bad = lab.deployment("bad", SLEEP);
        bad["spec"]["template"]["spec"]["securityContext"] = json!({});
        let (applied, _) = lab.apply(&[home, good, bad]).await.unwrap();
        let warnings = |name: &str| {
            applied
                .iter()
                .find(|it| it.object.name == name)
                .unwrap()
                .warnings
                .clone()
        };
        assert!(warnings("good").is_empty(), "{:?}", warnings("good"));
        assert!(
            warnings("bad")[0].contains("runAsNonRoot"),
            "{:?}",
            warnings("bad")
        );
    })
    .await;
}
