//! Whether a cluster may be written to: by its identity, never by the name of its context.
//! Must not let a cluster in for looking local.

use crate::connect::Cluster;
use crate::error::Error;

/// Fewest characters of a UID that name a cluster.
const SHORTEST_PREFIX: usize = 6;

/// What the user and the stack's record say about clusters.
#[derive(Debug, Clone, Default)]
pub struct Guard {
    /// UID that the stack is bound to, from its recorded state.
    pub recorded: Option<String>,
    /// UID prefix given on the command line.
    pub allowed: Option<String>,
    /// The cluster was created by this program in this very run.
    pub created_now: bool,
}

/// Why a cluster was let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It is the one that the stack is bound to.
    Bound,
    /// The user named it by its UID; the stack should be bound to it now.
    Allowed,
    /// This run created it.
    Created,
}

impl Guard {
    /// Lets the cluster in or refuses it.
    pub fn check(&self, cluster: &Cluster) -> Result<Admission, Error> {
        self.decide(cluster.uid())
            .map_err(|reason| Error::WrongCluster {
                reason,
                found: cluster.uid().to_owned(),
                about: format!(
                    "context {} is {} ({}), {}",
                    cluster.context(),
                    cluster.server(),
                    cluster.locality(),
                    version(cluster.version())
                ),
            })
    }

    fn decide(&self, uid: &str) -> Result<Admission, String> {
        if self.recorded.as_deref() == Some(uid) {
            return Ok(Admission::Bound);
        }
        if self.created_now {
            return Ok(Admission::Created);
        }
        match (&self.allowed, &self.recorded) {
            (Some(prefix), _) if prefix.len() < SHORTEST_PREFIX => Err(format!(
                "`{prefix}` is too short to name a cluster: {SHORTEST_PREFIX} characters of its UID are needed"
            )),
            (Some(prefix), _) if uid.starts_with(prefix.as_str()) => Ok(Admission::Allowed),
            (Some(prefix), _) => Err(format!("the cluster is {uid}, and {prefix} was allowed")),
            (None, Some(recorded)) => Err(format!(
                "the stack is bound to cluster {recorded}, and this is {uid}"
            )),
            (None, None) => Err(format!(
                "cluster {uid} was not made by kedactl and is not allowed yet"
            )),
        }
    }
}

fn version(version: &str) -> String {
    if version.is_empty() {
        "version unknown".to_owned()
    } else {
        format!("Kubernetes {version}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UID: &str = "0b5c7f3a-1111-4222-8333-444455556666";

    fn decide(
        recorded: Option<&str>,
        allowed: Option<&str>,
        created_now: bool,
    ) -> Result<Admission, String> {
        let guard = Guard {
            recorded: recorded.map(str::to_owned),
            allowed: allowed.map(str::to_owned),
            created_now,
        };
        guard.decide(UID)
    }

    #[test]
    fn a_cluster_is_let_in_by_identity_alone() {
        assert_eq!(decide(Some(UID), None, false), Ok(Admission::Bound));
        assert_eq!(decide(None, None, true), Ok(Admission::Created));
        assert_eq!(
            decide(None, Some("0b5c7f3a"), false),
            Ok(Admission::Allowed)
        );
        assert_eq!(
            decide(Some("other"), Some("0b5c7f3a"), false),
            Ok(Admission::Allowed)
        );
    }

    #[test]
    fn everything_else_is_refused_with_both_identities() {
        let refusal = decide(Some("other-uid"), None, false).unwrap_err();
        assert!(refusal.contains("other-uid") && refusal.contains(UID));
        assert!(
            decide(None, None, false)
                .unwrap_err()
                .contains("not allowed yet")
        );
        assert!(
            decide(None, Some("0b5"), false)
                .unwrap_err()
                .contains("too short")
        );
        assert!(decide(None, Some(""), false).is_err());
        assert!(decide(None, Some("ffffffff"), false).is_err());
    }
}
