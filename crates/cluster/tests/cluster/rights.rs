//! Clusters and rights that are not what one hoped for.

use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kedactl_cluster::{Admission, Class, Cluster, Guard, Target};
use kube::config::Kubeconfig;
use serde_json::json;

use crate::lab::{Lab, kubeconfig, lab, target};

#[tokio::test]
async fn a_cluster_is_known_by_its_uid() {
    let cluster = Cluster::connect(&target()).await.unwrap();
    assert_eq!(cluster.uid().len(), 36);
    assert!(cluster.version().starts_with("v1."));
    let bound = Guard {
        recorded: Some(cluster.uid().into()),
        ..Guard::default()
    };
    assert_eq!(bound.check(&cluster).unwrap(), Admission::Bound);
    let allowed = Guard {
        recorded: Some("other".into()),
        allowed: Some(cluster.uid()[..8].into()),
        ..Guard::default()
    };
    assert_eq!(allowed.check(&cluster).unwrap(), Admission::Allowed);
    let error = Guard {
        recorded: Some("other".into()),
        ..Guard::default()
    }
    .check(&cluster)
    .unwrap_err();
    assert_eq!(error.class(), Class::Refused);
    assert!(
        error
            .hint()
            .unwrap()
            .contains(&format!("--allow-cluster {}", &cluster.uid()[..8]))
    );
}

/// Connects as an account that may do what the rules say in the test's namespace.
async fn as_account(lab: &Lab, rules: serde_json::Value) -> Cluster {
    lab.create(lab.home()).await;
    let at = |version: &str, kind: &str, rest: serde_json::Value| {
        let mut it = json!({"apiVersion": version, "kind": kind, "metadata": {"name": "limited", "namespace": lab.namespace}});
        it.as_object_mut()
            .unwrap()
            .extend(rest.as_object().unwrap().clone());
        it
    };
    let rbac = "rbac.authorization.k8s.io/v1";
    let subjects =
        json!([{"kind": "ServiceAccount", "name": "limited", "namespace": lab.namespace}]);
    lab.create(at("v1", "ServiceAccount", json!({}))).await;
    lab.create(at(rbac, "Role", json!({"rules": rules}))).await;
    let role = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "limited"});
    lab.create(at(
        rbac,
        "RoleBinding",
        json!({"subjects": subjects, "roleRef": role}),
    ))
    .await;
    let accounts: kube::Api<ServiceAccount> =
        kube::Api::namespaced(lab.cluster.client().clone(), &lab.namespace);
    let request = TokenRequest {
        spec: TokenRequestSpec {
            audiences: vec![],
            ..Default::default()
        },
        ..Default::default()
    };
    let token = accounts
        .create_token_request("limited", &kube::api::PostParams::default(), &request)
        .await
        .unwrap()
        .status
        .unwrap()
        .token;
    // The cluster's identity is for everybody who may get namespaces; this role is removed with the account's namespace.
    let mut file = Kubeconfig::read_from(kubeconfig()).unwrap();
    for user in &mut file.auth_infos {
        user.auth_info = Some(serde_json::from_value(json!({"token": token})).unwrap());
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config");
    std::fs::write(&path, serde_json::to_string(&file).unwrap()).unwrap();
    let denied = Cluster::connect(&Target::new(&path, target().context)).await;
    let error = denied.unwrap_err();
    assert!(
        error.hint().unwrap().contains("get namespaces"),
        "{:?}",
        error.hint()
    );
    let grant = |name: String| {
        vec![
            json!({"apiVersion": rbac, "kind": "Role", "metadata": {"name": name, "namespace": "kube-system"},
                "rules": [{"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get"]}]}),
            json!({"apiVersion": rbac, "kind": "RoleBinding", "metadata": {"name": name, "namespace": "kube-system"}, "subjects": subjects,
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name}}),
        ]
    };
    let objects = grant(lab.namespace.clone());
    for object in &objects {
        lab.create(object.clone()).await;
    }
    let cluster = Cluster::connect(&Target::new(&path, target().context)).await;
    for object in &objects {
        lab.delete(object).await;
    }
    cluster.unwrap()
}

#[tokio::test]
async fn a_missing_right_for_one_kind_is_named() {
    lab("rights", |lab| async move {
        let rules = json!([
            {"apiGroups": ["", "coordination.k8s.io"], "resources": ["namespaces", "configmaps", "leases"], "verbs": ["*"]}]);
        let limited = Lab { cluster: as_account(&lab, rules).await, ..lab.clone() };
        let (applied, _) = limited.apply(&[lab.map("config", "1")]).await.unwrap();
        assert_eq!(applied.len(), 1);
        let error = limited.apply(&[lab.map("config", "1"), lab.deployment("web", "exit 0")]).await.unwrap_err();
        let mut told = error.to_string();
        let mut source = std::error::Error::source(&error);
        while let Some(inner) = source {
            told += &format!(": {inner}");
            source = inner.source();
        }
        assert!(told.contains("deployments.apps is forbidden"), "{told}");
        assert!(error.hint().unwrap().contains("list deployments"), "{:?}", error.hint());
        assert_eq!(limited.apply(&[lab.map("config", "1")]).await.unwrap().0.len(), 1, "the lock was given back");
    })
    .await;
}
