//! A namespace of one test's own, and what tests have in common.

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use kedactl_cluster::{
    Applied, Change, Cluster, Error, Holder, ObjectRef, Options, ReadyOptions, Removed, Stack,
    Target,
};
use kedactl_plan::{Discard, Step};
use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams, PostParams};
use serde_json::{Value as Json, json};

#[expect(
    clippy::disallowed_methods,
    reason = "the one place where these tests read the environment"
)]
pub(crate) fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

pub(crate) fn kubeconfig() -> PathBuf {
    setting("KEDACTL_TEST_KUBECONFIG")
        .expect("KEDACTL_TEST_KUBECONFIG names the kubeconfig of a cluster for tests")
        .into()
}

fn context() -> String {
    setting("KEDACTL_TEST_CONTEXT").unwrap_or_else(|| {
        let file = kube::config::Kubeconfig::read_from(kubeconfig()).unwrap();
        file.contexts[0].name.clone()
    })
}

/// An image with a shell that is on the nodes.
fn image() -> String {
    setting("KEDACTL_TEST_IMAGE").unwrap_or_else(|| "localhost/kedactl/sample:1".into())
}

pub(crate) fn target() -> Target {
    Target::new(kubeconfig(), context())
}

#[derive(Clone)]
pub(crate) struct Lab {
    pub(crate) cluster: Cluster,
    pub(crate) stack: Stack,
    pub(crate) namespace: String,
}

/// Runs a test in a namespace of its own, which is gone afterwards whatever happens.
pub(crate) async fn lab<F, T>(name: &str, test: F)
where
    F: FnOnce(Lab) -> T,
    T: Future<Output = ()> + Send + 'static,
{
    let cluster = Cluster::connect(&target()).await.unwrap();
    let nanos = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .subsec_nanos();
    let namespace = format!("kt-{name}-{nanos:x}");
    let stack = Stack::new(format!("s-{nanos:x}"), &namespace).unwrap();
    let lab = Lab {
        cluster,
        stack,
        namespace,
    };
    let outcome = tokio::spawn(test(lab.clone())).await;
    lab.clean().await;
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic.into_panic());
    }
}

fn resource(it: &ObjectRef) -> ApiResource {
    let (group, version) = it
        .api_version
        .split_once('/')
        .unwrap_or(("", &it.api_version));
    ApiResource::from_gvk(&kube::core::GroupVersionKind::gvk(group, version, &it.kind))
}

pub(crate) fn options() -> Options {
    Options::new(Holder::own("test@here"))
}

impl Lab {
    fn api(&self, it: &ObjectRef) -> Api<DynamicObject> {
        let client = self.cluster.client().clone();
        match &it.namespace {
            Some(namespace) => Api::namespaced_with(client, namespace, &resource(it)),
            None => Api::all_with(client, &resource(it)),
        }
    }

    async fn clean(&self) {
        let home = ObjectRef::new("v1", "Namespace", None, &self.namespace);
        self.api(&home)
            .delete(&self.namespace, &kube::api::DeleteParams::default())
            .await
            .ok();
        self.until("the namespace to go", 120, || async {
            self.get(&home).await.is_none()
        })
        .await;
    }

