//! What an apply of a release would do, and the mark of what it would be made from.
//! Must not write a revision, nor touch a lock.

use kedactl_exec::CancellationToken;

use super::Helm;
use crate::release::namespace;
use crate::{Release, ReleaseName, ToolError};

/// What an apply would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Looked {
    /// The revision that counts now; `None` where nothing was ever deployed.
    pub revision: Option<u32>,
    /// Whether a revision would be written.
    pub changes: bool,
    /// Name and version of what is there, or the chart that would be installed.
    pub chart: String,
}

impl Looked {
    /// `install`, `upgrade` or `unchanged`.
    pub fn word(&self) -> &'static str {
        match (self.revision, self.changes) {
            (_, false) => "unchanged",
            (None, true) => "install",
            (Some(_), true) => "upgrade",
        }
    }
}

impl Helm {
    /// The labels that a revision of this release would carry: digests of chart, values and rendered objects.
    pub async fn marks(
        &self,
        name: &ReleaseName,
        release: &Release,
        cancel: &CancellationToken,
    ) -> Result<String, ToolError> {
        let mut prepared = self.prepare(name, release, cancel).await?;
        let rendered = self.rendered(name, release, &mut prepared, cancel).await?;
        let marks = prepared.marks(&self.settings.stack, &rendered.text);
        Ok(marks.pairs())
    }

    /// Compares a release with what is deployed.
    pub async fn look(
        &self,
        name: &ReleaseName,
        release: &Release,
        cancel: &CancellationToken,
    ) -> Result<Looked, ToolError> {
        let namespace = namespace(name, release)?;
        let marks = self.marks(name, release, cancel).await?;
        let deployed = self.deployed_with(name, namespace, &marks, cancel).await?;
        let history = self.history(name, namespace, cancel).await?;
        let last = history.last();
        Ok(Looked {
            revision: last.map(|it| it.revision),
            changes: deployed.is_none(),
            chart: last.map_or_else(|| release.chart.clone(), |it| it.chart.clone()),
        })
    }
}
