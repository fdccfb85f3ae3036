//! Starts long-lived processes in process groups of their own, and waits for the end of any process.
//! Must not tie their life to ours: what is started here survives the death of the program that started it.

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{PidfdFlags, pidfd_open};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::identity::raw;
use crate::run::describe;
use crate::{ExecError, ProcId};

/// How often a process without a descriptor is looked at.
const POLL: Duration = Duration::from_millis(50);

/// Variables of ours that every child gets: without them programs find neither each other nor their home.
const PASSED: [&str; 8] = [
    "PATH",
    "HOME",
    "USER",
    "LANG",
    "LC_ALL",
    "TZ",
    "TMPDIR",
    "RUST_BACKTRACE",
];

/// Those of our own variables that are set, for a process that needs them.
pub fn inherited(names: &[&str]) -> BTreeMap<String, OsString> {
    let set = |name: &&str| Some(((*name).to_owned(), env::var_os(name)?));
    names.iter().filter_map(set).collect()
}

/// A long-lived process to start.
#[derive(Debug, Clone)]
pub struct Spawn {
    /// The program's path.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Its environment, beside the few variables that every process needs.
    pub env: BTreeMap<String, OsString>,
    /// Where it runs.
    pub cwd: PathBuf,
    /// The file that its output is appended to.
    pub log: PathBuf,
    /// Whether it gets a process group of its own; a process that calls `setsid` itself must not.
    pub own_group: bool,
}

/// A process that is watched: one of our children, or one that another program started.
#[derive(Debug)]
pub struct Watched {
    id: ProcId,
    child: Option<Child>,
    handle: Option<AsyncFd<OwnedFd>>,
}

/// How a watched process ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exit {
    /// "exit code 0", "signal 9", or that it is unknown because it was not our child.
    pub how: String,
    /// Its exit code where it is known.
    pub code: Option<i32>,
}

impl Spawn {
    /// Starts the process. Must be called inside a tokio runtime.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that spawns"
    )]
    pub fn start(&self) -> Result<Watched, ExecError> {
        let log = open_log(&self.log)?;
        let refused = |source| ExecError::Start {
            command: self.program.display().to_string(),
            source,
        };
        let mut command = Command::new(&self.program);
        command
            .args(&self.args)
            .env_clear()
            .envs(
                PASSED
                    .iter()
                    .filter_map(|name| Some((name, env::var_os(name)?))),
            )
            .envs(&self.env)
            .current_dir(&self.cwd)
            .stdin(Stdio::null())
            .stdout(log.try_clone().map_err(refused)?)
            .stderr(log);
        if self.own_group {
            command.process_group(0);
        }
        let child = command.spawn().map_err(refused)?;
        let pid = child.id();
        // A child that ended at once is still there as a zombie until it is waited for.
        let id = ProcId::of(pid).unwrap_or(ProcId { pid, start_time: 0 });
        Ok(Watched {
            id,
            child: Some(child),
            handle: descriptor(id),
        })
    }
}

fn open_log(path: &Path) -> Result<File, ExecError> {
    OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(path)
        .map_err(|source| ExecError::Log {
            path: path.to_owned(),
            source,
        })
}

#[expect(
    deprecated,
    reason = "its successor is unsafe for types whose descriptor can change; an OwnedFd keeps its own"
)]
fn descriptor(id: ProcId) -> Option<AsyncFd<OwnedFd>> {
    let fd = pidfd_open(raw(id.pid)?, PidfdFlags::empty()).ok()?;
    // Opened after the identity was read: the number may have been reused in between.
    if ProcId::of(id.pid) != Some(id) {
        return None;
    }
    AsyncFd::with_interest(fd, Interest::READABLE).ok()
}

impl Watched {
    /// Watches a process that this program did not start. `None` when it does not run any more.
    pub fn adopt(id: ProcId) -> Option<Self> {
        id.alive().then(|| Self {
            id,
            child: None,
            handle: descriptor(id),
        })
    }