    pub(crate) async fn until<T: Future<Output = bool>>(
        &self,
        what: &str,
        seconds: u64,
        mut is: impl FnMut() -> T,
    ) {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(seconds);
        while !is().await {
            assert!(
                tokio::time::Instant::now() < deadline,
                "waited {seconds} s for {what}"
            );
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// A reference in the test's namespace.
    pub(crate) fn at(&self, version: &str, kind: &str, name: &str) -> ObjectRef {
        ObjectRef::new(version, kind, Some(&self.namespace), name)
    }

    pub(crate) async fn get(&self, it: &ObjectRef) -> Option<Json> {
        let found = self.api(it).get_opt(&it.name).await.unwrap()?;
        Some(serde_json::to_value(found).unwrap())
    }

    /// Creates an object that is not ours.
    pub(crate) async fn create(&self, body: Json) {
        let it = ObjectRef::of(&body).unwrap();
        let object: DynamicObject = serde_json::from_value(body).unwrap();
        self.api(&it)
            .create(&PostParams::default(), &object)
            .await
            .unwrap();
    }

    pub(crate) async fn delete(&self, body: &Json) {
        let it = ObjectRef::of(body).unwrap();
        self.api(&it)
            .delete(&it.name, &kube::api::DeleteParams::default())
            .await
            .unwrap();
    }

    /// Changes an object as another manager does.
    pub(crate) async fn edit(&self, it: &ObjectRef, manager: &str, body: Json) {
        let params = PatchParams {
            field_manager: Some(manager.into()),
            ..PatchParams::default()
        };
        self.api(it)
            .patch(&it.name, &params, &Patch::Strategic(body))
            .await
            .unwrap();
    }

    pub(crate) async fn merge(&self, it: &ObjectRef, manager: &str, body: Json) {
        let params = PatchParams {
            field_manager: Some(manager.into()),
            ..PatchParams::default()
        };
        self.api(it)
            .patch(&it.name, &params, &Patch::Merge(body))
            .await
            .unwrap();
    }

    pub(crate) async fn apply(
        &self,
        objects: &[Json],
    ) -> Result<(Vec<Applied>, Vec<Removed>), Error> {
        self.apply_with(objects, options()).await
    }

    pub(crate) async fn apply_with(
        &self,
        objects: &[Json],
        options: Options,
    ) -> Result<(Vec<Applied>, Vec<Removed>), Error> {
        let step = Step::start(&Discard, "apply", "apply");
        kedactl_cluster::apply(&self.cluster, &self.stack, objects, &[], options, &step).await
    }

    pub(crate) async fn ready(&self, objects: &[ObjectRef], seconds: u64) -> Result<(), Error> {
        let options = ReadyOptions::within(Duration::from_secs(seconds));
        let step = Step::start(&Discard, "ready", "ready");
        kedactl_cluster::ready(&self.cluster, objects, &options, &step).await
    }

    pub(crate) fn home(&self) -> Json {
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace}})
    }

    pub(crate) fn map(&self, name: &str, value: &str) -> Json {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": self.namespace}, "data": {"key": value}})
    }

    /// A Deployment of one pod that runs a shell command, within the limits of `restricted`.
    pub(crate) fn deployment(&self, name: &str, command: &str) -> Json {
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": self.namespace},
            "spec": {"selector": {"matchLabels": {"app": name}},
                "template": {"metadata": {"labels": {"app": name, "app.kubernetes.io/component": name}},
                    "spec": {"terminationGracePeriodSeconds": 1, "automountServiceAccountToken": false,
                        "securityContext": {"runAsNonRoot": true, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
                        "containers": [{"name": "main", "image": image(), "imagePullPolicy": "IfNotPresent",
                            "command": ["/bin/sh", "-c", command],
                            "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
                            "resources": {"requests": {"cpu": "1m", "memory": "8Mi"}, "limits": {"memory": "32Mi"}}}]}}}})
    }

    pub(crate) fn scaler(&self, target: &str) -> Json {
        json!({"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": {"name": target, "namespace": self.namespace},
            "spec": {"scaleTargetRef": {"name": target}, "minReplicaCount": 1, "maxReplicaCount": 3,
                "triggers": [{"type": "cron", "metadata": {"timezone": "UTC", "start": "0 0 1 1 *", "end": "1 0 1 1 *", "desiredReplicas": "2"}}]}})
    }
}

/// Commands for containers.
pub(crate) const SLEEP: &str = "trap 'exit 0' TERM; while :; do sleep 1 & wait $!; done";

pub(crate) fn changes(applied: &[Applied]) -> Vec<(String, &'static str)> {
    let word = |change: &Change| match change {
        Change::Created => "created",
        Change::Changed { .. } => "changed",
        Change::Unchanged => "unchanged",
    };
    applied
        .iter()
        .map(|it| {
            (
                format!("{} {}", it.object.kind, it.object.name),
                word(&it.change),
            )
        })
        .collect()
}

pub(crate) fn version(object: &Json) -> String {
    object["metadata"]["resourceVersion"]
        .as_str()
        .unwrap()
        .to_owned()
}
