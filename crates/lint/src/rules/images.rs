//! Images: fixed, alive, pulled when they should be.
//! Reads references; asks no registry.

use crate::finding::Findings;
use crate::rule::rules;
use crate::set::Set;

rules! {
    NO_TAG "KL0401" Error "an image has no tag, or `latest`",
        why "What runs changes with the day on which a node pulled it; two pods of one Deployment may be two versions, and no rollback finds the old one.",
        cure "name a version, best with a digest: `app:1.2.3@sha256:…`",
        peers "kube-linter latest-tag, kube-score container-image-tag, polaris tagNotSpecified, CKV_K8S_14";
    RETIRED "KL0402" Error "an image is at a place that is closed",
        why "The pull fails on every node that does not have the image by chance.",
        cure "name the place where it lives now",
        peers "";
    NO_DIGEST "KL0403" Note "an image is not named by its digest",
        why "A tag can be moved: what was checked is not what runs.",
        cure "add `@sha256:…`",
        peers "CKV_K8S_43";
    PULL_POLICY "KL0404" Note "a node may run an old image of the same tag",
        why "With another policy than `Always` a moved tag is not looked up again, and a private image runs for whoever shares the node.",
        cure "name the image by digest, or set `imagePullPolicy: Always`",
        peers "kube-score container-image-pull-policy, polaris pullPolicyNotAlways, CKV_K8S_15";
}

/// Where images used to be, and where they are. The first prefix that fits counts.
const MOVED: &[(&str, &str)] = &[
    (
        "docker.io/bitnami/",
        "Bitnami's free images moved to docker.io/bitnamilegacy/ in August 2025 and get no updates there",
    ),
    (
        "docker.io/bitnamicharts/",
        "Bitnami's charts are no longer published there for free",
    ),
    ("k8s.gcr.io/", "it is registry.k8s.io since 2023"),
    ("gcr.io/google_containers/", "it is registry.k8s.io"),
    ("gcr.io/google-containers/", "it is registry.k8s.io"),
    (
        "gcr.io/kubebuilder/kube-rbac-proxy",
        "it is quay.io/brancz/kube-rbac-proxy since 2025",
    ),
    (
        "docker.io/openpolicyagent/gatekeeper-crds",
        "it is in openpolicyagent/gatekeeper",
    ),
    (
        "docker.io/jettech/kube-webhook-certgen",
        "it is registry.k8s.io/ingress-nginx/kube-webhook-certgen",
    ),
    (
        "docker.io/kiwigrid/k8s-sidecar",
        "it is quay.io/kiwigrid/k8s-sidecar",
    ),
];

pub(super) fn check(set: &Set<'_>, out: &mut Findings<'_>) {
    for pod in &set.pods {
        for container in pod.containers() {
            let at = container.spec.key("image");
            let Some(image) = at.text() else {
                continue;
            };
            let full = normal(image);
            if let Some((_, now)) = MOVED.iter().find(|(prefix, _)| full.starts_with(prefix)) {
                out.add(RETIRED, pod.at, &at, format!("`{image}`: {now}"));
            }
            if image.contains('@') {
                continue;
            }
            let name = image.rsplit('/').next().unwrap_or(image);
            match name.split_once(':') {
                Some((_, tag)) if tag != "latest" && !tag.is_empty() => {}
                _ => out.add(NO_TAG, pod.at, &at, format!("`{image}`")),
            }
            out.add(NO_DIGEST, pod.at, &at, format!("`{image}`"));
            let policy = container.spec.key("imagePullPolicy");
            if policy.text() != Some("Always") {
                let found = policy.text().unwrap_or("not set");
                out.add(
                    PULL_POLICY,
                    pod.at,
                    &policy,
                    format!("it is {found} for `{image}`"),
                );
            }
        }
    }
}

/// A reference with its registry: the first part is one where it has a dot or a port, or is `localhost`.
fn normal(image: &str) -> String {
    match image.split_once('/') {
        Some((first, _)) if first.contains(['.', ':']) || first == "localhost" => image
            .replacen("index.docker.io/", "docker.io/", 1)
            .replacen("registry-1.docker.io/", "docker.io/", 1),
        Some(_) => format!("docker.io/{image}"),
        None => format!("docker.io/library/{image}"),
    }
}
