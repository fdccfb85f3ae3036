//! Takes a lock off a release that a killed helm left behind.
//! Must not do so while somebody else may be at work: whoever calls shows that the stack's lease is theirs.

use kedactl_exec::CancellationToken;
use kedactl_plan::Step;

use super::{Helm, Revision, Status};
use crate::{ReleaseName, ToolError};

/// Says that the caller holds the stack's lease, so that no other kedactl works on its releases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseHeld {
    holder: String,
}

impl LeaseHeld {
    /// The identity under which the lease is held. To be made only by who has acquired it.
    pub fn by(holder: impl Into<String>) -> Self {
        Self {
            holder: holder.into(),
        }
    }
}

/// How a lock was taken off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repaired {
    /// Nothing had ever been deployed: what was left of the install was removed.
    Uninstalled,
    /// The release went back to what was deployed as this revision.
    RolledBack(u32),
}

impl Helm {
    /// Takes a lock off a release where there is one, and says so. Without the lease a lock is [`ToolError::Locked`].
    pub async fn repair(
        &self,
        name: &ReleaseName,
        namespace: &str,
        lease: Option<&LeaseHeld>,
        step: &Step<'_>,
        cancel: &CancellationToken,
    ) -> Result<Option<Repaired>, ToolError> {
        let history = self.history(name, namespace, cancel).await?;
        let Some(last) = history.last() else {
            return Ok(None);
        };
        let Some(status) = last.status.word() else {
            return Ok(None);
        };
        let Some(lease) = lease else {
            return Err(ToolError::Locked {
                release: name.to_string(),
                status: status.to_owned(),
                since: last.updated.clone(),
            });
        };
        let target = good(&history).filter(|_| last.status != Status::Uninstalling);
        let cure = match target {
            Some(revision) => format!("rolling back to revision {revision}"),
            None => "uninstalling what is left of it".to_owned(),
        };
        step.progress(
            0,
            None,
            format!(
                "release {name} is {status} since {} and {} holds the lease: {cure}",
                last.updated, lease.holder
            ),
        );
        if let Some(revision) = target {
            self.roll_back(name, namespace, revision, cancel).await?;
            Ok(Some(Repaired::RolledBack(revision)))
        } else {
            self.uninstall(name, namespace, cancel).await?;
            Ok(Some(Repaired::Uninstalled))
        }
    }
}

/// The revision to go back to: the last that was deployed.
fn good(history: &[Revision]) -> Option<u32> {
    let last = |status: &Status| {
        history
            .iter()
            .rev()
            .find(|revision| revision.status == *status)
            .map(|revision| revision.revision)
    };
    last(&Status::Deployed).or_else(|| last(&Status::Superseded))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(states: &[Status]) -> Vec<Revision> {
        states
            .iter()
            .zip(1..)
            .map(|(status, revision)| Revision {
                revision,
                status: status.clone(),
                updated: String::new(),
                chart: String::new(),
                description: String::new(),
            })
            .collect()
    }

    #[test]
    fn it_goes_back_to_what_was_deployed_last() {
        use Status::{Deployed, Failed, PendingInstall, PendingUpgrade, Superseded};
        assert_eq!(good(&history(&[PendingInstall])), None);
        assert_eq!(
            good(&history(&[Superseded, Deployed, PendingUpgrade])),
            Some(2)
        );
        assert_eq!(
            good(&history(&[Superseded, Failed, PendingUpgrade])),
            Some(1)
        );
        assert_eq!(good(&history(&[Failed, PendingUpgrade])), None);
    }
}
