//! A child process that dies with the thread that started it, frozen or not.
//!
//! It must not outlive its fixture.

use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

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
        let log = std::fs::File::create(log)?;
        let inner = Command::new("setpriv")
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

    /// Stops it in its tracks; its connections stay open.
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    pub fn is_running(&mut self) -> bool {
        matches!(self.inner.try_wait(), Ok(None))
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.kill();
    }
}
