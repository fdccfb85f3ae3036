//! Chooses ports of 127.0.0.1 that are free now.
//! Must not keep a port open: whoever gets it binds it soon, and asks again when it was taken in between.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr as UnixAddr, UnixListener};

use kedactl_exec::procfs;

use crate::LocalError;

/// Where pods listen: below the ports that the kernel gives to outgoing connections.
const POD_PORTS: std::ops::Range<u16> = 10_000..20_000;

/// Whether the port can be bound on 127.0.0.1, as a server of ours would do it.
pub(crate) fn free(port: u16) -> bool {
    TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).is_ok()
}

/// The ports that a supervisor has claimed for as long as it lives. Two stacks that start in the same moment would both
/// see a port free before either binds it; a socket with the port's name in the abstract namespace lets one of them have it.
#[derive(Debug)]
pub(crate) struct Claims {
    /// Ports that processes of this stack listen on already.
    in_use: BTreeSet<u16>,
    taken: BTreeSet<u16>,
    locks: Vec<UnixListener>,
}

impl Claims {
    /// `promised` is never handed out: users know it.
    pub(crate) fn new(promised: u16, in_use: BTreeSet<u16>) -> Self {
        Self {
            in_use,
            taken: BTreeSet::from([promised]),
            locks: Vec::new(),
        }
    }

    /// Whether a process of this stack listens on the port already.
    pub(crate) fn serves(&self, port: u16) -> bool {
        self.in_use.contains(&port)
    }

    /// Claims this very port: false when it is taken, or handed out before.
    pub(crate) fn keep(&mut self, port: u16) -> bool {
        if port == 0 || self.taken.contains(&port) {
            return false;
        }
        let lock = lock(port);
        let ours = self.serves(port) || (lock.is_some() && free(port));
        if ours {
            self.taken.insert(port);
            self.locks.extend(lock);
        }
        ours
    }

    /// Claims the first free port from `first` on.
    pub(crate) fn next(&mut self, first: u16, what: &str) -> Result<u16, LocalError> {
        (first..first.saturating_add(1_000))
            .find(|port| !self.serves(*port) && self.keep(*port))
            .ok_or_else(|| LocalError::NoPort {
                what: what.to_owned(),
                first,
            })
    }
}

fn lock(port: u16) -> Option<UnixListener> {
    let name = UnixAddr::from_abstract_name(format!("kedactl-port-{port}")).ok()?;
    UnixListener::bind_addr(&name).ok()
}

/// A free port for a pod, at a place that differs from call to call, so that a freed port is not reused at once.
pub(crate) fn for_pod(taken: &BTreeSet<u16>) -> Result<u16, LocalError> {
    let length = POD_PORTS.end - POD_PORTS.start;
    let offset = u16::from_le_bytes(crate::secrets::random::<2>()) % length;
    (0..length)
        .map(|step| POD_PORTS.start + (offset + step) % length)
        .find(|port| !taken.contains(port) && free(*port))
        .ok_or_else(|| LocalError::NoPort {
            what: "a pod".to_owned(),
            first: POD_PORTS.start,
        })
}

/// Who listens on a port, in words: "nginx (pid 42)".
pub(crate) fn owner(port: u16) -> Option<String> {
    procfs::listener(port).map(|found| format!("{} (pid {})", found.program, found.pid))
}
