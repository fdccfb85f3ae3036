//! Objects as such: versions that are gone, selectors that miss, names given twice, jobs that pile up.
//! Knows no field of a custom resource.

use std::collections::{BTreeMap, BTreeSet};

use crate::Object;
use crate::finding::Findings;
use crate::pod::Pod;
use crate::rule::rules;
use crate::selector;
use crate::set::Set;
use crate::view::At;

rules! {
    GONE "KL1001" Error "the API version no longer exists",
        why "The API server does not know the object: `no matches for kind`.",
        cure "use the version that the message names",
        peers "kube-linter no-extensions-v1beta, kube-score stable-version";
    SELECTOR "KL1002" Error "a workload does not select its own pods",
        why "The API server refuses it: the workload would make pods for ever that it does not count.",
        cure "make `spec.selector` a part of the pod template's labels",
        peers "kube-linter mismatching-selector, kube-score deployment-pod-selector-labels-match-template-metadata-labels";
    TWICE "KL1003" Error "the same object is there twice",
        why "The one that is applied last wins, and each apply changes it twice.",
        cure "remove one of them",
        peers "";
    VARIABLE_TWICE "KL1004" Error "a variable is set twice",
        why "The last one wins without a word; server-side apply refuses it.",
        cure "remove one of them",
        peers "kube-linter duplicate-env-var, kube-score environment-variable-key-duplication";
    NO_DEADLINE "KL1005" Warning "a CronJob has no deadline for a missed start",
        why "After 100 missed starts, such as over a long outage, it never starts again.",
        cure "set `startingDeadlineSeconds`",
        peers "kube-score cronjob-has-deadline";
    NO_VOLUME "KL1006" Error "a container mounts a volume that the pod does not have",
        why "The API server refuses the pod.",
        cure "add the volume, or mend the name",
        peers "";
    JOBS_STAY "KL1007" Note "a Job stays for ever after it has ended",
        why "Its pods and logs pile up in the API server until somebody removes them.",
        cure "set `ttlSecondsAfterFinished`",
        peers "kube-linter job-ttl-seconds-after-finished";
    NO_NAME "KL1008" Error "an object has no name",
        why "It cannot be applied, and no other object can point to it.",
        cure "set `metadata.name`",
        peers "";
    OVERLAP "KL1009" Error "two workloads select the same pods",
        why "Each takes the other's pods for its own, and both count wrongly.",
        cure "give each a label of its own",
        peers "";
    RESTARTED "KL1010" Error "the pods of a job are restarted for ever",
        why "The API server refuses a job whose pods have `restartPolicy: Always`, which is what no policy means.",
        cure "set `restartPolicy` to `OnFailure` or `Never`",
        peers "kube-linter job-restart-policy, kube-score cronjob-restartpolicy";
    LABEL "KL1011" Error "a label has a value that labels cannot have",
        why "The API server refuses the object.",
        cure "use at most 63 of A-Z, a-z, 0-9, `.`, `_` and `-`, first and last a letter or digit, and quote numbers",
        peers "kube-score label-values";
}

