//! A master, two replicas and three Sentinels.
//!
//! It must not be started from a thread that ends before the test: the servers die with that thread.

use std::path::Path;
use std::time::Duration;

use crate::process::{Child, can_have_own_hosts};
use crate::redis_server::{RedisOptions, RedisServer, ask, start_redis};
use crate::tls::Certificates;
use crate::{free_port, until};

const READY_TIMEOUT: Duration = Duration::from_secs(30);

/// How the stack is set up.
#[derive(Debug, Clone)]
pub struct SentinelOptions {
    pub password: Option<String>,
    pub sentinel_password: Option<String>,
    pub down_after_ms: u32,
    pub failover_timeout_ms: u32,
    /// 0 sets none.
    pub min_replicas_to_write: u32,
    pub aof: bool,
    pub tls: Option<Certificates>,
    /// Names that the nodes announce in place of 127.0.0.1; only the servers themselves can resolve them.
    /// [`SentinelStack::can_announce_names`] says whether that is possible here.
    pub names: Option<[String; 3]>,
}

impl Default for SentinelOptions {
    fn default() -> Self {
        Self {
            password: None,
            sentinel_password: None,
            down_after_ms: 1000,
            failover_timeout_ms: 5000,
            min_replicas_to_write: 1,
            aof: true,
            tls: None,
            names: None,
        }
    }
}

/// The running stack; killed and removed on drop, also what is frozen.
#[derive(Debug)]
pub struct SentinelStack {
    /// Dropped first, so that nothing is failed over while the servers end.
    sentinels: Vec<Sentinel>,
    nodes: Vec<RedisServer>,
    _hosts: Option<tempfile::NamedTempFile>,
    options: SentinelOptions,
}

#[derive(Debug)]
struct Sentinel {
    _child: Child,
    port: u16,
    plain_port: u16,
    _dir: tempfile::TempDir,
}

impl SentinelStack {
    /// The name under which the Sentinels watch the master.
    pub const MASTER: &'static str = "mymaster";

    /// Starts all and waits until the Sentinels know each other and both replicas are in step.
    ///
    /// # Panics
    /// If that does not happen in time.
    pub fn start(options: SentinelOptions) -> Self {
        let hosts = options.names.as_ref().map(hosts_file);
        let own_hosts = hosts.as_ref().map(tempfile::NamedTempFile::path);
        let mut nodes: Vec<RedisServer> = Vec::new();
        for node in 0..3 {
            let master = nodes.first().map(RedisServer::port);
            let settings = node_options(&options, node, master, own_hosts);
            nodes.push(RedisServer::start(&settings));
        }
        until("both replicas are in step", READY_TIMEOUT, || {
            let info = nodes[0].command("INFO replication");
            info.matches("state=online").count() == 2
        });
        let sentinels = (0..3)
            .map(|node| Sentinel::start(&options, node, nodes[0].port(), own_hosts))
            .collect();
        let stack = Self {
            sentinels,
            nodes,
            _hosts: hosts,
            options,
        };
        until(
            "the sentinels know each other and the replicas",
            READY_TIMEOUT,
            || stack.agreed(),
        );
        stack
    }

    /// Whether a stack can announce names here; says so on stderr where a test has to be skipped.
    pub fn can_announce_names() -> bool {
        can_have_own_hosts()
    }

    fn agreed(&self) -> bool {
        self.sentinels.iter().all(|s| {
            let facts = self.ask_sentinel(s, &format!("SENTINEL MASTER {}", Self::MASTER));
            field(&facts, "num-slaves") == Some("2")
                && field(&facts, "num-other-sentinels") == Some("2")
        })
    }

    fn ask_sentinel(&self, sentinel: &Sentinel, line: &str) -> String {
        ask(
            sentinel.plain_port,
            self.options.sentinel_password.as_deref(),
            line,
        )
        .unwrap_or_default()
    }

    /// The Sentinels' ports for clients.
    pub fn sentinel_ports(&self) -> Vec<u16> {
        self.sentinels.iter().map(|s| s.port).collect()
    }

    pub fn nodes(&self) -> &[RedisServer] {
        &self.nodes
    }

    /// The index of the node that calls itself master and that a Sentinel names, if there is one now.
    pub fn master(&self) -> Option<usize> {
        let facts = self.sentinels.iter().find_map(|s| {
            let facts = self.ask_sentinel(s, &format!("SENTINEL MASTER {}", Self::MASTER));
            field(&facts, "port").map(str::to_owned)
        })?;
        let named = self
            .nodes
            .iter()
            .position(|n| n.port().to_string() == facts)?;
        self.nodes[named]
            .command("ROLE")
            .contains("master")
            .then_some(named)
    }

    /// Indices of the nodes that are not master.
    pub fn replicas(&self) -> Vec<usize> {
        let master = self.master();
        (0..self.nodes.len())
            .filter(|&i| Some(i) != master)
            .collect()
    }

