//! Jobs whose owner was killed: they go on by themselves, and nobody waits for them any more.
//! Must not touch a job whose owner lives, nor one of another user.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;

use crate::spawn::gone;
use crate::{ExecError, ProcId, procfs};

/// The variable by which a job's processes are known: pid and start time of its owner, and what it works on.
pub(crate) const MARK: &str = "KEDACTL_JOB";
/// How long a killed process may take to be gone.
const KILLED_WITHIN: Duration = Duration::from_secs(5);

/// The mark of a job that this process starts.
pub(crate) fn mark(about: &Path) -> Option<OsString> {
    let owner = ProcId::own()?;
    let mut mark = OsString::from(format!("{} {} ", owner.pid, owner.start_time));
    mark.push(about);
    Some(mark)
}

/// Ends every job about this path whose owner has died: one `SIGINT`, some patience, `SIGKILL`. How many processes there were.
pub async fn end_left_behind(about: &Path, patience: Duration) -> Result<usize, ExecError> {
    let found = left_behind(about);
    signal(&found, Signal::INT)?;
    let stubborn = gone(&found, patience).await;
    signal(&stubborn, Signal::KILL)?;
    gone(&stubborn, KILLED_WITHIN).await;
    Ok(found.len())
}

/// Signals whole groups, and those alone whose group has lost its leader.
fn signal(processes: &[ProcId], signal: Signal) -> Result<(), ExecError> {
    let led = |process: &ProcId| {
        let group = procfs::stat(process.pid).map(|stat| stat.group);
        let mut others = processes.iter().filter(|other| *other != process);
        others.any(|other| Some(other.pid) == group)
    };
    for process in processes.iter().filter(|process| !led(process)) {
        process.signal_group(signal)?;
    }
    Ok(())
}

/// Processes of jobs about this path whose owner has died.
fn left_behind(about: &Path) -> Vec<ProcId> {
    let orphaned = |pid: &u32| {
        procfs::uid(*pid) == Some(procfs::own_uid())
            && procfs::environ(*pid, MARK).is_some_and(|mark| is_orphan(&mark, about))
    };
    let found = procfs::pids().filter(orphaned).filter_map(ProcId::of);
    found.filter(|process| process.alive()).collect()
}

fn is_orphan(mark: &OsStr, about: &Path) -> bool {
    let mut parts = mark.as_bytes().splitn(3, |byte| *byte == b' ');
    let mut number = || std::str::from_utf8(parts.next()?).ok()?.parse::<u64>().ok();
    let (Some(pid), Some(start_time)) = (number(), number()) else {
        return false;
    };
    let owner = ProcId {
        pid: pid as u32,
        start_time,
    };
    parts.next() == Some(about.as_os_str().as_bytes()) && !owner.alive()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CancellationToken, Job};

    #[test]
    fn a_mark_names_the_owner_and_the_path() {
        let own = ProcId::own().unwrap();
        let mark = |start: u64| OsString::from(format!("{} {start} /a path/x", own.pid));
        let about = Path::new("/a path/x");
        assert!(
            is_orphan(&mark(own.start_time + 1), about),
            "its number is another's now"
        );
        assert!(!is_orphan(&mark(own.start_time), about), "we live");
        assert!(!is_orphan(&mark(0), Path::new("/a path")));
        assert!(!is_orphan(OsStr::new("/a path/x"), about));
    }

    /// A shell as a job of an owner that is no more, which says in a file that it is ready.
    async fn orphan(dir: &Path, script: &str) -> tokio::task::JoinHandle<()> {
        let about = dir.to_owned();
        let gone = OsString::from(format!("{} 1 {}", std::process::id(), about.display()));
        let job = Job::new("/bin/sh").args(["-c", script]).env(MARK, gone);
        let running = tokio::spawn(async move {
            // How it ends is seen from outside.
            drop(job.run(&CancellationToken::new()).await);
        });
        while !dir.join("ready").exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        running
    }

    #[tokio::test]
    async fn what_a_killed_run_left_is_asked_once_and_then_killed() {
        let dir = std::env::temp_dir().join(format!("kedactl-left-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let at = dir.display();
        let polite = format!(
            "trap 'echo int >> {at}/end; exit 0' INT; : > {at}/ready; while :; do sleep 0.02; done"
        );
        let running = orphan(&dir, &polite).await;
        assert_eq!(
            end_left_behind(Path::new("/else"), Duration::ZERO)
                .await
                .unwrap(),
            0
        );
        assert!(
            end_left_behind(&dir, Duration::from_secs(10))
                .await
                .unwrap()
                > 0
        );
        running.await.unwrap();
        assert_eq!(std::fs::read_to_string(dir.join("end")).unwrap(), "int\n");
        std::fs::remove_file(dir.join("ready")).unwrap();

        let deaf = format!("trap '' INT; : > {at}/ready; sleep 60 & wait; sleep 60");
        let running = orphan(&dir, &deaf).await;
        end_left_behind(&dir, Duration::from_millis(100))
            .await
            .unwrap();
        running.await.unwrap();
        assert_eq!(left_behind(&dir), Vec::new());
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[tokio::test]
    async fn a_job_of_a_living_owner_is_left_alone() {
        let dir = std::env::temp_dir().join(format!("kedactl-live-{}", std::process::id()));
        let job = Job::new("/bin/sh")
            .args(["-c", "sleep 0.2; exit 5"])
            .about(&dir);
        let never = CancellationToken::new();
        let (ended, found) = tokio::join!(job.run(&never), end_left_behind(&dir, Duration::ZERO));
        assert_eq!((ended.unwrap().code, found.unwrap()), (Some(5), 0));
    }
}
