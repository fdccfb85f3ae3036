//! Whose an object is that is already there.
//! Must not change it.

use serde_json::Value as Json;

use crate::names::{STACK_LABEL, Stack};
use crate::object::{annotation, items, label, text};

/// What may be taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Adopt {
    /// Nothing: an object without our label is an error.
    #[default]
    Refuse,
    /// Objects that no release, controller or other stack claims.
    Unowned,
    /// Everything that the names say.
    All,
}

/// Whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Owner {
    /// This stack's.
    Ours,
    /// Somebody else's.
    Other {
        /// In words.
        who: String,
        /// Whether nobody claims it.
        unowned: bool,
    },
}

impl Owner {
    /// Whether the object may be written to.
    pub(crate) fn allows(&self, adopt: Adopt) -> bool {
        match (self, adopt) {
            (Self::Ours, _) | (_, Adopt::All) => true,
            (Self::Other { unowned, .. }, Adopt::Unowned) => *unowned,
            (Self::Other { .. }, Adopt::Refuse) => false,
        }
    }
}

/// Reads labels, Helm's annotations and owner references.
pub(crate) fn owner(live: &Json, stack: &Stack) -> Owner {
    let other = |who: String, unowned: bool| Owner::Other { who, unowned };
    if let Some(name) = label(live, STACK_LABEL) {
        return if name == stack.name() {
            Owner::Ours
        } else {
            other(format!("stack {name}"), false)
        };
    }
    if let Some(release) = annotation(live, "meta.helm.sh/release-name") {
        let namespace = annotation(live, "meta.helm.sh/release-namespace").unwrap_or("?");
        return other(
            format!("Helm release {release} in namespace {namespace}"),
            false,
        );
    }
    let controller = items(live, "/metadata/ownerReferences")
        .iter()
        .find(|it| it["controller"] == true);
    if let Some(it) = controller {
        let who = format!("{} {}", text(it, "/kind"), text(it, "/name"));
        return other(who, false);
    }
    match label(live, "app.kubernetes.io/managed-by") {
        Some(program) if program != "kedactl" => other(program.to_owned(), false),
        _ => other("nobody that is known".to_owned(), true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn owners_are_told_apart() {
        let stack = Stack::new("demo", "keda").unwrap();
        let who = |metadata: Json| match owner(&json!({"metadata": metadata}), &stack) {
            Owner::Ours => "ours".to_owned(),
            Owner::Other { who, unowned } => format!("{who} {unowned}"),
        };
        let all = [
            (json!({"labels": {STACK_LABEL: "demo"}}), "ours"),
            (json!({"labels": {STACK_LABEL: "b"}}), "stack b false"),
            (
                json!({"annotations": {"meta.helm.sh/release-name": "redis", "meta.helm.sh/release-namespace": "x"}}),
                "Helm release redis in namespace x false",
            ),
            (
                json!({"ownerReferences": [{"kind": "ScaledObject", "name": "w", "controller": true}]}),
                "ScaledObject w false",
            ),
            (
                json!({"labels": {"app.kubernetes.io/managed-by": "Helm"}}),
                "Helm false",
            ),
            (
                json!({"labels": {"app.kubernetes.io/managed-by": "kedactl"}}),
                "nobody that is known true",
            ),
            (json!({}), "nobody that is known true"),
        ];
        for (metadata, expected) in all {
            assert_eq!(who(metadata), expected);
        }
    }

    #[test]
    fn adoption_follows_the_flag() {
        let unowned = Owner::Other {
            who: "x".into(),
            unowned: true,
        };
        let owned = Owner::Other {
            who: "x".into(),
            unowned: false,
        };
        let allowed = |adopt| {
            [
                Owner::Ours.allows(adopt),
                unowned.allows(adopt),
                owned.allows(adopt),
            ]
        };
        assert_eq!(allowed(Adopt::Refuse), [true, false, false]);
        assert_eq!(allowed(Adopt::Unowned), [true, true, false]);
        assert_eq!(allowed(Adopt::All), [true, true, true]);
    }
}
