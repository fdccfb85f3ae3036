//! Fields that other managers own: which, whose, both values, and the fix.
//! Must not take a field: it only says what stands in the way.

use std::fmt;

use kube::core::response::Status;
use serde::Serialize;
use serde_json::Value as Json;

use super::path::lookup;
use crate::mask;
use crate::object::ObjectRef;

/// One field that another manager owns with another value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Conflict {
    /// The object.
    pub object: ObjectRef,
    /// `.spec.template.spec.containers[name="api"].image`.
    pub field: String,
    /// `kubectl-edit`, `helm`, `kube-controller-manager`.
    pub manager: String,
    /// The value that is there; values of Secrets are masked.
    pub theirs: String,
    /// The value that we would write.
    pub ours: String,
}

/// Managers behind which a person sits: their edits may be put back on request.
const HANDS: [&str; 8] = [
    "k9s",
    "lens",
    "openlens",
    "headlamp",
    "mozilla",
    "node-fetch",
    "dashboard",
    "unknown",
];

impl Conflict {
    /// Whether a person made the change, and not a controller.
    pub fn by_hand(&self) -> bool {
        by_hand(&self.manager)
    }

    /// The exact fix.
    pub fn cure(&self) -> String {
        let Self {
            object,
            field,
            manager,
            theirs,
            ..
        } = self;
        if field == ".spec.replicas" {
            return format!(
                "an autoscaler ({manager}) owns the number of replicas: do not render spec.replicas of {object}"
            );
        }
        if self.by_hand() {
            return format!(
                "pass --revert-edits to put kedactl's value back, or set {theirs} in the values to keep the edit"
            );
        }
        format!(
            "take {field} out of what is rendered for {object}, so that {manager} keeps it, or stop {manager} from writing it"
        )
    }
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            object,
            field,
            manager,
            theirs,
            ours,
        } = self;
        write!(
            f,
            "{object}: {field} belongs to {manager}, which set {theirs}; kedactl would set {ours}"
        )
    }
}

pub(crate) fn by_hand(manager: &str) -> bool {
    let name = manager.to_ascii_lowercase();
    name.starts_with("kubectl") || HANDS.contains(&name.as_str())
}

/// Reads the conflicts out of a refusal; empty where it is refused for another reason.
pub(crate) fn read(
    status: &Status,
    object: &ObjectRef,
    live: Option<&Json>,
    ours: &Json,
) -> Vec<Conflict> {
    let causes = status.details.as_ref().map_or(&[][..], |it| &it.causes);
    let (live, ours) = (live.map(mask::object), mask::object(ours));
    causes
        .iter()
        .filter(|cause| cause.reason == "FieldManagerConflict")
        .map(|cause| Conflict {
            object: object.clone(),
            field: cause.field.clone(),
            manager: manager(&cause.message),
            theirs: shown(live.as_ref().and_then(|it| lookup(it, &cause.field))),
            ours: shown(lookup(&ours, &cause.field)),
        })
        .collect()
}

/// `conflict with "kubectl-edit" using apps/v1`.
fn manager(message: &str) -> String {
    let name = message.split('"').nth(1);
    name.unwrap_or(message).to_owned()
}

fn shown(value: Option<&Json>) -> String {
    let Some(value) = value else {
        return "nothing".to_owned();
    };
    let text = value.to_string();
    match text.char_indices().nth(120) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn status(field: &str, manager: &str) -> Status {
        serde_json::from_value(json!({"status": "Failure", "reason": "Conflict", "code": 409, "message": "Apply failed with 1 conflict",
            "details": {"causes": [
                {"reason": "FieldManagerConflict", "message": format!("conflict with \"{manager}\" using apps/v1"), "field": field},
                {"reason": "Other", "message": "x", "field": ".y"}]}}))
        .unwrap()
    }

    fn deployment(image: &str) -> Json {
        json!({"kind": "Deployment", "spec": {"template": {"spec": {"containers": [{"name": "api", "image": image}]}}}})
    }

    #[test]
    fn a_conflict_names_field_manager_and_both_values() {
        let object = ObjectRef::new("apps/v1", "Deployment", Some("keda"), "api");
        let field = ".spec.template.spec.containers[name=\"api\"].image";
        let all = read(
            &status(field, "kubectl-edit"),
            &object,
            Some(&deployment("a:2")),
            &deployment("a:1"),
        );
        assert_eq!(all.len(), 1);
        insta::assert_snapshot!(all[0], @r#"Deployment keda/api: .spec.template.spec.containers[name="api"].image belongs to kubectl-edit, which set "a:2"; kedactl would set "a:1""#);
        insta::assert_snapshot!(all[0].cure(), @r#"pass --revert-edits to put kedactl's value back, or set "a:2" in the values to keep the edit"#);
        assert!(all[0].by_hand());
    }

    #[test]
    fn a_controller_keeps_what_it_owns() {
        let object = ObjectRef::new("apps/v1", "Deployment", Some("keda"), "api");
        let all = read(
            &status(".spec.replicas", "kube-controller-manager"),
            &object,
            None,
            &json!({}),
        );
        assert!(!all[0].by_hand());
        assert!(all[0].cure().contains("do not render spec.replicas"));
    }

    #[test]
    fn values_of_secrets_are_masked() {
        let object = ObjectRef::new("v1", "Secret", Some("keda"), "redis");
        let secret = |value: &str| json!({"kind": "Secret", "data": {"password": value}});
        let all = read(
            &status(".data.password", "kubectl-patch"),
            &object,
            Some(&secret("aHVudGVyMg==")),
            &secret("aHVudGVyMw=="),
        );
        let told = format!("{}", all[0]);
        assert!(
            told.contains("***(7 B, sha256:f52f)") && !told.contains("aHVudGVy"),
            "{told}"
        );
    }
}
