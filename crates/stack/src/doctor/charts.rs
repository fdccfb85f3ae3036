//! Helm releases: locks that nobody holds any more, and charts that claim what an autoscaler owns.
//!
//! Must not clear a lock: that is for who holds the stack.

use kedactl_cluster::{AutoscalerView, ReleaseView, WorkloadView};
use kedactl_config::documents;
use serde_json::Value as Json;

use super::Check;
use crate::Live;

pub(super) async fn checks(live: &Live) -> Vec<Check> {
    let (code, title) = ("releases", "Helm releases");
    let looks = live
        .namespaces()
        .into_iter()
        .map(|name| async move { kedactl_cluster::releases(live.cluster(), &name).await });
    let found = match futures_util::future::try_join_all(looks).await {
        Ok(found) => found.concat(),
        Err(error) => return vec![Check::unread(code, title, &error)],
    };
    let mut checks = vec![locks(&found)];
    checks.extend(claims(live, &found).await);
    checks
}

fn locks(found: &[ReleaseView]) -> Check {
    let (code, title) = ("releases", "Helm releases");
    let locked = found.iter().find(|it| it.is_locked());
    if let Some(it) = locked {
        return Check::fail(
            code,
            title,
            format!("{} in namespace {} is {}", it.name, it.namespace, it.status),
            "if no other run is at work, `kedactl up` repairs the lock",
        );
    }
    match found.iter().find(|it| it.status == "failed") {
        Some(it) => Check::fail(
            code,
            title,
            format!("the last operation on {} failed", it.name),
            "`kedactl up` tries again and says what helm says",
        ),
        None => Check::ok(
            code,
            title,
            format!("{} releases, none is locked", found.len()),
        ),
    }
}

/// Charts that render a number of replicas for what an autoscaler scales: each upgrade would set it back.
async fn claims(live: &Live, found: &[ReleaseView]) -> Option<Check> {
    let (code, title) = ("replicas", "replicas of what is scaled");
    let namespace = &live.record().config.namespace;
    let cluster = live.cluster();
    let read = tokio::try_join!(
        kedactl_cluster::workloads(cluster, namespace),
        kedactl_cluster::autoscalers(cluster, namespace),
    );
    let (workloads, autoscalers) = match read {
        Ok(read) => read,
        Err(error) => return Some(Check::unread(code, title, &error)),
    };
    for workload in scaled(&workloads, &autoscalers) {
        let release = found.iter().find(|it| {
            it.namespace == workload.namespace && Some(&it.name) == workload.release.as_ref()
        })?;
        let manifest = kedactl_cluster::release_manifest(
            cluster,
            &release.namespace,
            &release.name,
            release.revision,
        );
        match manifest.await {
            Ok(Some(text)) if claims_replicas(&text, &workload.kind, &workload.name) => {
                return Some(Check::fail(
                    code,
                    title,
                    format!(
                        "release {} sets the replicas of {} {}",
                        release.name, workload.kind, workload.name
                    ),
                    "take the number out of the release's values (autoscaling.enabled, or replicaCount: null): it belongs to the autoscaler",
                ));
            }
            Ok(_) => {}
            Err(error) => return Some(Check::unread(code, title, &error)),
        }
    }
    Some(Check::ok(code, title, "no chart sets them"))
}

/// Workloads that came with a chart and have an autoscaler.
fn scaled<'a>(
    workloads: &'a [WorkloadView],
    autoscalers: &'a [AutoscalerView],
) -> impl Iterator<Item = &'a WorkloadView> {
    workloads.iter().filter(|it| {
        let target = format!("{} {}", it.kind, it.name);
        it.release.is_some() && autoscalers.iter().any(|hpa| hpa.target == target)
    })
}

fn claims_replicas(manifest: &str, kind: &str, name: &str) -> bool {
    let Ok(all) = documents(manifest) else {
        return false;
    };
    all.iter().any(|it| {
        it["kind"] == kind
            && it.pointer("/metadata/name").and_then(Json::as_str) == Some(name)
            && it.pointer("/spec/replicas").is_some_and(|it| !it.is_null())
    })
}

#[cfg(test)]
mod tests {
    use super::super::CheckStatus;
    use super::*;

    fn release(name: &str, status: &str) -> ReleaseView {
        ReleaseView {
            namespace: "keda".to_owned(),
            name: name.to_owned(),
            revision: 1,
            status: status.to_owned(),
            updated: None,
            stack: None,
        }
    }

    #[test]
    fn a_lock_is_named_before_a_failure() {
        let found = [release("a", "failed"), release("redis", "pending-upgrade")];
        assert_eq!(
            locks(&found).detail,
            "redis in namespace keda is pending-upgrade"
        );
        assert_eq!(locks(&found[..1]).detail, "the last operation on a failed");
        assert_eq!(locks(&[release("a", "deployed")]).status, CheckStatus::Ok);
    }

    #[test]
    fn a_chart_claims_replicas_by_its_rendered_text() {
        let text = "---\nkind: Service\nmetadata: {name: web}\n---\nkind: Deployment\nmetadata: {name: web}\nspec: {replicas: 2}\n";
        assert!(claims_replicas(text, "Deployment", "web"));
        assert!(!claims_replicas(text, "Deployment", "other"));
        assert!(!claims_replicas(
            &text.replace("replicas: 2", "replicas: null"),
            "Deployment",
            "web"
        ));
    }
}
