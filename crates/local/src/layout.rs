//! The files of a state directory, and the only way in which they are read and written.
//! Must not know what is in them.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use kedactl_exec::procfs;
use rustix::fs::{FlockOperation, flock};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::LocalError;

/// The state directory of one stack: `<state root>/local/<name>/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    dir: PathBuf,
}

impl Layout {
    /// The layout of a directory, which need not exist.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// The directory itself.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What `up` asked for.
    pub fn desired(&self) -> PathBuf {
        self.dir.join("desired.json")
    }

    /// What the supervisor sees.
    pub fn state(&self) -> PathBuf {
        self.dir.join("state.json")
    }

    /// Every reading and decision, one JSON object a line.
    pub fn journal(&self) -> PathBuf {
        self.dir.join("journal.jsonl")
    }

    /// Where the service proxy sends connections.
    pub fn endpoints(&self) -> PathBuf {
        self.dir.join("endpoints.json")
    }

    /// What of that the service proxy obeys.
    pub(crate) fn obeyed(&self) -> PathBuf {
        self.dir.join("endpoints.obeyed.json")
    }

    /// Held by the one supervisor.
    pub fn supervisor_lock(&self) -> PathBuf {
        self.dir.join("supervisor.lock")
    }

    /// Held by the one `up` or `down`.
    pub fn command_lock(&self) -> PathBuf {
        self.dir.join("command.lock")
    }

    /// Passwords, each a file of mode 0600.
    pub fn secrets(&self) -> PathBuf {
        self.dir.join("secrets")
    }

    /// The bearer token that the webhook asks for.
    pub fn webhook_token(&self) -> PathBuf {
        self.secrets().join("webhook-bearer")
    }

    /// Where the files of a `ConfigMap` lie that pods mount.
    pub(crate) fn mounted(&self, config_map: &str) -> PathBuf {
        self.dir.join("config").join(config_map)
    }

    /// The log of a pod, a server (`redis-0`), the `proxy` or the `supervisor`.
    pub fn log(&self, name: &str) -> PathBuf {
        self.dir.join("logs").join(format!("{name}.log"))
    }

    /// Data of a Redis server or Sentinel.
    pub fn data(&self, name: &str) -> PathBuf {
        self.dir.join("data").join(name)
    }

    /// Makes the directories, and refuses those of another user.
    pub(crate) fn prepare(&self) -> Result<(), LocalError> {
        for part in ["", "logs", "data", "secrets"] {
            make_dir(&self.dir.join(part))?;
        }
        self.check_owner()
    }

    /// Refuses a directory of another user.
    pub(crate) fn check_owner(&self) -> Result<(), LocalError> {
        let meta = fs::metadata(&self.dir).map_err(fail("read", &self.dir))?;
        let own = procfs::own_uid();
        if meta.uid() != own {
            return Err(LocalError::OtherUser {
                dir: self.dir.clone(),
                owner: meta.uid(),
            });
        }
        Ok(())
    }
}

pub(crate) fn make_dir(path: &Path) -> Result<(), LocalError> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(fail("create", path))
}

/// Turns an I/O error about a file into ours.
pub(crate) fn fail<'a>(
    what: &'static str,
    path: &'a Path,
) -> impl FnOnce(io::Error) -> LocalError + 'a {
    move |source| LocalError::File {
        what,
        path: path.to_owned(),
        source,
    }
}

/// Reads a JSON file; `None` when there is none.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, LocalError> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(fail("read", path)(source)),
    };
    serde_json::from_slice(&bytes)
        .map(Some)
        .map_err(|error| LocalError::Damaged {
            path: path.to_owned(),
            message: error.to_string(),
        })
}

/// Writes a JSON file so that a reader sees the old one or the new one, never a half.
pub(crate) fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<(), LocalError> {
    let bytes = serde_json::to_vec_pretty(value).map_err(|error| LocalError::Damaged {
        path: path.to_owned(),
        message: error.to_string(),
    })?;
    write_private(path, &bytes)
}

/// Writes a file of mode 0600 by renaming a finished one over it.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> Result<(), LocalError> {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let fresh = PathBuf::from(name);
    let write = || {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&fresh)?;
        file.write_all(bytes)?;
        fs::rename(&fresh, path)
    };
    write().map_err(fail("write", path))
}

/// Takes a lock file's lock without waiting. The lock ends with the returned file, also on SIGKILL.
pub(crate) fn try_lock(path: &Path) -> Result<Option<File>, LocalError> {
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(path)
        .map_err(fail("create", path))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(file)),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
        Err(source) => Err(fail("lock", path)(source.into())),
    }
}

/// The last lines of a log file, at most so many; empty when there is none.
pub fn log_tail(path: &Path, lines: usize) -> String {
    use std::io::{Read as _, Seek as _, SeekFrom};
    const MOST: u64 = 64 * 1024;
    let read = || -> io::Result<String> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(MOST)))?;
        let mut bytes = Vec::new();
        file.take(MOST).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    let text = read().unwrap_or_default();
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}
