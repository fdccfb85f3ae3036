//! Helm's record of a revision that was cut off, when a later one stands: helm leaves it as `pending` for good.
//! Must not touch the last revision, nor a record without the stack's label.

use serde_json::Value as Json;

use crate::api::Deletion;
use crate::connect::Cluster;
use crate::error::Error;
use crate::names::{STACK_LABEL, Stack};
use crate::object::{ObjectRef, label, resource_version};

/// Removes the records of a release's interrupted revisions that a later one replaced; how many there were.
/// The caller holds the stack's lock.
pub async fn forget_interrupted(
    cluster: &Cluster,
    stack: &Stack,
    namespace: &str,
    release: &str,
) -> Result<usize, Error> {
    let selector = format!("owner=helm,name={release}");
    let records = cluster
        .list("v1", "Secret", Some(namespace), Some(&selector))
        .await?;
    let old = interrupted(&records, stack);
    for record in &old {
        let unchanged = Deletion {
            resource_version: Some(resource_version(record).to_owned()),
            ..Deletion::default()
        };
        let reference = ObjectRef::of(record)?;
        cluster.delete(&reference, &unchanged).await?;
    }
    Ok(old.len())
}

/// The records that are no release's last word and say that one is still at work.
fn interrupted<'r>(records: &'r [Json], stack: &Stack) -> Vec<&'r Json> {
    let revision = |record: &Json| label(record, "version").and_then(|it| it.parse::<u64>().ok());
    let last = records.iter().filter_map(revision).max();
    let old = records.iter().filter(|it| revision(it) < last);
    old.filter(|it| label(it, STACK_LABEL) == Some(stack.name()))
        .filter(|it| label(it, "status").is_some_and(|status| status.starts_with("pending-")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_old_revisions_of_ours_that_say_pending_are_forgotten() {
        let record = |version: &str, status: &str, stack: &str| json!({"metadata": {"labels": {"version": version, "status": status, STACK_LABEL: stack}}});
        let stack = Stack::new("demo", "keda").unwrap();
        let old = record("9", "pending-upgrade", "demo");
        let all = [
            record("7", "superseded", "demo"),
            record("8", "pending-upgrade", "other"),
            old.clone(),
            record("10", "pending-rollback", "demo"),
        ];
        assert_eq!(interrupted(&all, &stack), [&old]);
        assert!(
            interrupted(&all[3..], &stack).is_empty(),
            "it may be at work"
        );
    }
}
