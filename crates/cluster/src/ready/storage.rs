//! Why a claim does not bind.
//! Must not blame a claim that waits for its first pod.

use std::time::Duration;

use serde_json::Value as Json;

use super::failure::Failure;
use super::pods::{Trouble, brief};
use super::world::World;
use crate::object::{ObjectRef, annotation, text};

/// Claims are retried by provisioners: what they report must last.
const LASTS: Duration = Duration::from_secs(8);

/// What is wrong with a claim that is not bound; `None` where it may bind yet.
pub(crate) fn claim_trouble(object: &ObjectRef, claim: &Json, world: &World) -> Option<Trouble> {
    if text(claim, "/status/phase") == "Bound" {
        return None;
    }
    let name = text(claim, "/metadata/name");
    let found = |reason: &str, detail: String, cure: &str| {
        let detail = format!("claim {name}: {detail}");
        Some(Trouble {
            failure: Failure::new(object, reason, detail).cured_by(cure),
            settle: LASTS,
        })
    };
    let class = claim
        .pointer("/spec/storageClassName")
        .and_then(Json::as_str);
    let bound_by_hand = class == Some("") || !text(claim, "/spec/volumeName").is_empty();
    if let (Some(classes), false) = (&world.classes, bound_by_hand) {
        let exists = |name: &str| classes.iter().any(|it| text(it, "/metadata/name") == name);
        let default = classes.iter().any(|it| {
            annotation(it, "storageclass.kubernetes.io/is-default-class") == Some("true")
        });
        match class {
            Some(class) if !exists(class) => {
                let names: Vec<&str> = classes
                    .iter()
                    .map(|it| text(it, "/metadata/name"))
                    .collect();
                let detail = format!(
                    "storage class {class} does not exist, the cluster has [{}]",
                    names.join(", ")
                );
                return found(
                    "StorageClassMissing",
                    detail,
                    "create it; or, as a claim stays what it was made as: `kedactl down --purge`, which removes it with \
                     all data, and then `up` with a class that exists",
                );
            }
            None if !default => {
                return found(
                    "NoDefaultStorageClass",
                    "it names no storage class and the cluster has no default one".into(),
                    "name a storage class in the values, or mark one as default",
                );
            }
            _ => {}
        }
    }
    let event = world.last_warning(claim)?;
    match text(event, "/reason") {
        reason @ ("ProvisioningFailed" | "FailedBinding") => found(
            reason,
            brief(text(event, "/message")),
            "see the provisioner's log; check size, access mode and node of the claim",
        ),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![expect(
        clippy::needless_pass_by_value,
        reason = "`json!` in the call reads better than a reference to it"
    )]

    use super::*;
    use serde_json::json;

    fn judge(claim: Json, classes: Json, events: Json) -> Option<String> {
        let world = World {
            classes: classes.as_array().cloned(),
            events: events.as_array().cloned().unwrap_or_default(),
            ..World::default()
        };
        let object = ObjectRef::new("apps/v1", "StatefulSet", Some("keda"), "redis");
        claim_trouble(&object, &claim, &world).map(|it| it.failure.reason)
    }

    fn claim(class: Option<&str>) -> Json {
        let mut it = json!({"metadata": {"name": "data", "uid": "u"}, "spec": {}, "status": {"phase": "Pending"}});
        if let Some(class) = class {
            it["spec"]["storageClassName"] = class.into();
        }
        it
    }

    #[test]
    fn a_claim_fails_for_reasons_that_do_not_pass() {
        let standard = json!([{"metadata": {"name": "standard", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}}}]);
        let event = |reason: &str, kind: &str| json!([{"type": kind, "reason": reason, "message": "m", "involvedObject": {"uid": "u"}}]);
        let none = json!([]);
        assert_eq!(
            judge(claim(Some("fast")), standard.clone(), none.clone()).unwrap(),
            "StorageClassMissing"
        );
        assert_eq!(
            judge(claim(None), json!([]), none.clone()).unwrap(),
            "NoDefaultStorageClass"
        );
        assert_eq!(
            judge(
                claim(None),
                standard.clone(),
                event("ProvisioningFailed", "Warning")
            )
            .unwrap(),
            "ProvisioningFailed"
        );
        assert_eq!(
            judge(
                claim(None),
                standard.clone(),
                event("WaitForFirstConsumer", "Normal")
            ),
            None
        );
        assert_eq!(
            judge(claim(Some("")), json!([]), none.clone()),
            None,
            "bound by hand"
        );
        let mut bound = claim(Some("fast"));
        bound["status"]["phase"] = "Bound".into();
        assert_eq!(judge(bound, standard, none), None);
    }
}
