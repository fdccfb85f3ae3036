//! Who a process is, beyond its number: the pid with its start time, so that a reused pid is never taken for it.
//! Must not trust a pid from a file before its start time was compared.

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};

use crate::ExecError;
use crate::procfs;

/// A process that is meant for good: pid and start time (clock ticks since boot, `/proc/<pid>/stat` field 22).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ProcId {
    /// Process number; reused by the kernel.
    pub pid: u32,
    /// Clock ticks since boot at which it started; together with the pid unique until the next boot.
    pub start_time: u64,
}

/// The name that this machine gives itself.
pub fn host_name() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}

impl ProcId {
    /// The identity of the process that has this number now.
    pub fn of(pid: u32) -> Option<Self> {
        procfs::stat(pid).map(|stat| Self {
            pid,
            start_time: stat.start_time,
        })
    }

    /// This very process.
    pub fn own() -> Option<Self> {
        Self::of(std::process::id())
    }

    /// Whether it still runs. A zombie does not run: only its exit status is left.
    pub fn alive(self) -> bool {
        procfs::stat(self.pid).is_some_and(|stat| stat.start_time == self.start_time && !stat.dead)
    }

    /// Whether it is stopped (`SIGSTOP`) or traced: alive, but it will not answer.
    pub fn frozen(self) -> bool {
        procfs::stat(self.pid).is_some_and(|stat| stat.start_time == self.start_time && stat.frozen)
    }

    /// Sends a signal to this process and to no other. `false` when it has ended already.
    pub fn signal(self, signal: Signal) -> Result<bool, ExecError> {
        let Some(pid) = raw(self.pid) else {
            return Ok(false);
        };
        let outcome = match pidfd_open(pid, PidfdFlags::empty()) {
            // The descriptor is bound to one process; the start time says that it is the one we mean.
            Ok(handle) if self.alive() => pidfd_send_signal(&handle, signal),
            Ok(_) | Err(Errno::SRCH) => return Ok(false),
            Err(_) if self.alive() => kill_process(pid, signal),
            Err(_) => return Ok(false),
        };
        match outcome {
            Ok(()) => Ok(true),
            Err(Errno::SRCH) => Ok(false),
            Err(source) => Err(ExecError::Signal {
                pid: self.pid,
                source: source.into(),
            }),
        }
    }

    /// Sends `SIGKILL` to the process group that this process leads: itself and what it started.
    pub fn kill_group(self) -> Result<bool, ExecError> {
        self.signal_group(Signal::KILL)
    }

    /// Sends a signal to the process group that this process leads; to it alone where it leads none.
    pub fn signal_group(self, signal: Signal) -> Result<bool, ExecError> {
        let leads = procfs::stat(self.pid)
            .is_some_and(|stat| stat.start_time == self.start_time && stat.group == self.pid);
        if !leads {
            return self.signal(signal);
        }
        let Some(pid) = raw(self.pid) else {
            return Ok(false);
        };
        match rustix::process::kill_process_group(pid, signal) {
            Ok(()) => Ok(true),
            Err(Errno::SRCH) => Ok(false),
            Err(source) => Err(ExecError::Signal {
                pid: self.pid,
                source: source.into(),
            }),
        }
    }
}

pub(crate) fn raw(pid: u32) -> Option<Pid> {
    i32::try_from(pid).ok().and_then(Pid::from_raw)
}

/// A signal by the name that images and manifests use (`SIGTERM`, `TERM`).
pub fn signal_named(name: &str) -> Option<Signal> {
    let short = name.trim().to_ascii_uppercase();
    Some(match short.strip_prefix("SIG").unwrap_or(&short) {
        "TERM" => Signal::TERM,
        "INT" => Signal::INT,
        "QUIT" => Signal::QUIT,
        "HUP" => Signal::HUP,
        "KILL" => Signal::KILL,
        "STOP" => Signal::STOP,
        "CONT" => Signal::CONT,
        "USR1" => Signal::USR1,
        "USR2" => Signal::USR2,
        "WINCH" => Signal::WINCH,
        _ => return None,
    })
}
