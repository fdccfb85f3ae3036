//! One real registry: Debian's docker-registry, on 127.0.0.1, with its data in a temporary directory.
//!
//! It must not serve anything beyond this machine.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use crate::process::Child;
use crate::{Certificates, free_port, until};

const START_TIMEOUT: Duration = Duration::from_secs(20);

/// How a registry is set up.
#[derive(Debug, Clone, Default)]
pub struct RegistryOptions {
    /// One line of a htpasswd file (bcrypt); without it everybody may push.
    pub htpasswd: Option<String>,
    /// Speak TLS with this certificate.
    pub tls: Option<Certificates>,
}

/// A registry that is killed and removed on drop.
#[derive(Debug)]
pub struct Registry {
    child: Child,
    port: u16,
    dir: tempfile::TempDir,
}

impl Registry {
    /// Starts it and waits until it answers.
    ///
    /// # Panics
    /// If it does not start; the message has its log.
    pub fn start(options: &RegistryOptions) -> Self {
        let dir = tempfile::Builder::new()
            .prefix("kq-registry-")
            .tempdir()
            .expect("a temporary directory");
        let port = free_port();
        let root = dir.path().join("data");
        let mut conf = format!(
            "version: 0.1\nlog: {{level: info}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\n\
             http: {{addr: \"127.0.0.1:{port}\"{}}}\n",
            root.display(),
            options.tls.as_ref().map_or_else(String::new, |tls| format!(
                ", tls: {{certificate: {}, key: {}}}",
                tls.cert().display(),
                tls.key().display()
            ))
        );
        if let Some(line) = &options.htpasswd {
            let file = dir.path().join("htpasswd");
            std::fs::write(&file, line).expect("a password file");
            conf += &format!(
                "auth: {{htpasswd: {{realm: test, path: {}}}}}\n",
                file.display()
            );
        }
        let config = dir.path().join("config.yml");
        std::fs::write(&config, conf).expect("a configuration");
        let args = ["serve".to_owned(), config.display().to_string()];
        let child = Child::start("docker-registry", &args, &dir.path().join("log"))
            .expect("docker-registry is installed");
        let mut this = Self { child, port, dir };
        let mut ended = false;
        until("docker-registry answers", START_TIMEOUT, || {
            ended = !this.child.is_running();
            // One that speaks TLS refuses what is not, and answers that way.
            ended || this.get("/v2/", "").starts_with("HTTP/1.")
        });
        assert!(!ended, "docker-registry ended: {}", this.log());
        this
    }

    /// Host and port, as they stand in an image's name.
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// What it wrote: one line for each request among it.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    /// Its data, to damage.
    pub fn data(&self) -> std::path::PathBuf {
        self.dir.path().join("data/docker/registry/v2")
    }

    /// One GET on a connection of its own: the raw answer, or nothing where there is none.
    pub fn get(&self, path: &str, accept: &str) -> String {
        let ask = || -> std::io::Result<String> {
            let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
            stream.set_read_timeout(Some(Duration::from_secs(5)))?;
            let accept = if accept.is_empty() { "*/*" } else { accept };
            write!(
                stream,
                "GET {path} HTTP/1.1\r\nHost: registry\r\nAccept: {accept}\r\nConnection: close\r\n\r\n"
            )?;
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer)?;
            Ok(String::from_utf8_lossy(&answer).into_owned())
        };
        ask().unwrap_or_default()
    }
}
