//! Keeps with which words and variables programs were started: all of those that run, and each of those that `kedactl` starts.
//!
//! It must not change what they do.

use super::canary::Evidence;
use kedactl_exec::{find, procfs};
use std::collections::BTreeMap;
use std::fs::Permissions;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often running programs are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// Every program that `kedactl` starts on this machine, beside itself.
const PROGRAMS: [&str; 2] = ["helm", "docker"];

/// Programs by the names of those that are started, which write down how they were, and then are them.
pub(super) struct Programs {
    folder: PathBuf,
    records: PathBuf,
}

impl Programs {
    pub(super) fn new(folder: &Path) -> Self {
        let (programs, records) = (folder.join("programs"), folder.join("records"));
        for made in [&programs, &records] {
            std::fs::create_dir_all(made).unwrap();
        }
        for name in PROGRAMS {
            let real = find(name).unwrap();
            let script = format!(
                "#!/bin/sh\ncat /proc/$$/cmdline /proc/$$/environ >'{}'/{name}.$$\nexec '{}' \"$@\"\n",
                records.display(),
                real.display()
            );
            let path = programs.join(name);
            std::fs::write(&path, script).unwrap();
            std::fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        }
        Self {
            folder: programs,
            records,
        }
    }

    /// `PATH` with them first.
    pub(super) fn path(&self) -> String {
        let path = crate::cluster::variable("PATH");
        format!("{}:{path}", self.folder.display())
    }

    /// What they wrote down; every one of them was started.
    pub(super) fn give(&self, evidence: &mut Evidence) {
        evidence.folder("started", &self.records, &[]);
        for name in PROGRAMS {
            let place = format!("started: {name}.");
            assert!(evidence.count(&place) > 0, "{name} was never started");
        }
    }
}

/// Looks at every process of this machine until it is asked for what it saw; the cluster's nodes and pods are among them.
pub(super) struct Watch {
    stop: Sender<()>,
    looking: JoinHandle<()>,
    seen: Arc<Mutex<Seen>>,
}

/// Words or variables, and of which program.
type Seen = BTreeMap<Vec<u8>, String>;

impl Watch {
    pub(super) fn start() -> Self {
        let (stop, stopped) = channel();
        let seen = Arc::default();
        let kept: Arc<Mutex<Seen>> = Arc::clone(&seen);
        let looking = std::thread::spawn(move || {
            loop {
                look(&mut kept.lock().unwrap());
                if stopped.recv_timeout(LOOK_EVERY) != Err(RecvTimeoutError::Timeout) {
                    return;
                }
            }
        });
        Self {
            stop,
            looking,
            seen,
        }
    }

    pub(super) fn give(self, evidence: &mut Evidence) {
        self.stop.send(()).unwrap();
        self.looking.join().unwrap();
        for (seen, program) in &*self.seen.lock().unwrap() {
            evidence.add(format!("process: {program}"), seen.as_slice());
        }
    }
}

/// Words and variables of every process, once each.
fn look(seen: &mut Seen) {
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let name = entry.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        for file in ["cmdline", "environ"] {
            // It may have ended meanwhile.
            let bytes = std::fs::read(entry.path().join(file)).unwrap_or_default();
            if !bytes.is_empty() && !seen.contains_key(&bytes) {
                seen.insert(bytes, format!("{} {file}", program(pid)));
            }
        }
    }
}

fn program(pid: u32) -> String {
    let words = procfs::cmdline(pid);
    let words = words.iter().take(2).map(|word| word.as_bytes().to_vec());
    String::from_utf8_lossy(&words.collect::<Vec<_>>().join(&b' ')).into_owned()
}

#[cfg(test)]
mod tests {
    use super::super::canary::Canary;
    use super::*;
    use kedactl_exec::{CancellationToken, Job, Run};
    use kedactl_testkit::until_async;

    const SECRET: &str = "canary-of-the-recorder-4711";

    fn found(evidence: &Evidence) -> Vec<String> {
        evidence
            .of(&[Canary::new("it", SECRET)])
            .into_iter()
            .collect()
    }

    #[test]
    fn words_and_variables_of_started_programs_are_kept_and_the_program_runs() {
        let folder = tempfile::tempdir().unwrap();
        let programs = Programs::new(folder.path());
        let helm = programs.folder.join("helm");
        let ran = Run::new(&helm).args(["version", "--short"]).run().unwrap();
        assert!(ran.stdout.starts_with('v'), "{ran:?}");
        let evidence = |programs: &Programs| {
            let mut evidence = Evidence::default();
            evidence.folder("started", &programs.records, &[]);
            evidence
        };
        assert_eq!(found(&evidence(&programs)), Vec::<String>::new());
        let run = Run::new(&helm).arg("version").env("TOKEN", SECRET);
        run.run().unwrap();
        assert_eq!(found(&evidence(&programs)).len(), 1);
        let run = Run::new(&helm).args(["version", "--kube-token", SECRET]);
        run.run().unwrap();
        assert_eq!(found(&evidence(&programs)).len(), 2);
    }

    #[tokio::test]
    async fn words_and_variables_of_whatever_runs_are_seen() {
        let watch = Watch::start();
        let stop = CancellationToken::new();
        let sleeper = |job: Job| job.args(["-c", "sleep 60 & wait"]);
        let by_word = sleeper(Job::new("/bin/sh")).arg(SECRET);
        let by_variable = sleeper(Job::new("/bin/sh")).env("TOKEN", SECRET);
        let looked = async {
            let both = || {
                let seen = watch.seen.lock().unwrap();
                let with = |bytes: &&Vec<u8>| String::from_utf8_lossy(bytes).contains(SECRET);
                let count = seen.keys().filter(with).count();
                async move { count > 1 }
            };
            until_async("a look at both", Duration::from_secs(30), both).await;
            stop.cancel();
        };
        let (_, _, ()) = tokio::join!(by_word.run(&stop), by_variable.run(&stop), looked);
        let mut evidence = Evidence::default();
        watch.give(&mut evidence);
        let found = found(&evidence);
        for file in ["cmdline", "environ"] {
            let seen = found.iter().any(|place| place.contains(file));
            assert!(seen, "{file}: {found:?}");
        }
    }
}
