//! A child process that dies with the thread that started it, frozen or not.
//!
//! It must not outlive its fixture.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::{skipped, until};

/// How long a program may take to clean up.
const TERMINATED_WITHIN: Duration = Duration::from_secs(30);

/// A running program.
#[derive(Debug)]
pub struct Child {
    inner: std::process::Child,
}

impl Child {
    /// Starts the program through `setpriv --pdeathsig KILL`; its output goes to a file.
    #[expect(
        clippy::disallowed_methods,
        reason = "fixtures start real servers themselves"
    )]
    pub fn start(program: &str, args: &[String], log: &Path) -> anyhow::Result<Self> {
        Self::spawn(Command::new("setpriv"), program, args, log)
    }

    /// As [`Self::start`], for a program that resolves names by a hosts file which nobody else sees.
    #[expect(
        clippy::disallowed_methods,
        reason = "fixtures start real servers themselves"
    )]
    pub fn start_with_hosts(
        hosts: &Path,
        program: &str,
        args: &[String],
        log: &Path,
    ) -> anyhow::Result<Self> {
        let mut alone = Command::new("unshare");
        alone.args(own_mounts()).args(["--", "sh", "-c"]);
        alone.arg(r#"mount --bind "$0" /etc/hosts && exec setpriv "$@""#);
        alone.arg(hosts);
        Self::spawn(alone, program, args, log)
    }

    /// As [`Self::start`], with a folder that is a disk of its own of so many MiB.
    #[expect(
        clippy::disallowed_methods,
        reason = "fixtures start real servers themselves"
    )]
    pub(crate) fn start_on_disk(
        (folder, mib): (&Path, u32),
        program: &str,
        args: &[String],
        log: &Path,
    ) -> anyhow::Result<Self> {
        let mut alone = Command::new("unshare");
        alone.args(own_mounts()).args(["--", "sh", "-c"]);
        alone.arg(r#"mount -t tmpfs -o size="$1"m disk "$0" && shift && exec setpriv "$@""#);
        alone.arg(folder).arg(mib.to_string());
        Self::spawn(alone, program, args, log)
    }

    fn spawn(
        mut setpriv: Command,
        program: &str,
        args: &[String],
        log: &Path,
    ) -> anyhow::Result<Self> {
        let log = std::fs::File::create(log)?;
        let inner = setpriv
            .args(["--pdeathsig", "KILL", program])
            .args(args)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        Ok(Self { inner })
    }

    pub fn pid(&self) -> u32 {
        self.inner.id()
    }

    fn signal(&self, signal: Signal) {
        if let Some(pid) = i32::try_from(self.inner.id()).ok().and_then(Pid::from_raw) {
            // It may have ended by itself, which the caller sees in other ways.
            let _ended = kill_process(pid, signal);
        }
    }

    /// `kill -9`, and waits for the end.
    pub fn kill(&mut self) {
        self.signal(Signal::KILL);
        // Waited for already.
        let _status = self.inner.wait();
    }

    /// Stops it in its tracks; its connections stay open. A busy machine may let its threads go on for a while after the
    /// signal: it returns when all of them stand still.
    ///
    /// # Panics
    /// If they do not.
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
        let tasks = format!("/proc/{}/task", self.inner.id());
        until("every thread stands still", TERMINATED_WITHIN, || {
            let tasks = std::fs::read_dir(&tasks).into_iter().flatten().flatten();
            let runs = |task: std::fs::DirEntry| {
                let stat = std::fs::read_to_string(task.path().join("stat")).unwrap_or_default();
                let state = stat.rsplit_once(") ").map_or("", |it| it.1);
                !state.is_empty() && !state.starts_with(['T', 't', 'Z', 'X'])
            };
            !tasks.into_iter().any(runs)
        });
    }

    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    /// Asks it to end, so that it can clean up.
    ///
    /// # Panics
    /// If it does not end in time.
    pub fn terminate(&mut self) {
        self.signal(Signal::TERM);
        until("the program ends", TERMINATED_WITHIN, || !self.is_running());
    }

    pub fn is_running(&mut self) -> bool {
        matches!(self.inner.try_wait(), Ok(None))
    }
}

/// Options of `unshare` for mounts that nobody else sees.
fn own_mounts() -> &'static [&'static str] {
    if rustix::process::geteuid().is_root() {
        &["--mount"]
    } else {
        &["--map-root-user", "--mount"]
    }
}

/// Whether a program can have a hosts file of its own here; says so on stderr where a test has to be skipped.
#[expect(
    clippy::disallowed_methods,
    reason = "fixtures start real servers themselves"
)]
pub(crate) fn can_have_own_hosts() -> bool {
    let run = Command::new("unshare")
        .args(own_mounts())
        .args(["--", "mount", "--bind", "/etc/hosts", "/etc/hosts"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    let can = run.is_ok_and(|status| status.success());
    if !can {
        skipped("a mount namespace needs root, or unprivileged user namespaces");
    }
    can
}

impl Drop for Child {
    fn drop(&mut self) {
        self.kill();
    }
}
