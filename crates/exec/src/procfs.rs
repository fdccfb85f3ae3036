//! Reads `/proc`: what runs, whose it is, what it costs, who listens on a port.
//! Must not write anything there, and must take every file for absent at any moment.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::MetadataExt as _;

use crate::ProcId;

/// The fields of `/proc/<pid>/stat` that matter here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// Parent's pid.
    pub parent: u32,
    /// Process group.
    pub group: u32,
    /// User and system time used so far, in clock ticks.
    pub cpu_ticks: u64,
    /// Clock ticks since boot at which it started.
    pub start_time: u64,
    /// Resident memory in bytes.
    pub rss_bytes: u64,
    /// It ended and waits to be reaped.
    pub dead: bool,
    /// It is stopped or traced.
    pub frozen: bool,
}

/// Reads one process's figures; `None` when there is no such process.
pub fn stat(pid: u32) -> Option<Stat> {
    let text = fs::read(format!("/proc/{pid}/stat")).ok()?;
    parse_stat(&text)
}

fn parse_stat(text: &[u8]) -> Option<Stat> {
    // The name stands in brackets and may contain brackets and spaces: the fields begin after the last one.
    let close = text.iter().rposition(|byte| *byte == b')')?;
    let rest = std::str::from_utf8(text.get(close + 1..)?).ok()?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    let number = |index: usize| {
        fields
            .get(index)
            .and_then(|field| field.parse::<u64>().ok())
    };
    let state = *fields.first()?;
    Some(Stat {
        parent: number(1)? as u32,
        group: number(2)? as u32,
        cpu_ticks: number(11)? + number(12)?,
        start_time: number(19)?,
        rss_bytes: number(21)? * rustix::param::page_size() as u64,
        dead: matches!(state, "Z" | "X" | "x"),
        frozen: matches!(state, "T" | "t"),
    })
}

/// Clock ticks a second, the unit of [`Stat::cpu_ticks`].
pub fn ticks_per_second() -> u64 {
    rustix::param::clock_ticks_per_second()
}

/// The user that the process runs as.
pub fn uid(pid: u32) -> Option<u32> {
    fs::metadata(format!("/proc/{pid}")).ok().map(|m| m.uid())
}

/// The user that this program runs as.
pub fn own_uid() -> u32 {
    rustix::process::getuid().as_raw()
}

/// The command line, program first; empty for kernel threads and zombies.
pub fn cmdline(pid: u32) -> Vec<OsString> {
    let text = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    text.split(|byte| *byte == 0)
        .filter(|part| !part.is_empty())
        .map(|part| OsString::from_vec(part.to_vec()))
        .collect()
}

/// The short name of a process's program.
pub fn program(pid: u32) -> Option<String> {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
    Some(name.trim_end().to_owned())
}

/// One variable of the environment that the process was started with; `None` also where it is not ours to read.
pub fn environ(pid: u32, name: &str) -> Option<OsString> {
    let text = fs::read(format!("/proc/{pid}/environ")).ok()?;
    text.split(|byte| *byte == 0).find_map(|entry| {
        let value = entry
            .strip_prefix(name.as_bytes())?
            .strip_prefix(b"=".as_slice())?;
        Some(OsString::from_vec(value.to_vec()))
    })
}

/// Every live process of this user whose environment has `name=value`, without this process itself.
pub fn marked(name: &str, value: &str) -> Vec<ProcId> {
    let own = std::process::id();
    let user = own_uid();
    pids()
        .filter(|pid| *pid != own && uid(*pid) == Some(user))
        .filter(|pid| environ(*pid, name).is_some_and(|found| found.as_bytes() == value.as_bytes()))
        .filter_map(ProcId::of)
        .filter(|process| process.alive())
        .collect()
}

pub(crate) fn pids() -> impl Iterator<Item = u32> {
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

/// A process that listens on a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// Its pid.
    pub pid: u32,
    /// Its program's short name.
    pub program: String,
}

/// Who listens on a TCP port of this machine, as far as this user may see.
pub fn listener(port: u16) -> Option<Listener> {
    let wanted = listening(port);
    if wanted.is_empty() {
        return None;
    }
    let pid = pids().find(|pid| holds(*pid, &wanted))?;
    Some(Listener {
        pid,
        program: program(pid).unwrap_or_default(),
    })
}

/// Whether this very process listens on a TCP port.
pub fn listens(pid: u32, port: u16) -> bool {
    let wanted = listening(port);
    !wanted.is_empty() && holds(pid, &wanted)
}

/// The listening sockets of a port, as links in `/proc/<pid>/fd` name them.
fn listening(port: u16) -> HashSet<String> {
    ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|path| fs::read_to_string(path).ok())
        .flat_map(|text| listening_inodes(&text, port))
        .map(|inode| format!("socket:[{inode}]"))
        .collect()
}

/// Inodes of the sockets in state LISTEN (0A) on the port, from the text of `/proc/net/tcp`.
fn listening_inodes(text: &str, port: u16) -> Vec<u64> {
    text.lines()
        .skip(1)
        .filter_map(|line| {
            let fields: Vec<&str> = line.split_ascii_whitespace().collect();
            let (_, hex) = fields.get(1)?.rsplit_once(':')?;
            let listens = *fields.get(3)? == "0A" && u16::from_str_radix(hex, 16).ok()? == port;
            listens.then(|| fields.get(9)?.parse().ok()).flatten()
        })
        .collect()
}

fn holds(pid: u32, sockets: &HashSet<String>) -> bool {
    fs::read_dir(format!("/proc/{pid}/fd"))
        .into_iter()
        .flatten()
        .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
        .any(|target| target.to_str().is_some_and(|t| sockets.contains(t)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_does_not_shift_the_fields() {
        let text = b"42 (a ) b) S 7 42 42 0 -1 4194304 1 2 3 4 11 22 5 6 20 0 1 0 987 4096 3 18446744073709551615";
        let stat = parse_stat(text).unwrap();
        assert_eq!(
            (stat.parent, stat.group, stat.cpu_ticks, stat.start_time),
            (7, 42, 33, 987)
        );
        assert!(!stat.dead && !stat.frozen);
    }

    #[test]
    fn this_process_is_alive_and_ours() {
        let own = ProcId::own().unwrap();
        assert!(own.alive());
        assert_eq!(uid(own.pid), Some(own_uid()));
        assert!(!cmdline(own.pid).is_empty());
    }

    #[test]
    fn another_start_time_is_another_process() {
        let mut own = ProcId::own().unwrap();
        own.start_time += 1;
        assert!(!own.alive());
        assert!(!own.signal(rustix::process::Signal::TERM).unwrap());
    }

    #[test]
    fn the_listener_of_a_port_is_found() {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        assert_eq!(listener(port).unwrap().pid, std::process::id());
        assert!(listens(std::process::id(), port));
    }
}
