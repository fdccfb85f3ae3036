//! Which objects of an inventory may go, and why the others stay.
//! Must not choose an object that lacks our label, whatever the inventory says.

use serde_json::Value as Json;

use super::remove::{Outcome, Removed};
use crate::kinds::holds_data;
use crate::names::{GENERATED_ANNOTATION, ORIGIN_ANNOTATION, STACK_LABEL, Stack};
use crate::object::{ObjectRef, annotation, label, text};

/// An object that is going to be deleted: this very one, by its UID.
#[derive(Debug, Clone)]
pub(crate) struct Candidate {
    pub(crate) reference: ObjectRef,
    pub(crate) uid: String,
}

/// Decides over one object of the inventory. `live` is what is there under its name.
pub(crate) fn select(
    reference: &ObjectRef,
    live: Option<&Json>,
    stack: &Stack,
    purge: bool,
) -> Result<Candidate, Box<Removed>> {
    let outcome = |outcome| {
        Box::new(Removed {
            object: reference.clone(),
            outcome,
            note: None,
        })
    };
    let kept = |reason: &str| {
        outcome(Outcome::Kept {
            reason: reason.to_owned(),
        })
    };
    let Some(live) = live else {
        return Err(outcome(Outcome::Absent));
    };
    if label(live, STACK_LABEL) != Some(stack.name()) {
        return Err(outcome(Outcome::Disowned {
            reason: format!("it does not carry the label {STACK_LABEL}={}", stack.name()),
        }));
    }
    if reference.kind == "Namespace" && annotation(live, ORIGIN_ANNOTATION).is_none() {
        return Err(kept("kedactl did not create this namespace"));
    }
    if !purge && holds_data(reference.group(), &reference.kind) {
        return Err(kept("it may hold data; `kedactl down --purge` deletes it"));
    }
    if !purge && annotation(live, GENERATED_ANNOTATION).is_some() {
        return Err(kept(
            "its content was made once and exists nowhere else; `kedactl down --purge` deletes it",
        ));
    }
    Ok(Candidate {
        reference: reference.clone(),
        uid: text(live, "/metadata/uid").to_owned(),
    })
}

#[cfg(test)]
mod tests {
    #![expect(
        clippy::needless_pass_by_value,
        reason = "`json!` in the call reads better than a reference to it"
    )]

    use super::*;
    use serde_json::json;

    fn decide(kind: &str, metadata: Json, purge: bool) -> String {
        let stack = Stack::new("demo", "keda").unwrap();
        let version = match kind {
            "CustomResourceDefinition" => "apiextensions.k8s.io/v1",
            _ => "v1",
        };
        let reference = ObjectRef::new(version, kind, Some("keda"), "x");
        let live = (!metadata.is_null()).then(|| json!({"metadata": metadata}));
        match select(&reference, live.as_ref(), &stack, purge) {
            Ok(_) => "goes".into(),
            Err(it) => match it.outcome {
                Outcome::Absent => "absent".into(),
                Outcome::Kept { .. } => "kept".into(),
                Outcome::Disowned { .. } => "not ours".into(),
                Outcome::Deleted => unreachable!("nothing was deleted"),
            },
        }
    }

    #[test]
    fn only_what_is_ours_goes_and_data_only_by_purge() {
        let ours = json!({"labels": {STACK_LABEL: "demo"}, "uid": "1"});
        let other = json!({"labels": {STACK_LABEL: "b"}});
        let generated =
            json!({"labels": {STACK_LABEL: "demo"}, "annotations": {GENERATED_ANNOTATION: "true"}});
        let created =
            json!({"labels": {STACK_LABEL: "demo"}, "annotations": {ORIGIN_ANNOTATION: "created"}});
        let cases = [
            ("ConfigMap", &ours, false, "goes"),
            ("ConfigMap", &other, true, "not ours"),
            ("ConfigMap", &json!({}), true, "not ours"),
            ("ConfigMap", &Json::Null, true, "absent"),
            ("PersistentVolumeClaim", &ours, false, "kept"),
            ("PersistentVolumeClaim", &ours, true, "goes"),
            // Every object of its kind would go with it.
            ("CustomResourceDefinition", &ours, false, "kept"),
            ("Secret", &ours, false, "goes"),
            ("Secret", &generated, false, "kept"),
            ("Secret", &generated, true, "goes"),
            ("Namespace", &ours, true, "kept"),
            ("Namespace", &created, false, "kept"),
            ("Namespace", &created, true, "goes"),
        ];
        for (kind, metadata, purge, expected) in cases {
            assert_eq!(
                decide(kind, metadata.clone(), purge),
                expected,
                "{kind} {metadata} {purge}"
            );
        }
    }
}
