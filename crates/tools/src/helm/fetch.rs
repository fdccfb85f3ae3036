//! Makes a chart a file of this machine, once: what was fetched for a version is never fetched again.
//! Must not let half a download look like a chart.

use std::fs;
use std::path::{Path, PathBuf};

use kedactl_exec::CancellationToken;
use sha2::{Digest as _, Sha256};

use super::Helm;
use crate::charts::hex;
use crate::private::folder;
use crate::release::source;
use crate::{Action, Chart, ChartSource, PrivateDir, Release, ReleaseName, ToolError};

impl Helm {
    /// The chart of a release, as a folder or an archive.
    pub async fn chart(
        &self,
        name: &ReleaseName,
        release: &Release,
        cancel: &CancellationToken,
    ) -> Result<Chart, ToolError> {
        let charts = self.settings.state.join("charts");
        match source(name, release)? {
            ChartSource::Path(path) => Chart::at(&path),
            ChartSource::Embedded(ours) => Chart::unpack(&ours, &charts),
            ChartSource::Oci(reference, version) => {
                self.fetched(&charts, &[&reference], &version, cancel).await
            }
            ChartSource::Repo(repo, chart, version) => {
                self.fetched(&charts, &[&chart, "--repo", &repo], &version, cancel)
                    .await
            }
        }
    }

    async fn fetched(
        &self,
        charts: &Path,
        reference: &[&str],
        version: &str,
        cancel: &CancellationToken,
    ) -> Result<Chart, ToolError> {
        let key = hex(&Sha256::digest(format!("{reference:?} {version}")));
        let kept = charts.join(format!("{}.tgz", &key[..40]));
        if kept.is_file() {
            return Chart::at(&kept);
        }
        let private = PrivateDir::inside(&self.settings.state.join("tmp"))?;
        let destination = private.path().to_string_lossy().into_owned();
        let mut args = vec!["pull"];
        args.extend(reference);
        args.extend(["--version", version, "--destination", &destination]);
        let job = Self::timed_fetch(self.job(&args));
        self.finish(
            Action::Fetch,
            reference[0],
            &job,
            &self.settings.mask,
            cancel,
        )
        .await?;
        let archive = archive_in(private.path()).ok_or_else(|| ToolError::NoEffect {
            program: "helm",
            action: Action::Fetch,
            subject: reference[0].to_owned(),
            found: "there is no archive".to_owned(),
        })?;
        folder(charts)?;
        // Both lie in the stack's folder: this is one step.
        fs::rename(&archive, &kept).map_err(ToolError::file(&kept))?;
        Chart::at(&kept)
    }

    fn timed_fetch(job: kedactl_exec::Job) -> kedactl_exec::Job {
        job.within(std::time::Duration::from_mins(3))
    }
}

fn archive_in(folder: &Path) -> Option<PathBuf> {
    fs::read_dir(folder)
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|extension| extension == "tgz"))
}
