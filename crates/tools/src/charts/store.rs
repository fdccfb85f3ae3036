//! Where charts lie on this machine: our own, a folder of the user's, vendored archives, and what was fetched before.
//! Must not fetch, and must not take an archive for a chart that was pinned otherwise.

use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::{Vendored, hex};
use crate::private::folder;
use crate::release::source;
use crate::{Chart, ChartSource, Release, ReleaseName, ToolError};

/// The charts of a stack on this machine.
#[derive(Debug, Clone)]
pub struct Store {
    /// What was fetched, and our own charts unpacked.
    kept: PathBuf,
    vendored: Option<Vendored>,
}

/// A chart as its source knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// Its name in the repository, or the `oci://` reference.
    pub(crate) chart: String,
    pub(crate) repo: Option<String>,
    pub(crate) version: String,
    pub(crate) digest: Option<String>,
}

impl Wanted {
    /// The name that its Chart.yaml must have.
    pub(crate) fn name(&self) -> &str {
        self.chart.rsplit('/').next().unwrap_or(&self.chart)
    }

    /// Who has it, for messages.
    pub(crate) fn address(&self) -> String {
        self.repo.clone().unwrap_or_else(|| {
            let host = self.chart.trim_start_matches("oci://").split('/').next();
            host.unwrap_or_default().to_owned()
        })
    }
}

/// Where a chart is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// One of ours, built in.
    Own(Chart),
    /// A folder of the user's.
    Folder(Chart),
    /// An archive of the user's.
    Archive(Chart),
    /// In the folder of vendored archives.
    Vendored(Chart),
    /// Fetched before.
    Cached(Chart),
    /// At its source alone.
    NotFetched,
}

impl Place {
    /// The chart on this machine.
    pub fn chart(&self) -> Option<&Chart> {
        match self {
            Self::Own(it)
            | Self::Folder(it)
            | Self::Archive(it)
            | Self::Vendored(it)
            | Self::Cached(it) => Some(it),
            Self::NotFetched => None,
        }
    }

    /// `own`, `folder`, `archive`, `vendored`, `cached`, `not-fetched`.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Own(_) => "own",
            Self::Folder(_) => "folder",
            Self::Archive(_) => "archive",
            Self::Vendored(_) => "vendored",
            Self::Cached(_) => "cached",
            Self::NotFetched => "not-fetched",
        }
    }
}

impl Store {
    /// The charts below a stack's state folder, and those of a folder of vendored archives.
    pub fn open(state: &Path, vendored: Option<&Path>) -> Result<Self, ToolError> {
        Ok(Self {
            kept: state.join("charts"),
            vendored: vendored.map(Vendored::open).transpose()?,
        })
    }

    /// Where the chart of a release is.
    pub fn place(&self, name: &ReleaseName, release: &Release) -> Result<Place, ToolError> {
        let wanted = match source(name, release)? {
            ChartSource::Embedded(ours) => {
                return Ok(Place::Own(Chart::unpack(&ours, &self.kept)?));
            }
            ChartSource::Path(path) => {
                let chart = Chart::at(&path)?;
                if path.is_dir() {
                    return Ok(Place::Folder(chart));
                }
                chart.expect(release.digest.as_deref())?;
                return Ok(Place::Archive(chart));
            }
            ChartSource::Oci(..) | ChartSource::Repo(..) => Self::wanted(name, release)?,
        };
        let Some(wanted) = wanted else {
            return Ok(Place::NotFetched);
        };
        if let Some(vendored) = &self.vendored {
            let found = vendored.find(&wanted.chart, wanted.repo.as_deref(), &wanted.version)?;
            if let Some(chart) = found {
                chart.expect(release.digest.as_deref())?;
                return Ok(Place::Vendored(chart));
            }
        }
        Ok(self
            .cached(&wanted)
            .map_or(Place::NotFetched, Place::Cached))
    }

    /// What has to be asked of a source; `None` where the chart is on this machine by itself.
    pub(crate) fn wanted(
        name: &ReleaseName,
        release: &Release,
    ) -> Result<Option<Wanted>, ToolError> {
        let digest = release.digest.clone();
        Ok(match source(name, release)? {
            ChartSource::Oci(chart, version) => Some(Wanted {
                chart,
                repo: None,
                version,
                digest,
            }),
            ChartSource::Repo(repo, chart, version) => Some(Wanted {
                chart,
                repo: Some(repo),
                version,
                digest,
            }),
            ChartSource::Path(_) | ChartSource::Embedded(_) => None,
        })
    }

    /// What was fetched for it before. One that is damaged, or is not the pinned one, counts for nothing.
    pub(crate) fn cached(&self, wanted: &Wanted) -> Option<Chart> {
        let path = self.path(wanted);
        if !path.is_file() {
            return None;
        }
        let chart = Chart::at(&path).ok()?;
        let pinned = chart.expect(wanted.digest.as_deref());
        let whole = pinned.and_then(|()| chart.about());
        match whole {
            Ok(_) => Some(chart),
            Err(error) => {
                tracing::debug!(%error, "a chart that was fetched before");
                None
            }
        }
    }

    /// Keeps an archive that was read to its end; one step, so that no half of it is ever there.
    pub(crate) fn keep(&self, wanted: &Wanted, archive: &Path) -> Result<Chart, ToolError> {
        let path = self.path(wanted);
        folder(&self.kept)?;
        std::fs::rename(archive, &path).map_err(ToolError::file(&path))?;
        Chart::at(&path)
    }

    fn path(&self, wanted: &Wanted) -> PathBuf {
        let (chart, repo) = (&wanted.chart, wanted.repo.as_deref().unwrap_or_default());
        let text = format!("{chart}\n{repo}\n{}", wanted.version);
        let key = hex(&Sha256::digest(text));
        self.kept.join(format!("{}.tgz", &key[..40]))
    }
}
