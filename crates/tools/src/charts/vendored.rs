//! A folder of archives with a lock file: charts that are carried along and never fetched.
//! Must not hand out an archive that is not the one of the lock.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::private::{read, replace};
use crate::{Chart, ToolError};

/// The lock's name in the folder.
pub const LOCK: &str = "charts.lock.json";

/// A folder of archives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vendored {
    folder: PathBuf,
    locked: Vec<Locked>,
}

/// One archive of the lock.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Locked {
    /// Name of the chart, or its `oci://` reference.
    pub chart: String,
    /// The repository in which it is a name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repo: Option<String>,
    /// Its version.
    pub version: String,
    /// The archive's name in the folder.
    pub file: String,
    /// SHA-256 of the archive, `sha256:…`.
    pub digest: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Lock {
    schema: String,
    charts: Vec<Locked>,
}

const SCHEMA: &str = "kedactl.charts.lock/v1";

impl Vendored {
    /// Reads the lock of a folder. A folder without one is an error, as a folder of that name is expected.
    pub fn open(folder: &Path) -> Result<Self, ToolError> {
        let path = folder.join(LOCK);
        let lock: Lock =
            serde_json::from_slice(&read(&path)?).map_err(|error| ToolError::Chart {
                chart: path.display().to_string(),
                problem: format!("it is no lock of charts: {error}"),
            })?;
        Ok(Self {
            folder: folder.to_owned(),
            locked: lock.charts,
        })
    }

    /// The same, or an empty one where the folder has no lock yet.
    pub fn open_or_new(folder: &Path) -> Result<Self, ToolError> {
        match fs::metadata(folder.join(LOCK)) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Self {
                folder: folder.to_owned(),
                locked: Vec::new(),
            }),
            _ => Self::open(folder),
        }
    }

    /// The archive of a chart, held against the lock; `None` where the lock has no such chart.
    pub(crate) fn find(
        &self,
        chart: &str,
        repo: Option<&str>,
        version: &str,
    ) -> Result<Option<Chart>, ToolError> {
        let same =
            |it: &&Locked| it.chart == chart && it.repo.as_deref() == repo && it.version == version;
        let Some(locked) = self.locked.iter().find(same) else {
            return Ok(None);
        };
        let found = Chart::at(&self.folder.join(&locked.file))?;
        found.expect(Some(&locked.digest))?;
        Ok(Some(found))
    }

    /// Copies an archive into the folder and enters it into the lock, in the place of an earlier one of that version.
    pub fn add(&mut self, chart: &Chart, mut locked: Locked) -> Result<(), ToolError> {
        locked.digest = format!("sha256:{}", chart.digest);
        replace(&self.folder.join(&locked.file), &read(&chart.path)?)?;
        let key = |it: &Locked| (it.chart.clone(), it.repo.clone(), it.version.clone());
        self.locked.retain(|it| key(it) != key(&locked));
        self.locked.push(locked);
        self.locked.sort();
        let lock = Lock {
            schema: SCHEMA.to_owned(),
            charts: self.locked.clone(),
        };
        let mut text = serde_json::to_string_pretty(&lock).unwrap_or_default();
        text.push('\n');
        replace(&self.folder.join(LOCK), text.as_bytes())
    }
}
