//! What a run may leave: nothing that locks, works on, or is half written.
//!
//! It must not end or remove what it finds.

use super::state;
use crate::rig::Rig;
use kedactl_exec::ProcId;
use kedactl_exec::procfs;
use kedactl_testkit::until;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// No release waits for somebody who is no more, and nobody holds the stack.
pub(super) fn nothing_locked(rig: &Rig) {
    let secrets = rig.kubectl(&[
        "get",
        "secrets",
        "-l",
        "owner=helm",
        "-o",
        "jsonpath={range .items[*]}{.metadata.name} {.metadata.labels.status}{\"\\n\"}{end}",
    ]);
    let locked: Vec<&str> = secrets
        .lines()
        .filter(|line| line.contains(" pending-") || line.contains(" uninstalling"))
        .collect();
    assert_eq!(locked, Vec::<&str>::new(), "{secrets}");
    assert!(secrets.contains(" deployed"), "{secrets}");
    assert_eq!(leases(rig), "", "a lock that was not given back");
}

/// The locks of the stack.
pub(super) fn leases(rig: &Rig) -> String {
    let selector = format!("kedactl.io/stack={}", rig.name);
    let found = rig.kubectl(&["get", "leases", "-l", &selector, "-o", "name"]);
    found.trim().to_owned()
}

/// Nothing runs that a run of this stack started, but its one tunnel.
pub(super) fn nothing_but_the_tunnel(rig: &Rig) {
    let tunnels = |found: &[(ProcId, String)]| {
        let is = |line: &String| line.contains("__tunnel");
        found.iter().filter(|(_, line)| is(line)).count()
    };
    let found = processes(rig);
    assert_eq!((found.len(), tunnels(&found)), (1, 1), "{found:?}");
}

/// Every process of the rig, the tunnel among them, is gone.
pub(super) fn nothing_runs(rig: &Rig) {
    let found = processes(rig);
    assert!(found.is_empty(), "{found:?}");
}

/// Within a moment nothing runs that a run started which has ended, except a tunnel.
pub(super) fn children_end(rig: &Rig, within: Duration) {
    until("the end of what an ended run had started", within, || {
        let others = processes(rig);
        others.iter().all(|(_, line)| line.contains("__tunnel"))
    });
}

/// Processes that have the rig's home, its state folder or the mark of a job about it in their environment, or its
/// folder in their words.
pub(super) fn processes(rig: &Rig) -> Vec<(ProcId, String)> {
    let dir = rig.context.dir().as_os_str().as_bytes();
    let names = |text: &OsStr| {
        let text = text.as_bytes();
        text.windows(dir.len()).any(|part| part == dir)
    };
    let variables = ["HOME", "KEDACTL_STATE_DIR", "KEDACTL_JOB"];
    let ours = |pid: u32| {
        procfs::cmdline(pid).iter().any(|word| names(word))
            || variables
                .iter()
                .any(|it| procfs::environ(pid, it).is_some_and(|value| names(&value)))
    };
    let own = std::process::id();
    let pids = std::fs::read_dir("/proc").unwrap();
    let pids = pids.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let found = pids.filter(|pid| *pid != own && ours(*pid));
    found
        .filter_map(ProcId::of)
        .filter(|process| process.alive())
        .map(|process| {
            let words = procfs::cmdline(process.pid);
            let words: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
            (process, words.join(" "))
        })
        .collect()
}

/// No file below the state folder is one that is being written, and no private folder outlived its run.
pub(super) fn nothing_half_written(rig: &Rig) {
    let state = state(rig);
    let files = files(&state);
    let beneath = files.iter().map(|path| path.strip_prefix(&state).unwrap());
    let half: Vec<&Path> = beneath.filter(|path| is_half(path)).collect();
    assert_eq!(half, Vec::<&Path>::new());
    let record = state.join("clusters").join(&rig.name).join("stack.json");
    let record = std::fs::read(record).unwrap();
    serde_json::from_slice::<serde_json::Value>(&record).unwrap();
}

fn is_half(path: &Path) -> bool {
    let name = path.file_name().unwrap().to_string_lossy();
    let within_temporary = path
        .components()
        .any(|part| part.as_os_str() == "tmp" || part.as_os_str() == "ingest");
    within_temporary
        || name.starts_with(".tmp")
        || [".tmp", ".new", ".part", ".partial"]
            .iter()
            .any(|end| name.ends_with(end))
}

/// Every file below a folder.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if entry.file_type().unwrap().is_dir() {
            all.extend(files(&path));
        } else {
            all.push(path);
        }
    }
    all
}
