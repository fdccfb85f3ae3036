//! One real containerd of its own: root, state and socket in a temporary directory, no part for Kubernetes.
//!
//! It must not touch the machine's own containerd, and needs root, as every containerd does.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use crate::process::Child;
use crate::{skipped, until};

const START_TIMEOUT: Duration = Duration::from_secs(30);

/// A containerd that is killed and removed on drop.
#[derive(Debug)]
pub struct Containerd {
    child: Child,
    dir: tempfile::TempDir,
}

impl Containerd {
    /// Whether one can be started here; says so on stderr where a test has to be skipped.
    pub fn can_run() -> bool {
        let root = rustix::process::geteuid().is_root();
        if !root {
            skipped("containerd needs root");
        }
        root
    }

    /// Starts it and waits until it answers.
    ///
    /// # Panics
    /// If it does not start; the message has its log.
    pub fn start() -> Self {
        let dir = tempfile::Builder::new()
            .prefix("kq-containerd-")
            .tempdir()
            .expect("a temporary directory");
        let config = dir.path().join("config.toml");
        std::fs::write(&config, conf(dir.path())).expect("a configuration");
        let args = ["--config".to_owned(), config.display().to_string()];
        let child = Child::start("containerd", &args, &dir.path().join("log"))
            .expect("containerd is installed");
        let mut this = Self { child, dir };
        let mut ended = false;
        until("containerd answers", START_TIMEOUT, || {
            ended = !this.child.is_running();
            ended || this.ctr(&["version"]).status.success()
        });
        assert!(!ended, "containerd ended: {}", this.log());
        this
    }

    /// Where it listens.
    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("containerd.sock")
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    /// Runs `ctr -n k8s.io` on it.
    ///
    /// # Panics
    /// If there is no `ctr`.
    #[expect(
        clippy::disallowed_methods,
        reason = "fixtures start real servers themselves"
    )]
    pub fn ctr(&self, args: &[&str]) -> Output {
        Command::new("ctr")
            .env("CONTAINERD_ADDRESS", self.socket())
            .args(["-n", "k8s.io"])
            .args(args)
            .stdin(Stdio::null())
            .output()
            .expect("ctr is installed")
    }

    /// Unpacks an image's layers into a folder and runs a program in it, as a container would see it.
    ///
    /// # Panics
    /// If the image cannot be mounted.
    #[expect(
        clippy::disallowed_methods,
        reason = "fixtures start real servers themselves"
    )]
    pub fn run_in(&self, image: &str, command: &[&str]) -> Output {
        let target = self.dir.path().join("mounted");
        std::fs::create_dir_all(&target).expect("a folder");
        let path = target.display().to_string();
        let mounted = self.ctr(&["images", "mount", image, &path]);
        assert!(
            mounted.status.success(),
            "{}",
            String::from_utf8_lossy(&mounted.stderr)
        );
        let output = Command::new("chroot")
            .args(["--userspec=65532:65532", &path])
            .args(command)
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .stdin(Stdio::null())
            .output();
        let unmounted = self.ctr(&["images", "unmount", "--rm", &path]);
        assert!(
            unmounted.status.success(),
            "{}",
            String::from_utf8_lossy(&unmounted.stderr)
        );
        output.expect("chroot is installed")
    }
}

fn conf(dir: &Path) -> String {
    let dir = dir.display();
    let unused = [
        "io.containerd.grpc.v1.cri",
        "io.containerd.snapshotter.v1.aufs",
        "io.containerd.snapshotter.v1.btrfs",
        "io.containerd.snapshotter.v1.devmapper",
        "io.containerd.snapshotter.v1.zfs",
    ];
    format!(
        "version = 2\nroot = \"{dir}/root\"\nstate = \"{dir}/state\"\ndisabled_plugins = {unused:?}\n\
         [grpc]\naddress = \"{dir}/containerd.sock\"\n[debug]\nlevel = \"warn\"\n"
    )
}
