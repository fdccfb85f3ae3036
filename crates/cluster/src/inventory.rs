//! What belongs to a stack, written down on the cluster before it is made.
//! Must not forget an object before it is seen to be gone.

use std::collections::BTreeSet;

use serde_json::json;

use crate::api::Write;
use crate::connect::Cluster;
use crate::error::Error;
use crate::names::{MANAGED_BY, MANAGER, STACK_LABEL, Stack};
use crate::object::{ObjectRef, text};

/// Everything that may exist because of a stack.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inventory {
    objects: BTreeSet<ObjectRef>,
}

impl Inventory {
    /// The inventory that is written on the cluster; `None` where there is none.
    pub async fn read(cluster: &Cluster, stack: &Stack) -> Result<Option<Self>, Error> {
        let Some(map) = cluster.get(&reference(stack)).await? else {
            return Ok(None);
        };
        let text = text(&map, "/data/objects");
        let objects = if text.is_empty() {
            BTreeSet::new()
        } else {
            serde_json::from_str(text).map_err(|error| Error::Malformed {
                what: reference(stack).to_string(),
                problem: format!("its list of objects cannot be read ({error})"),
            })?
        };
        Ok(Some(Self { objects }))
    }

    /// Writes it; the caller holds the lock and knows whether anything changed.
    pub(crate) async fn write(&self, cluster: &Cluster, stack: &Stack) -> Result<(), Error> {
        let list = serde_json::to_string(&self.objects).unwrap_or_default();
        let body = json!({"apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": stack.inventory_name(), "namespace": stack.namespace(),
                "labels": {MANAGED_BY: MANAGER, STACK_LABEL: stack.name()}},
            "data": {"objects": list}});
        // Nobody else has a say in this object.
        cluster
            .patch_apply(&reference(stack), &body, Write::Forced)
            .await?;
        Ok(())
    }

    /// Its objects, sorted.
    pub fn objects(&self) -> impl Iterator<Item = &ObjectRef> {
        self.objects.iter()
    }

    /// Whether an object is in it.
    pub fn holds(&self, object: &ObjectRef) -> bool {
        self.objects.contains(object)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.objects.len()
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    /// This and the other together.
    #[must_use]
    pub fn union<'a>(&self, more: impl IntoIterator<Item = &'a ObjectRef>) -> Self {
        let mut objects = self.objects.clone();
        for object in more {
            // The newer version of the same object wins: it is how it will be found.
            objects.replace(object.clone());
        }
        Self { objects }
    }

    /// This without what is gone.
    #[must_use]
    pub fn without<'a>(&self, gone: impl IntoIterator<Item = &'a ObjectRef>) -> Self {
        let mut objects = self.objects.clone();
        for object in gone {
            objects.remove(object);
        }
        Self { objects }
    }
}

/// The `ConfigMap` that holds it.
pub(crate) fn reference(stack: &Stack) -> ObjectRef {
    ObjectRef::new(
        "v1",
        "ConfigMap",
        Some(stack.namespace()),
        &stack.inventory_name(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn refs(names: &[String]) -> Vec<ObjectRef> {
        let make = |name: &String| ObjectRef::new("v1", "ConfigMap", Some("n"), name);
        names.iter().map(make).collect()
    }

    proptest! {
        #[test]
        fn nothing_is_forgotten_before_it_is_gone(
            old in proptest::collection::vec("[a-d]", 0..5),
            new in proptest::collection::vec("[a-d]", 0..5),
            gone in proptest::collection::vec("[a-d]", 0..5),
        ) {
            let before = Inventory::default().union(&refs(&old));
            let during = before.union(&refs(&new));
            for object in refs(&old).iter().chain(&refs(&new)) {
                prop_assert!(during.holds(object));
            }
            let after = during.without(&refs(&gone));
            for object in during.objects() {
                prop_assert_eq!(after.holds(object), !refs(&gone).contains(object));
            }
        }
    }

    #[test]
    fn a_new_version_of_a_kind_replaces_the_old_one() {
        let object = |version| ObjectRef::new(version, "HorizontalPodAutoscaler", Some("n"), "api");
        let all = Inventory::default()
            .union(&[object("autoscaling/v2beta2")])
            .union(&[object("autoscaling/v2")]);
        assert_eq!(all.len(), 1);
        assert_eq!(all.objects().next().unwrap().api_version, "autoscaling/v2");
    }
}
