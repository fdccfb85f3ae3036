//! One real redis-server.
//!
//! It must not be started from a thread that ends before the test: the server dies with that thread.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::process::{Child, can_have_own_hosts};
use crate::program::redis_program;
use crate::tls::Certificates;
use crate::{free_port, until};

const START_TIMEOUT: Duration = Duration::from_secs(20);

/// How a server is set up.
#[derive(Debug, Clone, Default)]
pub struct RedisOptions {
    pub password: Option<String>,
    /// `appendonly yes`, `appendfsync everysec`.
    pub aof: bool,
    /// Serve TLS on the port that [`RedisServer::port`] names, plain text on another one.
    pub tls: Option<Certificates>,
    /// More lines of redis.conf.
    pub extra: Vec<String>,
    /// A hosts file that this server alone resolves names by.
    pub hosts: Option<PathBuf>,
    /// Its data lie on a disk of so many MiB, which can be filled. [`RedisServer::can_have_a_disk`] says whether that is
    /// possible here; not together with `hosts`.
    pub disk_mib: Option<u32>,
}

/// A server on 127.0.0.1 with its data in a temporary directory; killed and removed on drop.
#[derive(Debug)]
pub struct RedisServer {
    child: Child,
    port: u16,
    plain_port: u16,
    password: Option<String>,
    config: PathBuf,
    hosts: Option<PathBuf>,
    disk_mib: Option<u32>,
    dir: tempfile::TempDir,
}

impl RedisServer {
    /// Starts a server and waits until it answers.
    ///
    /// # Panics
    /// If it does not start; the message has its log.
    pub fn start(options: &RedisOptions) -> Self {
        for _ in 0..3 {
            if let Ok(server) = Self::try_start(options) {
                return server;
            }
        }
        Self::try_start(options).expect("redis-server starts")
    }

    fn try_start(options: &RedisOptions) -> anyhow::Result<Self> {
        let dir = tempfile::Builder::new().prefix("kq-redis-").tempdir()?;
        let (port, tls_port) = (free_port(), free_port());
        let config = dir.path().join("redis.conf");
        std::fs::write(&config, conf(options, dir.path(), port, tls_port))?;
        std::fs::create_dir(dir.path().join("data"))?;
        let disk = options.disk_mib;
        let child = run(&config, dir.path(), options.hosts.as_deref(), disk)?;
        let public = if options.tls.is_some() {
            tls_port
        } else {
            port
        };
        let password = options.password.clone();
        let mut server = Self {
            child,
            port: public,
            plain_port: port,
            password,
            config,
            hosts: options.hosts.clone(),
            disk_mib: disk,
            dir,
        };
        server.wait_ready()?;
        Ok(server)
    }

    fn wait_ready(&mut self) -> anyhow::Result<()> {
        let mut ended = false;
        until("redis-server answers PING", START_TIMEOUT, || {
            ended = !self.child.is_running();
            ended || self.command("PING").contains("PONG")
        });
        anyhow::ensure!(!ended, "redis-server ended: {}", self.log());
        Ok(())
    }

    /// The port for clients: the TLS port where TLS is on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The port without TLS.
    pub fn plain_port(&self) -> u16 {
        self.plain_port
    }

