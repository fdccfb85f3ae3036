//! Which programs the fixtures start: the Redis that `KEDACTL_TEST_REDIS_SERVER` names, else `redis-server`, and helm.
//!
//! It must not look for another one: a test run says with which server it ran.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use crate::free_port;

const VARIABLE: &str = "KEDACTL_TEST_REDIS_SERVER";

#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads the fixtures' environment"
)]
static REDIS_SERVER: LazyLock<String> = LazyLock::new(|| {
    let named = std::env::var(VARIABLE).ok();
    named
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "redis-server".to_owned())
});

/// The server's program; with `--sentinel` it is a Sentinel.
pub fn redis_program() -> &'static str {
    &REDIS_SERVER
}

/// Whether that program was built with TLS; says so on stderr where a test has to be skipped.
///
/// Every build lists the settings; only one with TLS asks for the certificate that is missing here.
#[expect(
    clippy::disallowed_methods,
    reason = "fixtures start real servers themselves"
)]
pub fn redis_has_tls() -> bool {
    let port = free_port().to_string();
    let run = Command::new(redis_program())
        .args(["--port", "0", "--tls-port", &port])
        .stdin(Stdio::null())
        .output();
    let built_in =
        run.is_ok_and(|run| String::from_utf8_lossy(&run.stdout).contains("tls-cert-file"));
    if !built_in {
        skipped(&format!("{} has no TLS", redis_program()));
    }
    built_in
}

/// The real helms: those that `KEDACTL_TEST_HELM` lists, else the one in PATH; says so where there is none.
pub fn helms() -> Vec<PathBuf> {
    let list = |name: &str| std::env::var_os(name).unwrap_or_default();
    let mut found: Vec<PathBuf> = std::env::split_paths(&list("KEDACTL_TEST_HELM"))
        .filter(|path| path.is_file())
        .collect();
    if found.is_empty() {
        let path = list("PATH");
        let mut all = std::env::split_paths(&path).map(|folder| folder.join("helm"));
        found.extend(all.find(|path| path.is_file()));
    }
    if found.is_empty() {
        skipped("no helm is installed");
    }
    found
}

/// Says past the harness, which hides the output of what passes, that the present test proves nothing here.
pub fn skipped(reason: &str) {
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    // Nobody reads it where it cannot be written.
    let _unread = writeln!(std::io::stderr(), "skipped: {test}: {reason}");
}
