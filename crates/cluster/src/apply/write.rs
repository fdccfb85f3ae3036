//! Writes one object: nothing where nothing differs, else server-side apply.
//! Must not force a field, unless a person changed it by hand and putting it back was asked for.

use std::time::Duration;

use serde_json::{Value as Json, json};
use tokio::time::{Instant, sleep};

use super::conflict::{self, Conflict};
use super::cover::covers;
use super::prepare::Prepared;
use super::report::{Applied, Change, change};
use crate::api::{Answer, ApiError, Write};
use crate::connect::Cluster;
use crate::delete::{HELD, Pace, Waiter, wait_gone};
use crate::error::Error;
use crate::names::{HASH_ANNOTATION, MANAGER};
use crate::object::{ObjectRef, annotation, items, number, resource_version, text};

/// Our second field manager, which keeps replicas until an autoscaler takes them.
const HANDOVER: &str = "kedactl-handover";

/// How to write.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Manner {
    /// Put fields back that a person changed by hand.
    pub(crate) revert_edits: bool,
    /// How long KEDA's webhook may deny what it has not seen yet.
    pub(crate) webhook_patience: Duration,
}

/// Whether the object is there as it was last applied and as it should be: then there is nothing to do.
pub(crate) fn settled(prepared: &Prepared, live: &Json) -> bool {
    annotation(live, HASH_ANNOTATION) == Some(prepared.hash.as_str())
        && text(live, "/metadata/deletionTimestamp").is_empty()
        && covers(live, &prepared.body)
}

/// Applies one object over what is there.
pub(crate) async fn write(
    cluster: &Cluster,
    prepared: &Prepared,
    live: Option<&Json>,
    manner: Manner,
) -> Result<(Applied, Json), Error> {
    let object = &prepared.reference;
    if let Some(live) = live.filter(|live| settled(prepared, live)) {
        let applied = Applied {
            object: object.clone(),
            change: Change::Unchanged,
            resource_version: resource_version(live).to_owned(),
            warnings: Vec::new(),
            reverted: Vec::new(),
        };
        return Ok((applied, live.clone()));
    }
    let live = settle_deletion(cluster, object, live).await?;
    if let Some(live) = live {
        hand_over_replicas(cluster, prepared, live).await?;
    }
    let body = prepared.body_over(live);
    let (answer, reverted) = patient(cluster, object, &body, live, manner).await?;
    let applied = Applied {
        object: object.clone(),
        change: change(live, &answer.body, prepared.autoscaled),
        resource_version: resource_version(&answer.body).to_owned(),
        warnings: answer.warnings,
        reverted,
    };
    Ok((applied, answer.body))
}

/// An object that is on its way out would take the change with it: it is waited for, and made anew.
async fn settle_deletion<'a>(
    cluster: &Cluster,
    object: &ObjectRef,
    live: Option<&'a Json>,
) -> Result<Option<&'a Json>, Error> {
    let leaving = |it: &&Json| !text(it, "/metadata/deletionTimestamp").is_empty();
    let Some(leaving) = live.filter(leaving) else {
        return Ok(live);
    };
    let waiter = Waiter {
        cluster,
        object,
        uid: text(leaving, "/metadata/uid"),
        pace: Pace {
            patience: Duration::from_secs(90),
            orphaned: Duration::from_secs(10),
            held: Some(HELD),
            release_finalizers: false,
        },
    };
    wait_gone(&waiter).await?;
    Ok(None)
}

/// Applies; waits out the one denial that is known to pass by itself.
async fn patient(
    cluster: &Cluster,
    object: &ObjectRef,
    body: &Json,
    live: Option<&Json>,
    manner: Manner,
) -> Result<(Answer, Vec<String>), Error> {
    let deadline = Instant::now() + manner.webhook_patience;
    let mut pause = Duration::from_millis(200);
    loop {
        let error = match cluster.patch_apply(object, body, Write::Real).await {
            Ok(answer) => return Ok((answer, Vec::new())),
            Err(error) => error,
        };
        let Error::Api { source, .. } = &error else {
            return Err(error);
        };
        let conflicts = source
            .status()
            .map(|status| conflict::read(status, object, live, body))
            .unwrap_or_default();
        if !conflicts.is_empty() {
            return revert(cluster, object, body, conflicts, manner).await;
        }
        if !webhook_race(source) || Instant::now() + pause >= deadline {
            return Err(error);
        }
        tracing::debug!(%object, %source, "KEDA's webhook has not caught up yet");
        sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(2));
    }
}

