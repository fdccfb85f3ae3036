//! A scripted minikube: profiles are folders, and what goes wrong is told by files beside the program.
//!
//! It must not do anything that the real one would not; a contract test asks both the same.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

const SCRIPT: &str = include_str!("minikube.sh");

/// A minikube in a folder of a test. Files that change what it does, all in that folder:
///
/// | file | what then |
/// |---|---|
/// | `start-fails`, `late-start-fails` | shell lines run by `start`, before and after there is a machine: `fail CODE ID MESSAGE ADVICE` |
/// | `slow-start` | `start` stays half-way while the file is there; `begun` says that it is there |
/// | `delete-stays` | `delete` ends well and deletes nothing |
/// | `kubeconfig` | what it writes into `$KUBECONFIG`, `@PROFILE@` replaced |
/// | `image-load` | a program that gets the archive of `image load`, whose failure nobody sees |
/// | `node/` | programs that its nodes have and this machine has not; `$NODE` is the node to them |
/// | `address`, `external` | the address that `tunnel` publishes, and where it writes it |
/// | `tunnel-router` | the trouble of its router: no route, no address |
/// | `tunnel-deaf` | it does not hear SIGINT |
/// | `tunnel-ends` | it ends by itself, once |
#[derive(Debug)]
pub struct FakeMinikube {
    directory: PathBuf,
}

impl FakeMinikube {
    /// Writes the program into a folder.
    ///
    /// # Panics
    /// If it cannot be written.
    pub fn new(directory: &Path) -> Self {
        fs::create_dir_all(directory).expect("a folder");
        let fake = Self {
            directory: directory.to_owned(),
        };
        let text = format!("#!/bin/sh\nHERE='{}'\n{SCRIPT}", directory.display());
        fs::write(fake.program(), text).expect("a file");
        let mode = fs::Permissions::from_mode(0o755);
        fs::set_permissions(fake.program(), mode).expect("a mode");
        fake
    }

    /// The program.
    pub fn program(&self) -> PathBuf {
        self.directory.join("minikube")
    }

    /// Writes one of the files that change what it does.
    ///
    /// # Panics
    /// If it cannot be written.
    pub fn set(&self, name: &str, text: &str) -> PathBuf {
        let path = self.directory.join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(&path, text).expect("a file");
        path
    }

    /// Writes a program of that name, as shell text.
    ///
    /// # Panics
    /// If it cannot be written.
    pub fn set_program(&self, name: &str, script: &str) -> PathBuf {
        let path = self.set(
            name,
            &format!("#!/bin/sh\nHERE='{}'\n{script}\n", self.directory.display()),
        );
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("a mode");
        path
    }

    /// Takes such a file away.
    ///
    /// # Panics
    /// If it is not there.
    pub fn unset(&self, name: &str) {
        fs::remove_file(self.directory.join(name)).expect("a file");
    }

    /// Whether it wrote such a file.
    pub fn has(&self, name: &str) -> bool {
        self.directory.join(name).exists()
    }

    /// A profile that somebody else made.
    pub fn foreign(&self, profile: &str, state: &str) {
        for (name, value) in [
            ("driver", "docker"),
            ("runtime", "docker"),
            ("nodes", "1"),
            ("kubernetes", "v1.33.0"),
            ("cpus", "4"),
            ("memory", "4096"),
            ("state", state),
        ] {
            self.set(&format!("profiles/{profile}/{name}"), value);
        }
    }

    /// Every call, one a line.
    pub fn calls(&self) -> String {
        fs::read_to_string(self.directory.join("calls")).unwrap_or_default()
    }

    /// Variables of its calls, the verb before each.
    pub fn environment(&self) -> String {
        fs::read_to_string(self.directory.join("env")).unwrap_or_default()
    }
}
