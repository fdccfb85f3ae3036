//! What is kept of a stack on this machine: its cluster's identity and the way there, and what was asked for last.
//! Must not hold a secret, and must not be taken for the cluster: what is there, the cluster says.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use kedactl_cluster::{Cluster, Guard, Stack, Target};
use kedactl_config::{Config, Provider};
use kedactl_exec::ProcId;
use kedactl_tunnel::Access;
use serde::{Deserialize, Serialize};

use crate::{Home, StackError};

const FORMAT: u32 = 1;

/// A stack that was brought up on a cluster, or is about to be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    pub(crate) format: u32,
    /// What kind of place it runs at.
    pub provider: Provider,
    /// The file that leads to the cluster.
    pub kubeconfig: PathBuf,
    /// The context in it.
    pub context: String,
    /// UID of the cluster's namespace kube-system; `None` while a cluster of our own is being made.
    pub cluster: Option<String>,
    /// Name of the kind cluster that was made for the stack.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Name of the minikube profile that was made for the stack.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minikube: Option<String>,
    /// The configuration of the last run.
    pub config: Config,
    /// How that run ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_run: Option<LastRun>,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastRun {
    /// `up`, `down`.
    pub command: String,
    /// When it ended, milliseconds since the Unix epoch.
    pub ended_at: u64,
    /// Milliseconds that it took.
    pub took_ms: u64,
    /// `ready`, or the error in one line.
    pub outcome: String,
}

impl LastRun {
    pub(crate) fn now(command: &str, took_ms: Option<u64>, outcome: String) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        Self {
            command: command.to_owned(),
            ended_at: since.map_or(0, |since| since.as_millis() as u64),
            took_ms: took_ms.unwrap_or_default(),
            outcome,
        }
    }
}

/// Removes what runs that were killed were writing.
fn clear(dir: &Path) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_str().and_then(|name| name.strip_prefix("stack."));
        let pid = name.and_then(|name| name.strip_suffix(".tmp")?.parse().ok());
        if pid.is_some_and(|pid| ProcId::of(pid).is_none())
            && let Err(error) = fs::remove_file(entry.path())
        {
            tracing::debug!(%error, "a file that a killed run left");
        }
    }
}

impl Record {
    /// A stack whose cluster is not known yet.
    pub(crate) fn new(
        provider: Provider,
        kubeconfig: PathBuf,
        context: String,
        config: Config,
    ) -> Self {
        Self {
            format: FORMAT,
            provider,
            kubeconfig,
            context,
            cluster: None,
            kind: None,
            minikube: None,
            config,
            last_run: None,
        }
    }

    /// Reads the record of a stack; `None` where there is none.
    pub fn read(home: &Home) -> Result<Option<Self>, StackError> {
        #[derive(Deserialize)]
        struct Head {
            format: u32,
        }
        let path = home.record();
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(StackError::file("read", path)(source)),
        };
        let damaged = |problem: String| StackError::Record {
            path: path.clone(),
            problem,
        };
        let head: Head =
            serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
        if head.format != FORMAT {
            return Err(damaged(format!(
                "it has format {}, and this program knows {FORMAT}",
                head.format
            )));
        }
        serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|error| damaged(error.to_string()))
    }

    /// Writes down where the stack is, before anything is done there. What another run was asked for stays: it may be at work.
    pub(crate) fn bind(&self, home: &Home) -> Result<(), StackError> {
        let before = Self::read(home)?;
        let bound = Self {
            config: before
                .as_ref()
                .map_or(&self.config, |it| &it.config)
                .clone(),
            ..self.clone()
        };
        if before.as_ref() == Some(&bound) {
            return Ok(());
        }
        bound.write(home)
    }

    /// Writes the record, never half of it.
    pub(crate) fn write(&self, home: &Home) -> Result<(), StackError> {
        let (dir, path) = (home.dir(), home.record());
        clear(&dir);
        let beside = path.with_extension(format!("{}.tmp", std::process::id()));
        let written = (|| {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&dir)?;
            let mut file = fs::OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&beside)?;
            file.write_all(&serde_json::to_vec_pretty(self)?)?;
            file.sync_all()?;
            fs::rename(&beside, &path)
        })();
        if written.is_err() {
            fs::remove_file(&beside).ok();
        }
        written.map_err(StackError::file("write", path))
    }

    /// Forgets the stack: its folder goes.
    pub fn remove(home: &Home) -> Result<(), StackError> {
        let dir = home.dir();
        match fs::remove_dir_all(&dir) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(StackError::file("remove", dir)(error))
            }
            _ => Ok(()),
        }
    }

    /// The stack as the cluster knows it.
    pub fn stack(&self, home: &Home) -> Result<Stack, StackError> {
        Ok(Stack::new(home.stack(), &self.config.namespace)?)
    }

    /// The way to the cluster, for a tunnel.
    pub fn access(&self) -> Access {
        Access {
            kubeconfig: self.kubeconfig.clone(),
            context: Some(self.context.clone()),
        }
    }

    /// Connects to the cluster that the stack is bound to; another one behind the same name is refused.
    pub async fn connect(&self) -> Result<Cluster, StackError> {
        let cluster = Cluster::connect(&Target::new(&self.kubeconfig, &self.context)).await?;
        let guard = Guard {
            recorded: self.cluster.clone(),
            ..Guard::default()
        };
        guard.check(&cluster)?;
        Ok(cluster)
    }
}
