//! A real Docker engine and a real podman storage of their own: everything in a temporary directory, no bridge, no route.
//!
//! It must not touch the machine's own engine, and needs root, as these do.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use crate::process::Child;
use crate::{skipped, until};

const START_TIMEOUT: Duration = Duration::from_mins(1);

/// A Docker engine that is killed and removed on drop.
#[derive(Debug)]
pub struct DockerEngine {
    child: Child,
    dir: tempfile::TempDir,
}

impl DockerEngine {
    /// Whether one can run here; says why not.
    pub fn can_run() -> bool {
        can_run(&["dockerd", "docker", "containerd", "setpriv"])
    }

    /// Starts one.
    ///
    /// # Panics
    /// If it does not answer in time.
    pub fn start() -> Self {
        // A socket's path must be short.
        let dir = tempfile::tempdir_in("/tmp").expect("a temporary folder");
        let at = |name: &str| dir.path().join(name).display().to_string();
        let args = [
            format!("--data-root={}", at("data")),
            format!("--exec-root={}", at("exec")),
            format!("--pidfile={}", at("pid")),
            format!("--host=unix://{}", at("docker.sock")),
            format!("--config-file={}", at("none.json")),
            "--bridge=none".to_owned(),
            "--iptables=false".to_owned(),
            "--ip6tables=false".to_owned(),
            "--storage-driver=vfs".to_owned(),
        ];
        let log = dir.path().join("log");
        fs::write(dir.path().join("none.json"), "{}").expect("a file");
        let child = Child::start("dockerd", &args, &log).expect("dockerd starts");
        wrapper(
            dir.path(),
            "docker",
            &["-H", &format!("unix://{}", at("docker.sock"))],
        );
        let engine = Self { child, dir };
        until("a Docker engine", START_TIMEOUT, || {
            engine.run(&["version"]).status.success()
        });
        engine
    }

    /// A folder with a program `docker` that talks to this engine alone.
    pub fn path(&self) -> PathBuf {
        self.dir.path().join("bin")
    }

    /// Runs its client.
    ///
    /// # Panics
    /// If it does not start.
    pub fn run(&self, args: &[&str]) -> Output {
        run(&self.path().join("docker"), args)
    }
}

impl Drop for DockerEngine {
    fn drop(&mut self) {
        // Asked to end, it takes the containerd that it started with it.
        self.child.terminate();
    }
}

/// A storage of podman that is removed on drop.
#[derive(Debug)]
pub struct PodmanStorage {
    dir: tempfile::TempDir,
}

impl PodmanStorage {
    /// Whether one can be used here; says why not.
    pub fn can_run() -> bool {
        can_run(&["podman"])
    }

    /// Makes one.
    ///
    /// # Panics
    /// If the folder cannot be made.
    pub fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let at = |name: &str| dir.path().join(name).display().to_string();
        let policy = dir.path().join("policy.json");
        fs::write(
            &policy,
            r#"{"default":[{"type":"insecureAcceptAnything"}]}"#,
        )
        .expect("a file");
        let args = [
            "--root",
            &at("root"),
            "--runroot",
            &at("run"),
            "--tmpdir",
            &at("tmp"),
            "--storage-driver",
            "vfs",
            "--events-backend",
            "none",
        ];
        wrapper(dir.path(), "podman", &args);
        Self { dir }
    }

    /// A folder with a program `podman` that knows this storage alone.
    pub fn path(&self) -> PathBuf {
        self.dir.path().join("bin")
    }

    /// Runs it.
    ///
    /// # Panics
    /// If it does not start.
    pub fn run(&self, args: &[&str]) -> Output {
        run(&self.path().join("podman"), args)
    }
}

impl Default for PodmanStorage {
    fn default() -> Self {
        Self::new()
    }
}

fn can_run(programs: &[&str]) -> bool {
    if !rustix::process::geteuid().is_root() {
        skipped("engines of containers need root");
        return false;
    }
    let folders: Vec<PathBuf> = std::env::var_os("PATH")
        .map(|path| std::env::split_paths(&path).collect())
        .unwrap_or_default();
    let missing = programs
        .iter()
        .find(|name| !folders.iter().any(|folder| folder.join(name).is_file()));
    if let Some(name) = missing {
        skipped(&format!("{name} is not installed"));
    }
    missing.is_none()
}

/// A program of the same name with some arguments before the others.
fn wrapper(dir: &Path, name: &str, args: &[&str]) {
    let bin = dir.join("bin");
    fs::create_dir_all(&bin).expect("a folder");
    let path = bin.join(name);
    let quoted: Vec<String> = args.iter().map(|arg| format!("'{arg}'")).collect();
    // The real one is further down the path.
    let text = format!(
        "#!/bin/sh\nPATH=$(printf %s \"$PATH\" | sed 's|{bin}:||g')\nexec {name} {args} \"$@\"\n",
        bin = bin.display(),
        args = quoted.join(" ")
    );
    fs::write(&path, text).expect("a file");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("a mode");
}

#[expect(
    clippy::disallowed_methods,
    reason = "fixtures start real programs themselves"
)]
fn run(program: &Path, args: &[&str]) -> Output {
    Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .output()
        .expect("the program starts")
}
