//! A folder that only this user can read, and that is gone when its owner is.
//! Must not put anything outside of it.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use kedactl_exec::ProcId;

use crate::ToolError;

/// A private folder (0700) for files (0600) that hold values and credentials.
#[derive(Debug)]
pub struct PrivateDir {
    directory: tempfile::TempDir,
}

impl PrivateDir {
    /// Makes one inside of a folder, which is made where it is missing.
    ///
    /// What a run that was killed left there is removed: a folder's name says whose it is.
    pub fn inside(parent: &Path) -> Result<Self, ToolError> {
        folder(parent)?;
        sweep(parent);
        let own =
            ProcId::own().map_or_else(String::new, |own| format!("{}-{}", own.pid, own.start_time));
        let directory = tempfile::Builder::new()
            .prefix(&format!("run-{own}-"))
            .permissions(fs::Permissions::from_mode(0o700))
            .tempdir_in(parent)
            .map_err(ToolError::file(parent))?;
        Ok(Self { directory })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Writes a file that only this user can read.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<PathBuf, ToolError> {
        let path = self.path().join(name);
        OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&path)
            .and_then(|mut file| file.write_all(bytes))
            .map_err(ToolError::file(&path))?;
        Ok(path)
    }
}

/// Removes the folders of processes that have ended.
pub(crate) fn sweep(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let owner = name.to_str().and_then(|name| {
            let mut parts = name.strip_prefix("run-")?.splitn(3, '-');
            Some(ProcId {
                pid: parts.next()?.parse().ok()?,
                start_time: parts.next()?.parse().ok()?,
            })
        });
        if owner.is_some_and(|owner| !owner.alive())
            && let Err(error) = fs::remove_dir_all(entry.path())
        {
            tracing::debug!(%error, "a folder that a killed run left");
        }
    }
}

/// Makes a folder for this user alone, with its parents.
pub(crate) fn folder(path: &Path) -> Result<(), ToolError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(ToolError::file(path))
}

/// Writes a file in one step: who reads it sees the old one or the new one.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<(), ToolError> {
    let parent = path.parent().unwrap_or(Path::new("."));
    folder(parent)?;
    let mut file = tempfile::NamedTempFile::new_in(parent).map_err(ToolError::file(path))?;
    file.write_all(bytes).map_err(ToolError::file(path))?;
    file.persist(path)
        .map_err(|error| error.error)
        .map_err(ToolError::file(path))?;
    Ok(())
}

/// Reads a whole file.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, ToolError> {
    fs::read(path).map_err(ToolError::file(path))
}
