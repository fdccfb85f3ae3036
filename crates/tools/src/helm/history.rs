//! What a release went through, as helm keeps it on the cluster.
//! Must not read the release itself: its body holds values and Secrets.

use kedactl_exec::CancellationToken;
use serde::Deserialize;

use super::Helm;
use super::command::json;
use crate::{Action, ReleaseName, ToolError};

/// One revision of a release.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Revision {
    /// Its number, from 1.
    pub revision: u32,
    /// What became of it.
    pub status: Status,
    /// When, as helm says it.
    #[serde(default)]
    pub updated: String,
    /// Name and version of the chart.
    #[serde(default)]
    pub chart: String,
    /// What it was for.
    #[serde(default)]
    pub description: String,
}

/// What became of a revision.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// It is the one that counts.
    Deployed,
    /// A later one counts.
    Superseded,
    /// It came to a bad end; the next upgrade may go on from here.
    Failed,
    /// An install runs, or was killed.
    PendingInstall,
    /// An upgrade runs, or was killed.
    PendingUpgrade,
    /// A rollback runs, or was killed.
    PendingRollback,
    /// An uninstall runs, was killed, or stopped half-way.
    Uninstalling,
    /// It is gone, and its record was kept.
    Uninstalled,
    /// Something that this program does not know.
    #[serde(other)]
    Unknown,
}

impl Status {
    /// Whether it locks the release against upgrades.
    pub fn locks(&self) -> bool {
        self.word().is_some()
    }

    /// Helm's word for a state that locks the release.
    pub(super) fn word(&self) -> Option<&'static str> {
        Some(match self {
            Self::PendingInstall => "pending-install",
            Self::PendingUpgrade => "pending-upgrade",
            Self::PendingRollback => "pending-rollback",
            Self::Uninstalling => "uninstalling",
            _ => return None,
        })
    }
}

#[derive(Deserialize)]
struct Listed {
    name: String,
    #[serde(default)]
    revision: serde_json::Value,
}

impl Helm {
    /// All revisions that are kept, oldest first; empty where there is no such release.
    pub async fn history(
        &self,
        name: &ReleaseName,
        namespace: &str,
        cancel: &CancellationToken,
    ) -> Result<Vec<Revision>, ToolError> {
        let job = self.cluster_job(
            name,
            namespace,
            &["history", name.as_str(), "--max", "256", "--output", "json"],
        )?;
        let asked = self
            .finish(
                Action::History,
                name.as_str(),
                &job,
                &self.settings.mask,
                cancel,
            )
            .await;
        let said = match asked {
            Err(ToolError::Refused { said, .. }) if said.contains("release: not found") => {
                return Ok(Vec::new());
            }
            other => other?,
        };
        let mut revisions: Vec<Revision> = json(Action::History, name.as_str(), &said)?;
        revisions.sort_by_key(|revision| revision.revision);
        Ok(revisions)
    }

    /// The revision that counts, where it is deployed and carries all these labels.
    pub(super) async fn deployed_with(
        &self,
        name: &ReleaseName,
        namespace: &str,
        labels: &str,
        cancel: &CancellationToken,
    ) -> Result<Option<u32>, ToolError> {
        let filter = format!("^{name}$");
        let job = self.cluster_job(
            name,
            namespace,
            &[
                "list",
                "--deployed",
                "--filter",
                &filter,
                "--selector",
                labels,
                "--output",
                "json",
            ],
        )?;
        let said = self
            .finish(
                Action::List,
                name.as_str(),
                &job,
                &self.settings.mask,
                cancel,
            )
            .await?;
        let listed: Vec<Listed> = json(Action::List, name.as_str(), &said)?;
        let found = listed
            .into_iter()
            .find(|listed| listed.name == name.as_str());
        // Helm 3 writes the number as a text.
        Ok(found.and_then(|listed| match listed.revision {
            serde_json::Value::String(text) => text.parse().ok(),
            other => other.as_u64().map(|number| number as u32),
        }))
    }
}
