//! The names by which this program knows its own things on a cluster.
//! Must not build a name anywhere else: a label that is spelled twice is spelled in two ways one day.

use std::fmt;

use crate::error::Error;

/// Field manager of every write.
pub const MANAGER: &str = "kedactl";
/// Label that says which program made an object.
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// Label that says to which stack an object belongs.
pub const STACK_LABEL: &str = "kedactl.io/stack";
/// Annotation with the hash of the object as it was last applied.
pub const HASH_ANNOTATION: &str = "kedactl.io/applied";
/// Annotation of namespaces that this program created, so that `down --purge` may delete them.
pub const ORIGIN_ANNOTATION: &str = "kedactl.io/origin";
/// Annotation of Secrets whose content was made here and exists nowhere else.
pub const GENERATED_ANNOTATION: &str = "kedactl.io/generated";
/// KEDA's finalizer on `ScaledObjects` and `ScaledJobs` (and on `TriggerAuthentications` from 2.15 on).
pub const KEDA_FINALIZER: &str = "finalizer.keda.sh";

/// A stack: its name and the namespace that holds its inventory and its lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stack {
    name: String,
    namespace: String,
}

impl Stack {
    /// Both names must be DNS labels of at most 50 and 63 characters.
    pub fn new(name: impl Into<String>, namespace: impl Into<String>) -> Result<Self, Error> {
        let (name, namespace) = (name.into(), namespace.into());
        dns_label(&name, 50)?;
        dns_label(&namespace, 63)?;
        Ok(Self { name, namespace })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The namespace of its inventory and its lock.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Name of the `ConfigMap` with everything that belongs to the stack.
    pub fn inventory_name(&self) -> String {
        format!("kedactl-inventory-{}", self.name)
    }

    /// Name of the Lease that a run holds.
    pub fn lease_name(&self) -> String {
        format!("kedactl-{}", self.name)
    }

    /// Label selector of everything that belongs to the stack.
    pub fn selector(&self) -> String {
        format!("{STACK_LABEL}={}", self.name)
    }
}

impl fmt::Display for Stack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

fn dns_label(name: &str, longest: usize) -> Result<(), Error> {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let ends = |byte: Option<&u8>| byte.is_some_and(|byte| inner(*byte));
    let bytes = name.as_bytes();
    let good = bytes.len() <= longest
        && ends(bytes.first())
        && ends(bytes.last())
        && bytes.iter().all(|byte| inner(*byte) || *byte == b'-');
    if good {
        return Ok(());
    }
    Err(Error::Malformed {
        what: format!("name `{name}`"),
        problem: format!(
            "a name is lower-case letters, digits and inner dashes, at most {longest} characters"
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_dns_labels() {
        for good in ["a", "demo", "a-1", &"x".repeat(50)] {
            assert!(Stack::new(good, "keda").is_ok(), "{good}");
        }
        for bad in ["", "-a", "a-", "A", "a.b", "a b", &"x".repeat(51)] {
            assert!(Stack::new(bad, "keda").is_err(), "{bad}");
        }
        assert!(Stack::new("demo", "Keda").is_err());
    }
}
