//! What pods are made of: volumes, and images that can be had.
//!
//! Must not ask a registry.

use kedactl_cluster::{ClaimView, ContainerView, PodView, StorageClassView};

use super::Check;
use crate::Live;

pub(super) async fn storage(live: &Live) -> Vec<Check> {
    let namespace = &live.record().config.namespace;
    let (classes, claims) = tokio::join!(
        kedactl_cluster::storage_classes(live.cluster()),
        kedactl_cluster::claims(live.cluster(), namespace),
    );
    let classes = match classes {
        Ok(classes) => default_class(&classes),
        Err(error) => Check::unread("storage-class", "default StorageClass", &error),
    };
    let claims = match claims {
        Ok(claims) => bound(&claims),
        Err(error) => Check::unread("claims", "claims on volumes", &error),
    };
    vec![classes, claims]
}

fn default_class(classes: &[StorageClassView]) -> Check {
    let (code, title) = ("storage-class", "default StorageClass");
    let default: Vec<&StorageClassView> = classes.iter().filter(|it| it.default).collect();
    match default.as_slice() {
        [one] => Check::ok(code, title, format!("{} ({})", one.name, one.provisioner)),
        [] => {
            let known: Vec<&str> = classes.iter().map(|it| it.name.as_str()).collect();
            let detail = if known.is_empty() {
                "there is no class at all: Redis gets no volume".to_owned()
            } else {
                format!("none of {} is the default one", known.join(", "))
            };
            Check::warn(
                code,
                title,
                detail,
                "mark one with the annotation storageclass.kubernetes.io/is-default-class=true, or name one in the release's values",
            )
        }
        many => Check::warn(
            code,
            title,
            format!(
                "{} classes are marked as default; the newest is taken",
                many.len()
            ),
            "leave the annotation on one of them",
        ),
    }
}

fn bound(claims: &[ClaimView]) -> Check {
    let (code, title) = ("claims", "claims on volumes");
    match claims.iter().find(|it| it.phase != "Bound") {
        None => Check::ok(
            code,
            title,
            format!("{} of {} are bound", claims.len(), claims.len()),
        ),
        Some(it) => {
            let class = it.class.as_deref().unwrap_or("the default class");
            Check::fail(
                code,
                title,
                format!("{} is {} (class {class})", it.name, it.phase),
                format!(
                    "`kubectl describe pvc {}` says what its class waits for",
                    it.name
                ),
            )
        }
    }
}

pub(super) async fn checks(live: &Live) -> Vec<Check> {
    let looks = live
        .namespaces()
        .into_iter()
        .map(|name| async move { kedactl_cluster::pods(live.cluster(), &name, None).await });
    match futures_util::future::try_join_all(looks).await {
        Ok(found) => {
            let all = found.concat();
            vec![running(&all), images(&all)]
        }
        Err(error) => vec![Check::unread("pods", "pods", &error)],
    }
}

fn running(pods: &[PodView]) -> Check {
    let (code, title) = ("pods", "pods");
    let unready = pods
        .iter()
        .find(|it| !it.ready && !matches!(it.phase.as_str(), "Succeeded" | "Terminating"));
    match unready {
        None => Check::ok(code, title, format!("all {} are ready", pods.len())),
        Some(it) => {
            let why = match it.why_not_ready() {
                why if why.is_empty() => it.phase.clone(),
                why => why,
            };
            let cure = match image_trouble(it) {
                Some(container) => format!(
                    "load {} onto the nodes (`kedactl images load`), or correct its name",
                    container.image
                ),
                None => format!("`kedactl logs {}` shows what it wrote", it.name),
            };
            Check::fail(code, title, format!("{}: {why}", it.name), cure)
        }
    }
}

fn image_trouble(pod: &PodView) -> Option<&ContainerView> {
    pod.containers.iter().find(|it| {
        matches!(
            it.reason.as_str(),
            "ErrImageNeverPull" | "ErrImagePull" | "ImagePullBackOff" | "InvalidImageName"
        )
    })
}