/// API version and kind that are gone (no kind: every kind of the version), since when, and what to use.
const REMOVED: &[(&str, &str, &str, &str)] = &[
    (
        "extensions/v1beta1",
        "Ingress",
        "1.22",
        "networking.k8s.io/v1",
    ),
    (
        "extensions/v1beta1",
        "NetworkPolicy",
        "1.16",
        "networking.k8s.io/v1",
    ),
    ("extensions/v1beta1", "", "1.16", "apps/v1"),
    ("apps/v1beta1", "", "1.16", "apps/v1"),
    ("apps/v1beta2", "", "1.16", "apps/v1"),
    (
        "networking.k8s.io/v1beta1",
        "",
        "1.22",
        "networking.k8s.io/v1",
    ),
    (
        "policy/v1beta1",
        "PodSecurityPolicy",
        "1.25",
        "Pod Security labels at the namespace",
    ),
    ("policy/v1beta1", "", "1.25", "policy/v1"),
    ("batch/v1beta1", "", "1.25", "batch/v1"),
    ("batch/v2alpha1", "", "1.21", "batch/v1"),
    ("autoscaling/v2beta1", "", "1.25", "autoscaling/v2"),
    ("autoscaling/v2beta2", "", "1.26", "autoscaling/v2"),
    (
        "rbac.authorization.k8s.io/v1beta1",
        "",
        "1.22",
        "rbac.authorization.k8s.io/v1",
    ),
    (
        "rbac.authorization.k8s.io/v1alpha1",
        "",
        "1.22",
        "rbac.authorization.k8s.io/v1",
    ),
    (
        "apiextensions.k8s.io/v1beta1",
        "",
        "1.22",
        "apiextensions.k8s.io/v1",
    ),
    (
        "admissionregistration.k8s.io/v1beta1",
        "MutatingWebhookConfiguration",
        "1.22",
        "admissionregistration.k8s.io/v1",
    ),
    (
        "admissionregistration.k8s.io/v1beta1",
        "ValidatingWebhookConfiguration",
        "1.22",
        "admissionregistration.k8s.io/v1",
    ),
    (
        "apiregistration.k8s.io/v1beta1",
        "",
        "1.22",
        "apiregistration.k8s.io/v1",
    ),
    (
        "scheduling.k8s.io/v1beta1",
        "",
        "1.22",
        "scheduling.k8s.io/v1",
    ),
    (
        "coordination.k8s.io/v1beta1",
        "Lease",
        "1.22",
        "coordination.k8s.io/v1",
    ),
    (
        "discovery.k8s.io/v1beta1",
        "",
        "1.25",
        "discovery.k8s.io/v1",
    ),
    ("events.k8s.io/v1beta1", "", "1.25", "events.k8s.io/v1"),
    ("node.k8s.io/v1beta1", "", "1.25", "node.k8s.io/v1"),
    (
        "storage.k8s.io/v1beta1",
        "CSIStorageCapacity",
        "1.27",
        "storage.k8s.io/v1",
    ),
    (
        "storage.k8s.io/v1beta1",
        "StorageClass",
        "1.22",
        "storage.k8s.io/v1",
    ),
    (
        "flowcontrol.apiserver.k8s.io/v1beta1",
        "",
        "1.26",
        "flowcontrol.apiserver.k8s.io/v1",
    ),
    (
        "flowcontrol.apiserver.k8s.io/v1beta2",
        "",
        "1.29",
        "flowcontrol.apiserver.k8s.io/v1",
    ),
    (
        "flowcontrol.apiserver.k8s.io/v1beta3",
        "",
        "1.32",
        "flowcontrol.apiserver.k8s.io/v1",
    ),
];

pub(super) fn check(set: &Set<'_>, out: &mut Findings<'_>) {
    let mut seen = BTreeMap::new();
    for (at, object) in set.objects.iter().enumerate() {
        let root = object.root();
        if object.name().is_empty() && !root.dig("metadata.generateName").exists() {
            out.add(NO_NAME, at, &root.dig("metadata.name"), "it is missing");
            continue;
        }
        removed(at, object, out);
        labels(at, &root.dig("metadata.labels"), out);
        let group = object
            .api_version()
            .split_once('/')
            .map_or("", |(group, _)| group);
        let key = (group, object.kind(), object.namespace(), object.name());
        if !object.name().is_empty() && seen.insert(key, at).is_some() {
            out.add(
                TWICE,
                at,
                &root.dig("metadata.name"),
                "another one stands before it",
            );
        }
        jobs(at, object, &root, out);
    }
    pods(set, out);
    overlap(set, out);
}

fn removed(at: usize, object: &Object, out: &mut Findings<'_>) {
    let gone = REMOVED.iter().find(|(version, kind, _, _)| {
        *version == object.api_version() && (kind.is_empty() || *kind == object.kind())
    });
    if let Some((version, _, since, now)) = gone {
        let message = format!("`{version}` is gone since Kubernetes {since}; use `{now}`");
        out.add(GONE, at, &object.root().key("apiVersion"), message);
    }
}