async fn revert(
    cluster: &Cluster,
    object: &ObjectRef,
    body: &Json,
    conflicts: Vec<Conflict>,
    manner: Manner,
) -> Result<(Answer, Vec<String>), Error> {
    let may_take = |it: &Conflict| it.manager == HANDOVER || (manner.revert_edits && it.by_hand());
    if !conflicts.iter().all(may_take) {
        return Err(Error::Conflict(conflicts));
    }
    let answer = cluster.patch_apply(object, body, Write::Forced).await?;
    let fields = conflicts.into_iter().map(|it| it.field).collect();
    Ok((answer, fields))
}

/// KEDA's webhooks look the target up in a cache that may lag, and are not served yet right after their pod is ready.
pub(crate) fn webhook_race(error: &ApiError) -> bool {
    let Some(status) = error.status() else {
        return false;
    };
    let said = &status.message;
    let denied = said.contains("denied the request") && said.contains("not found");
    let away = said.contains("failed calling webhook");
    let keda = [
        "scaledobject",
        "scaledjob",
        "triggerauthentication",
        "cloudeventsource",
    ]
    .iter()
    .any(|kind| said.contains(&format!("webhook \"v{kind}")))
        || said.contains("webhook \"vclustertriggerauthentication");
    keda && (denied || away)
}

/// An object whose replicas we set becomes autoscaled: giving the field up would reset it to 1 at once.
/// Another manager of ours takes it at its current value first; the autoscaler's own writes take it from there.
async fn hand_over_replicas(
    cluster: &Cluster,
    prepared: &Prepared,
    live: &Json,
) -> Result<(), Error> {
    let owned = prepared.autoscaled && owns_replicas(live, MANAGER);
    let Some(replicas) = number(live, "/spec/replicas").filter(|_| owned) else {
        return Ok(());
    };
    let object = &prepared.reference;
    let body = json!({"apiVersion": object.api_version, "kind": object.kind,
        "metadata": {"name": object.name, "namespace": object.namespace}, "spec": {"replicas": replicas}});
    cluster
        .patch_apply_as(HANDOVER, object, &body, Write::Real)
        .await?;
    Ok(())
}

fn owns_replicas(live: &Json, manager: &str) -> bool {
    items(live, "/metadata/managedFields")
        .iter()
        .filter(|it| text(it, "/manager") == manager && text(it, "/operation") == "Apply")
        .any(|it| it.pointer("/fieldsV1/f:spec/f:replicas").is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::core::response::Status;

    fn denial(message: &str) -> ApiError {
        ApiError::Status(Status::failure(message, "Forbidden").with_code(403).boxed())
    }

    #[test]
    fn only_the_known_race_of_kedas_webhook_is_waited_out() {
        let race = [
            r#"admission webhook "vscaledobject.kb.io" denied the request: Deployment.apps "worker" not found"#,
            r#"Internal error occurred: failed calling webhook "vscaledobject.kb.io": failed to call webhook: Post "https://keda-admission-webhooks.keda.svc:443/validate": dial tcp 10.96.1.2:443: connect: connection refused"#,
            r#"Internal error occurred: failed calling webhook "vclustertriggerauthentication.kb.io": no endpoints available"#,
        ];
        let fatal = [
            r#"admission webhook "vscaledobject.kb.io" denied the request: the workload 'worker' of type 'apps/v1.Deployment' is already managed by the ScaledObject 'x'"#,
            r#"admission webhook "policy.example.org" denied the request: label not found"#,
            "namespaces \"keda\" not found",
        ];
        assert!(race.iter().all(|it| webhook_race(&denial(it))));
        assert!(!fatal.iter().any(|it| webhook_race(&denial(it))));
    }

    #[test]
    fn replicas_are_owned_by_who_applied_them() {
        let live = json!({"metadata": {"managedFields": [
            {"manager": "kedactl", "operation": "Apply", "fieldsV1": {"f:spec": {"f:replicas": {}}}}]}});
        assert!(owns_replicas(&live, "kedactl") && !owns_replicas(&live, "other"));
        assert!(!owns_replicas(&json!({}), "kedactl"));
    }
}
