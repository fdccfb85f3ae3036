//! Causes on this machine: a program that is missing, a disk that is full.
//!
//! It must not fill a disk that others use.

use super::{refused, run, text};
use crate::rig::Rig;
use kedactl_tests::Outcome;
use std::path::Path;
use tempfile::TempDir;

pub(super) fn programs(rig: &Rig) {
    let cases = [
        ("helm.program", "install helm 3.18 or later"),
        ("images.engine", "install Docker or Podman"),
        ("images.programs.api", "put kedactl-api beside kedactl"),
    ];
    for (key, cure) in cases {
        let set = format!("{key}=/nonexistent/it");
        let named = ["[KD0202]", "program /nonexistent/it not found", cure, key];
        refused(&format!("no program for {key}"), 1, &named, || {
            rig.up(&["--set", &set])
        });
    }
}

/// A small disk of its own.
struct Disk(TempDir);

impl Disk {
    fn new(size: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let size = format!("size={size}");
        run(
            "mount",
            &["-t", "tmpfs", "-o", &size, "small", text(dir.path())],
        );
        Self(dir)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn resize(&self, size: &str) {
        let options = format!("remount,size={size}");
        run("mount", &["-o", &options, text(self.path())]);
    }

    /// Writes until nothing more goes in.
    fn fill(&self) -> std::path::PathBuf {
        use std::io::Write as _;
        let filler = self.path().join("filler");
        let mut file = std::fs::File::create(&filler).unwrap();
        let block = [0; 4096];
        while file.write_all(&block).is_ok() {}
        filler
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        run("umount", &[text(self.path())]);
    }
}

/// The stack as another machine would have it: with a folder of all state that lies on a small disk.
struct Elsewhere<'r> {
    rig: &'r Rig,
    disk: Disk,
    port: String,
}

impl Elsewhere<'_> {
    fn run(&self, args: &[&str]) -> Outcome {
        let there = ["--state-dir", text(self.disk.path())];
        self.rig.run(&[args, &there].concat())
    }

    fn up(&self, more: &[&str]) -> Outcome {
        let there = ["--state-dir", text(self.disk.path()), "--set", &self.port];
        self.rig.up(&[&there, more].concat())
    }
}

impl Drop for Elsewhere<'_> {
    fn drop(&mut self) {
        self.run(&["tunnel", "stop"]);
    }
}

/// The disk is full: first while images are built and the record is written beside them, whichever notices; then where the
/// record is written alone.
pub(super) fn full_disk(rig: &Rig) {
    let there = Elsewhere {
        rig,
        disk: Disk::new("2m"),
        port: format!("tunnel.port={}", kedactl_testkit::free_port()),
    };
    let before = rig.versions();
    let disk = there.disk.path();
    let named = [
        "[KD0001]",
        text(disk),
        "No space left on device",
        "free some room",
    ];
    refused("no room for images", 1, &named, || there.up(&[]));
    there.disk.resize("1g");
    there.up(&[]).check(0);
    assert_eq!(rig.versions(), before);

    let filler = there.disk.fill();
    let record = disk.join("clusters").join(&rig.name).join("stack.json");
    let kept = std::fs::read(&record).unwrap();
    let named = [
        "[KD0001]",
        text(&record),
        "No space left on device",
        "free some room",
    ];
    // Images of one's own need no room.
    refused("no room for the record", 1, &named, || {
        there.up(&["--set", "images.build=[]"])
    });
    assert_eq!(std::fs::read(&record).unwrap(), kept);
    assert_eq!(
        rig.versions(),
        before,
        "nothing is written without a record of it"
    );
    there.run(&["status"]).check(0);
    std::fs::remove_file(filler).unwrap();
    there.up(&[]).check(0);
    assert_eq!(rig.versions(), before);
}