fn labels(at: usize, labels: &At<'_>, out: &mut Findings<'_>) {
    for (key, value) in labels.entries() {
        let fine = value.text().is_some_and(kedactl_config::is_label_value);
        if !fine && value.exists() {
            out.add(LABEL, at, &value, format!("`{key}: {}`", value.shown()));
        }
    }
}

fn jobs(at: usize, object: &Object, root: &At<'_>, out: &mut Findings<'_>) {
    let deadline = root.dig("spec.startingDeadlineSeconds");
    if object.is("batch", "CronJob") && !deadline.exists() {
        out.add(NO_DEADLINE, at, &deadline, "it is not set");
    }
    let ttl = root.dig("spec.ttlSecondsAfterFinished");
    let hook = root.dig("metadata.annotations").key("helm.sh/hook");
    if object.is("batch", "Job") && !ttl.exists() && !hook.exists() {
        out.add(JOBS_STAY, at, &ttl, "it is not set");
    }
}

fn pods(set: &Set<'_>, out: &mut Findings<'_>) {
    for pod in &set.pods {
        let policy = pod.spec.key("restartPolicy");
        if pod.ends() && !matches!(policy.text(), Some("OnFailure" | "Never")) {
            let found = policy.text().unwrap_or("not set");
            out.add(RESTARTED, pod.at, &policy, format!("it is {found}"));
        }
        let own = pod.metadata.key("labels");
        if pod.metadata.path != "metadata" {
            labels(pod.at, &own, out);
        }
        let selector = pod.owner.root().dig("spec.selector");
        let kinds = ["Deployment", "StatefulSet", "DaemonSet", "ReplicaSet"];
        let fits = !selector::is_empty(&selector) && selector::fits(&selector, &own);
        if kinds.contains(&pod.owner.kind()) && !fits {
            let message = "the template's labels do not fit it";
            out.add(SELECTOR, pod.at, &selector, message);
        }
        variables(pod, out);
        mounts(pod, out);
    }
}

fn variables(pod: &Pod<'_>, out: &mut Findings<'_>) {
    for container in pod.containers() {
        let mut names = BTreeSet::new();
        for variable in container.spec.key("env").items() {
            let name = variable.key("name").shown();
            let message = format!("`{name}` of container `{}`", container.name());
            if !names.insert(name) {
                out.add(VARIABLE_TWICE, pod.at, &variable, message);
            }
        }
    }
}

fn mounts(pod: &Pod<'_>, out: &mut Findings<'_>) {
    // A StatefulSet mounts its claims without naming them as volumes.
    let claims = pod.owner.root().dig("spec.volumeClaimTemplates").items();
    let claimed = claims.iter().map(|claim| claim.dig("metadata.name"));
    let volumes = pod.spec.key("volumes").items();
    let named = volumes.iter().map(|volume| volume.key("name"));
    let known: Vec<&str> = claimed
        .chain(named)
        .filter_map(|name| name.text())
        .collect();
    for container in pod.containers() {
        for mount in container.spec.key("volumeMounts").items() {
            let name = mount.key("name");
            if name.text().is_some_and(|name| !known.contains(&name)) {
                let message = format!("the pod has no volume `{}`", name.shown());
                out.add(NO_VOLUME, pod.at, &name, message);
            }
        }
    }
}

fn overlap(set: &Set<'_>, out: &mut Findings<'_>) {
    let owners = || {
        set.pods
            .iter()
            .filter(|pod| pod.replicated() || pod.owner.kind() == "DaemonSet")
    };
    for one in owners() {
        for other in owners() {
            let selector = one.owner.root().dig("spec.selector");
            let same_kind = one.owner.kind() == other.owner.kind();
            let known = one.owner.beside(other.owner) && one.owner.name() != other.owner.name();
            if same_kind
                && known
                && !selector::is_empty(&selector)
                && selector::fits(&selector, &other.metadata.key("labels"))
            {
                let message = format!("it also selects the pods of `{}`", other.owner.name());
                out.add(OVERLAP, one.at, &selector, message);
            }
        }
    }
}
