//! Takes out of an object what says nothing about what somebody wants.
//! Must not take out anything that a person could have changed by hand.

use serde_json::Value as Json;

use crate::names::HASH_ANNOTATION;

/// Without status, bookkeeping of the server, and fields that belong to autoscalers.
pub(crate) fn clean(object: &Json, autoscaled: bool) -> Json {
    let mut object = object.clone();
    if let Some(top) = object.as_object_mut() {
        top.remove("status");
    }
    if let Some(metadata) = object.get_mut("metadata").and_then(Json::as_object_mut) {
        for field in [
            "creationTimestamp",
            "deletionGracePeriodSeconds",
            "generation",
            "managedFields",
            "resourceVersion",
            "selfLink",
            "uid",
        ] {
            metadata.remove(field);
        }
        if let Some(annotations) = metadata
            .get_mut("annotations")
            .and_then(Json::as_object_mut)
        {
            annotations.remove(HASH_ANNOTATION);
            annotations.remove("deployment.kubernetes.io/revision");
            if annotations.is_empty() {
                metadata.remove("annotations");
            }
        }
    }
    if autoscaled && let Some(spec) = object.get_mut("spec").and_then(Json::as_object_mut) {
        spec.remove("replicas");
    }
    object
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn bookkeeping_and_delegated_fields_are_no_drift() {
        let live = json!({"metadata": {"name": "a", "uid": "1", "resourceVersion": "2", "generation": 3, "managedFields": [],
            "annotations": {HASH_ANNOTATION: "x"}}, "spec": {"replicas": 7, "image": "a"}, "status": {"x": 1}});
        assert_eq!(
            clean(&live, true),
            json!({"metadata": {"name": "a"}, "spec": {"image": "a"}})
        );
        assert_eq!(clean(&live, false)["spec"]["replicas"], 7);
    }
}