    pub fn kill(&mut self, node: usize) {
        self.nodes[node].kill();
    }

    pub fn freeze(&self, node: usize) {
        self.nodes[node].freeze();
    }

    pub fn thaw(&self, node: usize) {
        self.nodes[node].thaw();
    }

    pub fn restart(&mut self, node: usize) {
        self.nodes[node].restart();
    }

    /// What Sentinels are after the loss of their files: they watch the given node and count fail-overs from 0.
    pub fn forget(&self, master: usize) {
        let (name, port) = (Self::MASTER, self.nodes[master].port());
        let host = self.options.host(master);
        for sentinel in &self.sentinels {
            self.ask_sentinel(sentinel, &format!("SENTINEL REMOVE {name}"));
            self.ask_sentinel(
                sentinel,
                &format!("SENTINEL MONITOR {name} {host} {port} 2"),
            );
        }
    }

    /// Waits until another node than the given one is master.
    ///
    /// # Panics
    /// If that does not happen in time.
    pub fn wait_for_other_master(&self, than: usize, within: Duration) -> usize {
        until("another node is master", within, || {
            self.master().is_some_and(|m| m != than)
        });
        self.master().unwrap_or(than)
    }
}

impl SentinelOptions {
    /// Under which host a node and the Sentinel of the same number are known.
    fn host(&self, node: usize) -> &str {
        match &self.names {
            Some(names) => &names[node],
            None => "127.0.0.1",
        }
    }
}

fn hosts_file(names: &[String; 3]) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    let line = format!("127.0.0.1 localhost {}\n", names.join(" "));
    std::fs::write(file.path(), line).expect("a hosts file");
    file
}

fn node_options(
    options: &SentinelOptions,
    node: usize,
    master_port: Option<u16>,
    hosts: Option<&Path>,
) -> RedisOptions {
    let mut extra = vec!["min-replicas-max-lag 2".to_owned()];
    if options.min_replicas_to_write > 0 {
        extra.push(format!(
            "min-replicas-to-write {}",
            options.min_replicas_to_write
        ));
    }
    if options.tls.is_some() {
        extra.push("tls-replication yes".to_owned());
    }
    if let Some(port) = master_port {
        extra.push(format!("replicaof {} {port}", options.host(0)));
    }
    if options.names.is_some() {
        extra.push(format!("replica-announce-ip {}", options.host(node)));
    }
    RedisOptions {
        password: options.password.clone(),
        aof: options.aof,
        tls: options.tls.clone(),
        extra,
        hosts: hosts.map(Path::to_owned),
        disk_mib: None,
    }
}

impl Sentinel {
    fn start(
        options: &SentinelOptions,
        node: usize,
        master_port: u16,
        hosts: Option<&Path>,
    ) -> Self {
        let dir = tempfile::Builder::new()
            .prefix("kq-sentinel-")
            .tempdir()
            .expect("a temporary directory");
        let (plain_port, tls_port) = (free_port(), free_port());
        let config = dir.path().join("sentinel.conf");
        let name = SentinelStack::MASTER;
        let mut lines = vec![
            format!("port {plain_port}"),
            "bind 127.0.0.1".to_owned(),
            format!("dir {}", dir.path().display()),
        ];
        if options.names.is_some() {
            lines.push("sentinel resolve-hostnames yes".to_owned());
            lines.push("sentinel announce-hostnames yes".to_owned());
            lines.push(format!("sentinel announce-ip {}", options.host(node)));
        }
        let master = options.host(0);
        lines.extend([
            format!("sentinel monitor {name} {master} {master_port} 2"),
            format!(
                "sentinel down-after-milliseconds {name} {}",
                options.down_after_ms
            ),
            format!(
                "sentinel failover-timeout {name} {}",
                options.failover_timeout_ms
            ),
            format!("sentinel parallel-syncs {name} 2"),
        ]);
        if let Some(password) = &options.password {
            lines.push(format!("sentinel auth-pass {name} {password}"));
        }
        if let Some(password) = &options.sentinel_password {
            lines.push(format!("requirepass {password}"));
        }
        if let Some(certificates) = &options.tls {
            lines.push(format!("tls-port {tls_port}"));
            lines.push("tls-replication yes".to_owned());
            lines.extend(certificates.redis_lines());
        }
        std::fs::write(&config, lines.join("\n") + "\n").expect("the sentinel's settings");
        let args = [config.display().to_string(), "--sentinel".to_owned()];
        let child = start_redis(&args, &dir.path().join("log"), hosts);
        let child = child.expect("redis-sentinel starts");
        let port = if options.tls.is_some() {
            tls_port
        } else {
            plain_port
        };
        Self {
            _child: child,
            port,
            plain_port,
            _dir: dir,
        }
    }
}

/// A value of a flat list of names and values, as an inline answer shows it.
fn field<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = answer.lines();
    lines.find(|l| *l == name)?;
    lines.nth(1)
}
