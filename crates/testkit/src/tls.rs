//! Certificates for a test: an authority and a certificate for 127.0.0.1 or for a name, made by the openssl program.
//!
//! It must not reuse any: each test makes its own.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

/// The files; removed with the last clone.
#[derive(Debug, Clone)]
pub struct Certificates {
    dir: Arc<tempfile::TempDir>,
}

impl Certificates {
    /// Makes an authority, and a certificate for 127.0.0.1 that serves servers and clients alike.
    ///
    /// # Panics
    /// If openssl fails.
    pub fn make() -> Self {
        Self::make_for("IP:127.0.0.1,DNS:localhost")
    }

    /// As [`Self::make`], for other subjects than 127.0.0.1: `DNS:name` or `IP:address`, with commas between them.
    ///
    /// # Panics
    /// If openssl fails.
    pub fn make_for(subjects: &str) -> Self {
        let dir = tempfile::Builder::new()
            .prefix("kq-tls-")
            .tempdir()
            .expect("a temporary directory");
        let p = dir.path();
        std::fs::write(p.join("ext"), format!("subjectAltName={subjects}\n")).expect("a file");
        let ec = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
        openssl(
            p,
            &format!("req -x509 {ec} -days 2 -subj /CN=authority -keyout ca.key -out ca.crt"),
        );
        openssl(
            p,
            &format!("req {ec} -subj /CN=localhost -keyout node.key -out node.csr"),
        );
        openssl(
            p,
            "x509 -req -in node.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile ext -out node.crt",
        );
        Self { dir: Arc::new(dir) }
    }

    pub fn ca(&self) -> PathBuf {
        self.dir.path().join("ca.crt")
    }

    pub fn cert(&self) -> PathBuf {
        self.dir.path().join("node.crt")
    }

    pub fn key(&self) -> PathBuf {
        self.dir.path().join("node.key")
    }

    /// The lines of redis.conf that name the files; clients need a certificate.
    pub(crate) fn redis_lines(&self) -> [String; 4] {
        [
            format!("tls-ca-cert-file {}", self.ca().display()),
            format!("tls-cert-file {}", self.cert().display()),
            format!("tls-key-file {}", self.key().display()),
            "tls-auth-clients yes".to_owned(),
        ]
    }
}

#[expect(clippy::disallowed_methods, reason = "fixtures run openssl themselves")]
fn openssl(dir: &Path, args: &str) {
    let run = Command::new("openssl")
        .args(args.split(' '))
        .current_dir(dir)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    assert!(run.is_ok_and(|s| s.success()), "openssl {args}");
}
