//! Causes that show in pods: no node, no image, no room, no volume, and programs that end.
//!
//! It must leave the stack as it was.

use super::{recovered, refused, text};
use crate::rig::Rig;
use serde_json::json;

/// A `StorageClass` of the test's own, which is not there at first.
pub(super) struct Class<'r>(&'r Rig);

impl<'r> Class<'r> {
    /// No release is there yet, so a claim of Redis is the first thing that waits.
    pub(super) fn missing(rig: &'r Rig) -> Self {
        let more = format!("redis: {{storage: {{storageClass: {}}}}}", rig.name);
        rig.context.write("more.yaml", &more);
        let object = format!("StatefulSet {}/redis-node", rig.namespace());
        let lacks = format!("storage class {} does not exist", rig.name);
        let named = [
            "[KD0205]",
            &object,
            "StorageClassMissing",
            "claim redis-data-redis-node-0",
            &lacks,
            "[standard]",
            "create it",
        ];
        refused("a claim that cannot bind", 3, &named, || {
            rig.up(&["--adopt=all"])
        });
        Self(rig)
    }

    pub(super) fn made(&self) {
        let name = &self.0.name;
        let class = json!({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": name},
            "provisioner": "rancher.io/local-path", "volumeBindingMode": "WaitForFirstConsumer"});
        let file = self.0.context.write("class.json", &class.to_string());
        self.0.cluster.kubectl(&["create", "-f", text(&file)]);
    }
}

impl Drop for Class<'_> {
    fn drop(&mut self) {
        let gone = ["delete", "storageclass", &self.0.name, "--ignore-not-found"];
        drop(self.0.cluster.try_kubectl(&gone));
    }
}

/// The API with one value that cannot work, and then without.
fn api(rig: &Rig, cause: &str, sets: &[&str], named: &[&str]) {
    let object = format!("Deployment {}/api", rig.namespace());
    let named = [&["[KD0205]", &object, "pod api-"], named].concat();
    let sets: Vec<&str> = sets.iter().flat_map(|set| ["--set", set]).collect();
    refused(cause, 3, &named, || rig.up(&sets));
    recovered(rig, &[]);
}

pub(super) fn too_large_for_every_node(rig: &Rig) {
    let sets = [
        "api.resources.requests.cpu=1000",
        "api.resources.limits.cpu=1000",
    ];
    let named = ["Unschedulable", "Insufficient cpu", "requests"];
    api(rig, "a pod that no node can take", &sets, &named);
}

pub(super) fn no_such_image(rig: &Rig) {
    let sets = ["api.image=kedactl.local/nothing:1"];
    let named = ["container api", "ImagePull", "kedactl.local/nothing:1"];
    api(rig, "an image that nobody has", &sets, &named);
}

/// `tail` keeps what it reads until a line ends.
pub(super) fn out_of_memory(rig: &Rig) {
    let sets = [
        "images.programs.api=/usr/bin/tail",
        "api.extraArgs=[/dev/zero]",
        "api.resources.requests.memory=16Mi",
        "api.resources.limits.memory=16Mi",
    ];
    let named = ["container api", "OOMKilled", "limit of 16Mi", "raise"];
    api(rig, "too little memory", &sets, &named);
}

/// The image of the API is made from a program that does something else.
pub(super) fn crashes(rig: &Rig) {
    let sets = ["images.programs.api=/usr/bin/expr"];
    let named = [
        "container api",
        "CrashLoopBackOff",
        "exit code 2",
        "log: ",
        "missing operand",
    ];
    api(rig, "an image that crashes", &sets, &named);
}

pub(super) fn over_quota(rig: &Rig) {
    rig.kubectl(&["create", "quota", "tight", "--hard=pods=1"]);
    let object = format!("Deployment {}/api", rig.namespace());
    let named = [
        "[KD0205]",
        &object,
        "FailedCreate",
        "exceeded quota: tight",
        "raise the ResourceQuota",
    ];
    refused("a quota that is used up", 3, &named, || {
        rig.up(&["--set", "api.podAnnotations.quota=tight"])
    });
    rig.kubectl(&["delete", "quota", "tight"]);
    recovered(rig, &[]);
}

/// The cluster has KEDA by other means, and its operator does not start: here a Deployment that is taken for it, whose pods
/// the namespace does not let in.
pub(super) fn keda_does_not_run(rig: &Rig) {
    let labels = json!({"app": "operator"});
    let operator = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "operator"},
        "spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels},
            "spec": {"containers": [{"name": "operator", "image": "kedactl.local/operator:1"}]}}}});
    let file = rig.context.write("operator.json", &operator.to_string());
    rig.kubectl(&["create", "-f", text(&file)]);
    let namespace = rig.namespace();
    let detect = json!({"releases": {"keda": {"detect": [
        {"apiVersion": "apps/v1", "kind": "Deployment", "namespace": namespace, "name": "operator"}]}}});
    rig.context.write("detect.json", &detect.to_string());
    let object = format!("Deployment {namespace}/operator");
    let named = [
        "[KD0205]",
        &object,
        "FailedCreate",
        "violates PodSecurity",
        "Pod Security level",
    ];
    refused("a KEDA that does not start", 3, &named, || {
        rig.up(&["-f", "detect.json"])
    });
    rig.kubectl(&["delete", "deployment", "operator"]);
    recovered(rig, &[]);
}