/// Images whose name does not say what they are, and images that nobody serves any more.
fn images(pods: &[PodView]) -> Check {
    let (code, title) = ("images", "images of the pods");
    let all: Vec<&ContainerView> = pods.iter().flat_map(|it| &it.containers).collect();
    if let Some(it) = all.iter().find(|it| is_gone(&it.image)) {
        return Check::warn(
            code,
            title,
            format!(
                "{} comes from a registry that serves no fixed versions any more",
                it.image
            ),
            "docker.io/bitnami ended in August 2025: take docker.io/bitnamilegacy, or the profile `own` of the release",
        );
    }
    if let Some(it) = all.iter().find(|it| !is_fixed(&it.image)) {
        return Check::warn(
            code,
            title,
            format!(
                "{} of container {} may be another one tomorrow",
                it.image, it.name
            ),
            "name a version or a digest",
        );
    }
    Check::ok(
        code,
        title,
        format!("{} containers, each of a fixed version", all.len()),
    )
}

/// `docker.io/bitnami`, in each of its spellings.
fn is_gone(image: &str) -> bool {
    let host = image.strip_prefix("docker.io/");
    let host = host.or_else(|| image.strip_prefix("registry-1.docker.io/"));
    host.unwrap_or(image).starts_with("bitnami/")
}

/// Whether a name has a digest, or a tag that is not `latest`.
fn is_fixed(image: &str) -> bool {
    if image.contains('@') {
        return true;
    }
    let last = image.rsplit('/').next().unwrap_or_default();
    last.split_once(':').is_some_and(|(_, tag)| tag != "latest")
}

#[cfg(test)]
mod tests {
    use super::super::CheckStatus;
    use super::*;

    fn pod(image: &str, reason: &str) -> PodView {
        PodView {
            namespace: "keda".to_owned(),
            name: "api-1".to_owned(),
            component: "api".to_owned(),
            phase: "Running".to_owned(),
            ready: reason.is_empty(),
            node: String::new(),
            ip: String::new(),
            created: String::new(),
            reason: String::new(),
            containers: vec![ContainerView {
                name: "api".to_owned(),
                image: image.to_owned(),
                image_id: String::new(),
                ready: reason.is_empty(),
                init: false,
                restarts: 0,
                state: "waiting".to_owned(),
                reason: reason.to_owned(),
                last_end: None,
            }],
        }
    }

    #[test]
    fn an_image_is_judged_by_its_name() {
        let of = |image: &str| images(&[pod(image, "")]);
        for good in [
            "redis:8.4.1",
            "localhost:5000/api:1",
            "api@sha256:00",
            "docker.io/bitnamilegacy/redis:8",
        ] {
            assert_eq!(of(good).status, CheckStatus::Ok, "{good}");
        }
        for loose in ["redis", "localhost:5000/redis", "redis:latest"] {
            assert!(of(loose).detail.contains("another one tomorrow"), "{loose}");
        }
        for gone in ["bitnami/redis:8", "docker.io/bitnami/redis:8"] {
            assert!(of(gone).cure.unwrap().contains("bitnamilegacy"), "{gone}");
        }
    }

    #[test]
    fn a_pod_without_its_image_is_told_how_to_get_it() {
        let it = running(&[pod("redis:8", ""), pod("api:1", "ErrImageNeverPull")]);
        assert_eq!(it.detail, "api-1: api: ErrImageNeverPull");
        assert_eq!(
            it.cure.unwrap(),
            "load api:1 onto the nodes (`kedactl images load`), or correct its name"
        );
    }

    #[test]
    fn storage_needs_one_default_and_bound_claims() {
        let class = |name: &str, default| StorageClassView {
            name: name.to_owned(),
            default,
            provisioner: "p".to_owned(),
        };
        assert_eq!(default_class(&[class("a", true)]).status, CheckStatus::Ok);
        assert_eq!(
            default_class(&[class("a", false)]).detail,
            "none of a is the default one"
        );
        assert_eq!(
            default_class(&[class("a", true), class("b", true)]).status,
            CheckStatus::Warn
        );
        let claim = ClaimView {
            name: "redis-data-0".to_owned(),
            phase: "Pending".to_owned(),
            class: None,
        };
        assert_eq!(
            bound(&[claim]).detail,
            "redis-data-0 is Pending (class the default class)"
        );
        assert_eq!(bound(&[]).status, CheckStatus::Ok);
    }
}