    /// The process's identity.
    pub fn id(&self) -> ProcId {
        self.id
    }

    /// Waits until the process has ended, and reaps it if it is a child. May be dropped and called again.
    pub async fn exited(&mut self) -> Exit {
        match &self.handle {
            Some(handle) => {
                // Readable means ended; an error means that the descriptor cannot tell, and polling does.
                if handle.readable().await.is_err() {
                    self.poll_end().await;
                }
            }
            None => self.poll_end().await,
        }
        self.reap()
    }

    async fn poll_end(&self) {
        while self.id.alive() {
            tokio::time::sleep(POLL).await;
        }
    }

    fn reap(&mut self) -> Exit {
        // What it started goes with it, as in a container. Until it is waited for, its group cannot be another's.
        if self.child.is_some()
            && let Err(error) = self.id.kill_group()
        {
            tracing::debug!(%error, "group");
        }
        let status = self.child.as_mut().and_then(|child| child.wait().ok());
        match status {
            Some(status) => Exit {
                how: describe(status),
                code: status.code(),
            },
            None => Exit {
                how: "an unknown status (started by an earlier supervisor)".to_owned(),
                code: None,
            },
        }
    }
}

/// Waits until none of the processes runs, at most so long; returns those that still do.
pub async fn gone(processes: &[ProcId], within: Duration) -> Vec<ProcId> {
    let wait = async {
        while processes.iter().any(|process| process.alive()) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    // The list below says whether it was in time.
    let _in_time = tokio::time::timeout(within, wait).await;
    processes.iter().copied().filter(|p| p.alive()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::Signal;

    fn sleeper(directory: &Path, script: &str) -> Spawn {
        Spawn {
            program: "/bin/sh".into(),
            args: vec!["-c".into(), script.into()],
            env: BTreeMap::from([("MARK".to_owned(), "m1".into())]),
            cwd: directory.to_owned(),
            log: directory.join("log"),
            own_group: true,
        }
    }

    fn scratch(name: &str) -> PathBuf {
        let path = env::temp_dir().join(format!("kedactl-exec-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        path
    }

    #[tokio::test]
    async fn a_child_is_logged_signalled_and_reaped() {
        let directory = scratch("child");
        let mut child = sleeper(&directory, "echo hello; exec sleep 60")
            .start()
            .unwrap();
        let id = child.id();
        assert!(id.alive());
        let mut seen = Watched::adopt(id).unwrap();
        assert!(id.signal(Signal::TERM).unwrap());
        assert_eq!(child.exited().await.how, "signal 15");
        assert_eq!(seen.exited().await.code, None);
        assert!(!id.alive() && !id.signal(Signal::TERM).unwrap());
        assert!(Watched::adopt(id).is_none());
        std::fs::remove_dir_all(directory).unwrap();
    }

    #[tokio::test]
    async fn a_group_dies_with_its_leader_and_exit_codes_are_kept() {
        let directory = scratch("group");
        let mut child = sleeper(&directory, "sleep 60 & echo $!; wait")
            .start()
            .unwrap();
        let inner = async {
            loop {
                let text = std::fs::read_to_string(directory.join("log")).unwrap();
                if let Ok(pid) = text.trim().parse::<u32>() {
                    break ProcId::of(pid).unwrap();
                }
                tokio::task::yield_now().await;
            }
        };
        let inner = tokio::time::timeout(Duration::from_secs(10), inner)
            .await
            .unwrap();
        child.id().kill_group().unwrap();
        assert_eq!(child.exited().await.how, "signal 9");
        assert!(gone(&[inner], Duration::from_secs(5)).await.is_empty());
        let mut child = sleeper(&directory, "exit 4").start().unwrap();
        assert_eq!(child.exited().await.code, Some(4));
        std::fs::remove_dir_all(directory).unwrap();
    }
}
