//! The texts of `redis.conf` and `sentinel.conf`, and what an old `sentinel.conf` remembers.
//! Must not touch the disk: texts in, texts out.

use std::fmt::Write as _;
use std::path::Path;

use kedactl_config::{Appendfsync, Redis};

/// A server that sets its title writes it over its environment, and the stack's mark with it.
const TITLE: &str = "set-proc-title no\n";

/// One Redis server's settings. A new text is written before every start, so that the role is the one of now.
#[derive(Debug)]
pub(crate) struct ServerFile<'a> {
    pub(crate) port: u16,
    pub(crate) directory: &'a Path,
    pub(crate) password: &'a str,
    pub(crate) settings: &'a Redis,
    /// Port of the master that it follows; `None` makes it the master.
    pub(crate) master: Option<u16>,
}

impl ServerFile<'_> {
    pub(crate) fn text(&self) -> String {
        let settings = self.settings;
        // The master itself does not count as a replica; with fewer servers the wish cannot be met.
        let replicas = settings
            .min_replicas_to_write
            .min(settings.nodes.saturating_sub(1));
        let fsync = match settings.appendfsync {
            Appendfsync::Always => "always",
            Appendfsync::Everysec => "everysec",
            Appendfsync::No => "no",
        };
        let mut text = format!(
            "bind 127.0.0.1\nport {port}\ndir {dir}\ndaemonize no\n{TITLE}protected-mode yes\ndatabases 16\n\
             requirepass {password}\nmasterauth {password}\n\
             appendonly yes\nappendfsync {fsync}\nsave \"\"\naof-load-truncated yes\n\
             maxmemory-policy noeviction\nrepl-diskless-sync yes\nrepl-diskless-sync-delay 0\nrepl-backlog-size 64mb\n\
             min-replicas-to-write {replicas}\nmin-replicas-max-lag {lag}\n\
             replica-announce-ip 127.0.0.1\nreplica-announce-port {port}\n",
            port = self.port,
            dir = quoted(self.directory),
            password = self.password,
            lag = settings.min_replicas_max_lag_seconds,
        );
        if let Some(master) = self.master {
            let _written = writeln!(text, "replicaof 127.0.0.1 {master}");
        }
        text
    }
}

/// The settings of a Sentinel's first start; afterwards the file is the Sentinel's own.
#[derive(Debug)]
pub(crate) struct SentinelFile<'a> {
    pub(crate) port: u16,
    pub(crate) directory: &'a Path,
    pub(crate) password: &'a str,
    pub(crate) sentinel_password: &'a str,
    pub(crate) settings: &'a Redis,
    /// Port of the present master.
    pub(crate) master: u16,
    /// Ports of all servers.
    pub(crate) servers: &'a [u16],
    /// Ids of all Sentinels, 40 hex digits, with their ports; told from the start, so that nothing has to be discovered.
    pub(crate) sentinels: &'a [(String, u16)],
}

impl SentinelFile<'_> {
    pub(crate) fn text(&self) -> String {
        let name = &self.settings.master;
        let quorum = self.sentinels.len() / 2 + 1;
        let id = self
            .sentinels
            .iter()
            .find(|(_, port)| *port == self.port)
            .map_or("", |(id, _)| id.as_str());
        let mut text = format!(
            "bind 127.0.0.1\nport {port}\ndir {dir}\ndaemonize no\n{TITLE}protected-mode yes\n\
             requirepass {own}\nsentinel sentinel-pass {own}\nsentinel myid {id}\n\
             sentinel announce-ip 127.0.0.1\nsentinel announce-port {port}\n\
             sentinel monitor {name} 127.0.0.1 {master} {quorum}\nsentinel auth-pass {name} {password}\n\
             sentinel down-after-milliseconds {name} {down}\nsentinel failover-timeout {name} {failover}\n\
             sentinel parallel-syncs {name} 1\n",
            port = self.port,
            dir = quoted(self.directory),
            own = self.sentinel_password,
            master = self.master,
            password = self.password,
            down = self.settings.down_after_ms,
            failover = self.settings.failover_timeout_ms,
        );
        for port in self.servers.iter().filter(|port| **port != self.master) {
            let _written = writeln!(text, "sentinel known-replica {name} 127.0.0.1 {port}");
        }
        for (id, port) in self.sentinels.iter().filter(|(_, port)| *port != self.port) {
            let _written = writeln!(text, "sentinel known-sentinel {name} 127.0.0.1 {port} {id}");
        }
        text
    }
}

/// What a Sentinel's own file remembers of its master.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Memory {
    /// Number of the fail-over that made it master; the highest is the newest.
    pub(crate) epoch: u64,
    /// Port of the master.
    pub(crate) master: u16,
    /// Other ports that the file names, sorted.
    pub(crate) others: Vec<u16>,
}

/// Reads a `sentinel.conf` that a Sentinel has rewritten; `None` where it does not know this master.
pub(crate) fn remember(text: &str, name: &str) -> Option<Memory> {
    let mut memory = Memory {
        epoch: 0,
        master: 0,
        others: Vec::new(),
    };
    for line in text.lines() {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        match words.as_slice() {
            ["sentinel", "monitor", found, _, port, _] if *found == name => {
                memory.master = port.parse().ok()?;
            }
            ["sentinel", "config-epoch", found, epoch] if *found == name => {
                memory.epoch = epoch.parse().ok()?;
            }
            [
                "sentinel",
                "known-replica" | "known-slave" | "known-sentinel",
                found,
                _,
                port,
                ..,
            ] if *found == name => {
                memory.others.push(port.parse().ok()?);
            }
            _ => {}
        }
    }
    memory.others.sort_unstable();
    (memory.master != 0).then_some(memory)
}

/// A path as Redis reads it in a file: quoted, so that spaces do not split it.
fn quoted(path: &Path) -> String {
    let text = path
        .to_string_lossy()
        .replace('\\', r"\\")
        .replace('"', "\\\"");
    format!("\"{text}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentinels_memory_is_read_back() {
        let text = "port 26379\nsentinel monitor mymaster 127.0.0.1 6380 2\nsentinel config-epoch mymaster 4\n\
                    sentinel known-replica mymaster 127.0.0.1 6381\nsentinel known-sentinel mymaster 127.0.0.1 26380 ab\n";
        let memory = remember(text, "mymaster").unwrap();
        assert_eq!((memory.epoch, memory.master), (4, 6380));
        assert_eq!(memory.others, [6381, 26380]);
        assert_eq!(remember(text, "other"), None);
    }
}