    pub fn pid(&self) -> u32 {
        self.child.pid()
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    pub fn kill(&mut self) {
        self.child.kill();
    }

    pub fn freeze(&self) {
        self.child.freeze();
    }

    pub fn thaw(&self) {
        self.child.thaw();
    }

    /// Starts the same server again, with its data and port, and waits until it answers.
    ///
    /// # Panics
    /// If it does not start.
    pub fn restart(&mut self) {
        self.child.kill();
        let (dir, hosts) = (self.dir.path(), self.hosts.as_deref());
        let again = run(&self.config, dir, hosts, self.disk_mib);
        self.child = again.expect("redis-server starts again");
        self.wait_ready().expect("redis-server answers again");
    }

    /// Whether a server can have a disk of its own here; says so on stderr where a test has to be skipped.
    pub fn can_have_a_disk() -> bool {
        can_have_own_hosts()
    }

    /// Leaves no room on its disk, or the room that there was.
    ///
    /// # Panics
    /// If it has no disk of its own.
    pub fn fill_disk(&self, full: bool) {
        let folder = format!("/proc/{}/root", self.pid());
        let data = self.dir.path().join("data");
        let ballast = format!("{folder}{}/ballast", data.display());
        if !full {
            std::fs::remove_file(&ballast).expect("the disk was filled");
            return;
        }
        let mut file = std::fs::File::create(&ballast).expect("a disk");
        let block = [0_u8; 4096];
        for _ in 0..=self.disk_mib.expect("a disk of its own") * 256 {
            if file.write_all(&block).is_err() {
                return;
            }
        }
        panic!("the disk took more than it has");
    }

    /// One inline command on a connection of its own; the raw answer, or nothing where there is none.
    pub fn command(&self, line: &str) -> String {
        ask(self.plain_port, self.password.as_deref(), line).unwrap_or_default()
    }

    /// A field of INFO.
    pub fn info(&self, field: &str) -> String {
        let info = self.command("INFO everything");
        let found = info
            .lines()
            .find_map(|l| l.strip_prefix(field)?.strip_prefix(':'));
        found.unwrap_or_default().trim().to_owned()
    }
}

fn run(
    config: &Path,
    dir: &Path,
    hosts: Option<&Path>,
    disk_mib: Option<u32>,
) -> anyhow::Result<Child> {
    if let Some(mib) = disk_mib {
        let (data, args) = (dir.join("data"), [config.display().to_string()]);
        return Child::start_on_disk((&data, mib), redis_program(), &args, &dir.join("log"));
    }
    start_redis(&[config.display().to_string()], &dir.join("log"), hosts)
}

pub(crate) fn start_redis(
    args: &[String],
    log: &Path,
    hosts: Option<&Path>,
) -> anyhow::Result<Child> {
    match hosts {
        Some(hosts) => Child::start_with_hosts(hosts, redis_program(), args, log),
        None => Child::start(redis_program(), args, log),
    }
}

fn conf(options: &RedisOptions, dir: &Path, port: u16, tls_port: u16) -> String {
    let mut lines = vec![
        format!("port {port}"),
        "bind 127.0.0.1".to_owned(),
        format!("dir {}", dir.join("data").display()),
        "save \"\"".to_owned(),
        "daemonize no".to_owned(),
        format!("appendonly {}", if options.aof { "yes" } else { "no" }),
        "repl-diskless-sync yes".to_owned(),
        "repl-diskless-sync-delay 0".to_owned(),
        "maxmemory-policy noeviction".to_owned(),
    ];
    if let Some(password) = &options.password {
        lines.push(format!("requirepass {password}"));
        lines.push(format!("masterauth {password}"));
    }
    if let Some(certificates) = &options.tls {
        lines.push(format!("tls-port {tls_port}"));
        lines.extend(certificates.redis_lines());
    }
    lines.extend(options.extra.iter().cloned());
    lines.join("\n") + "\n"
}

/// Sends an inline command, answers what came until the server is silent.
pub(crate) fn ask(port: u16, password: Option<&str>, line: &str) -> std::io::Result<String> {
    let addr = std::net::SocketAddr::from(([127, 0, 0, 1], port));
    let mut stream = TcpStream::connect_timeout(&addr, Duration::from_millis(300))?;
    stream.set_read_timeout(Some(Duration::from_millis(500)))?;
    if let Some(password) = password {
        stream.write_all(format!("AUTH {password}\r\n").as_bytes())?;
        let mut ok = [0; 64];
        let _n = stream.read(&mut ok)?;
    }
    stream.write_all(format!("{line}\r\nQUIT\r\n").as_bytes())?;
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    if answer.is_empty() {
        read?;
    }
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
