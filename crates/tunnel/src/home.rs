//! The folder of one tunnel: its lock, the record of its process, its socket and its log.
//! Must not be trusted after a reboot or a kill: the lock says whether somebody lives here, not the files.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use kedactl_exec::ProcId;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::TunnelError;
use crate::access::Access;

/// What a running tunnel leaves for those that come after it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) process: ProcId,
    /// Milliseconds since the Unix epoch.
    pub(crate) started_at: u64,
    /// The cluster, where it is known by a file.
    pub(crate) access: Option<Access>,
    /// Namespace and name of the Services whose address may have been published.
    pub(crate) published: Vec<(String, String)>,
}

/// The folder, held by this process.
#[derive(Debug)]
pub struct Home {
    dir: PathBuf,
    /// The record of a process that ended without cleaning up.
    pub(crate) stale: Option<Record>,
    _lock: File,
}

impl Home {
    /// Takes the folder, which is made where it is missing. Fails where another tunnel holds it.
    pub fn take(dir: &Path) -> Result<Self, TunnelError> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(dir);
        made.map_err(fail("make", dir))?;
        let lock = lock(dir)?;
        let Some(lock) = lock else {
            let pid = record(dir)?.map_or(0, |record| record.process.pid);
            return Err(TunnelError::Running { pid });
        };
        Ok(Self {
            dir: dir.to_owned(),
            stale: record(dir)?,
            _lock: lock,
        })
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Whether a process holds the folder now.
    pub(crate) fn held(dir: &Path) -> Result<bool, TunnelError> {
        if !dir.exists() {
            return Ok(false);
        }
        Ok(lock(dir)?.is_none())
    }

    pub(crate) fn write(&self, record: &Record) -> Result<(), TunnelError> {
        write_json(&self.dir.join(RECORD), record)
    }

    /// Removes what says that a tunnel was here. The log stays.
    pub(crate) fn clear(&self) -> Result<(), TunnelError> {
        for name in [RECORD, SPEC, SOCKET] {
            let path = self.dir.join(name);
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(fail("remove", &path)(error));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

const RECORD: &str = "tunnel.json";
pub(crate) const SPEC: &str = "spec.json";
pub(crate) const SOCKET: &str = "control.sock";
pub(crate) const LOG: &str = "tunnel.log";

/// The record in the folder, whether or not its process lives.
pub(crate) fn record(dir: &Path) -> Result<Option<Record>, TunnelError> {
    read_json(&dir.join(RECORD))
}

fn lock(dir: &Path) -> Result<Option<File>, TunnelError> {
    let path = dir.join("lock");
    let open = OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(false)
        .mode(0o600)
        .open(&path);
    let file = open.map_err(fail("open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(fail("lock", &path)(error)),
    }
}

/// Writes a file that only this user may read, whole or not at all.
pub(crate) fn write_json(path: &Path, value: &impl Serialize) -> Result<(), TunnelError> {
    let fresh = path.with_extension("new");
    let write = || {
        let mut file = OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(true)
            .mode(0o600)
            .open(&fresh)?;
        serde_json::to_writer_pretty(&mut file, value)?;
        file.flush()?;
        fs::rename(&fresh, path)
    };
    write().map_err(fail("write", path))
}

/// Reads a file; a missing one is none, and so is one that another version wrote.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, TunnelError> {
    match fs::read(path) {
        Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(fail("read", path)(error)),
    }
}

pub(crate) fn fail(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> TunnelError {
    let path = path.to_owned();
    move |source| TunnelError::File { what, path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record_of(pid: u32) -> Record {
        Record {
            process: ProcId { pid, start_time: 1 },
            started_at: 1,
            access: None,
            published: vec![("keda".to_owned(), "api".to_owned())],
        }
    }

    #[test]
    fn a_folder_is_held_once_and_its_holder_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("tunnel");
        assert!(!Home::held(&dir).unwrap());
        let home = Home::take(&dir).unwrap();
        home.write(&record_of(42)).unwrap();
        assert!(Home::held(&dir).unwrap());
        let error = Home::take(&dir).unwrap_err();
        assert_eq!(
            error.to_string(),
            "a tunnel of this stack runs already (pid 42)"
        );
        drop(home);
        let again = Home::take(&dir).unwrap();
        assert_eq!(again.stale, Some(record_of(42)), "it ended without a word");
        again.clear().unwrap();
        drop(again);
        assert_eq!(Home::take(&dir).unwrap().stale, None);
    }

    #[test]
    fn a_damaged_record_is_none() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(RECORD), "{half").unwrap();
        assert_eq!(Home::take(dir.path()).unwrap().stale, None);
    }
}
