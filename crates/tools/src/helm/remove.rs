//! Goes back to an earlier revision, and takes a release off the cluster.
//! Must not take helm's word for it: afterwards the history is asked.

use std::time::Duration;

use kedactl_exec::CancellationToken;

use super::{Helm, Status};
use crate::{Action, ReleaseName, ToolError};

/// For helm's own operations where no release was declared.
const TIMEOUT: Duration = Duration::from_mins(5);

/// What became of a release that should go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removed {
    /// It is gone.
    Gone,
    /// It was not there.
    NotThere,
}

impl Helm {
    /// Takes a release off the cluster; dependents go first. What helm keeps by policy, and claims, stay.
    pub async fn uninstall(
        &self,
        name: &ReleaseName,
        namespace: &str,
        cancel: &CancellationToken,
    ) -> Result<Removed, ToolError> {
        if self.history(name, namespace, cancel).await?.is_empty() {
            return Ok(Removed::NotThere);
        }
        let job = self.cluster_job(
            name,
            namespace,
            &[
                "uninstall",
                name.as_str(),
                "--cascade",
                "foreground",
                "--ignore-not-found",
            ],
        )?;
        let job = Self::timed(job, TIMEOUT);
        self.finish(
            Action::Uninstall,
            name.as_str(),
            &job,
            &self.settings.mask,
            cancel,
        )
        .await?;
        match self.history(name, namespace, cancel).await?.last() {
            None => Ok(Removed::Gone),
            Some(last) => Err(ToolError::NoEffect {
                program: "helm",
                action: Action::Uninstall,
                subject: name.to_string(),
                found: format!("revision {} is still there", last.revision),
            }),
        }
    }

    /// Goes back to a revision, without its hooks; the new revision's number is the answer.
    pub async fn roll_back(
        &self,
        name: &ReleaseName,
        namespace: &str,
        revision: u32,
        cancel: &CancellationToken,
    ) -> Result<u32, ToolError> {
        let number = revision.to_string();
        let job = self.cluster_job(
            name,
            namespace,
            &["rollback", name.as_str(), &number, "--no-hooks"],
        )?;
        let job = Self::timed(job, TIMEOUT);
        self.finish(
            Action::Rollback,
            name.as_str(),
            &job,
            &self.settings.mask,
            cancel,
        )
        .await?;
        match self.history(name, namespace, cancel).await?.last() {
            Some(last) if last.status == Status::Deployed && last.revision > revision => {
                Ok(last.revision)
            }
            last => Err(ToolError::NoEffect {
                program: "helm",
                action: Action::Rollback,
                subject: name.to_string(),
                found: last.map_or_else(
                    || "there is no revision any more".to_owned(),
                    |last| format!("revision {} is {:?}", last.revision, last.status),
                ),
            }),
        }
    }
}
