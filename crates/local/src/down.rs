//! `down`: tells the supervisor to stop everything, does it itself where there is none, and proves that nothing is left.
//! Must not signal a process without the stack's mark, and removes only files that a stack makes.

use std::fs;
use std::path::Path;
use std::time::Duration;

use kedactl_exec::{ProcId, Signal, gone, procfs};
use kedactl_plan::{Sink, Step};
use tokio::time::{Instant, sleep};

use crate::desired::Desired;
use crate::identity::{Identity, MARK_NAME, MARK_STACK};
use crate::layout::{Layout, fail, read_json, try_lock};
use crate::supervisor::{forget, say_not_wanted};
use crate::{DownOutcome, LocalError, read_state};

/// How long servers may take beyond the pods' grace period.
const SERVERS_GRACE: Duration = Duration::from_secs(70);
/// How long a process may take to vanish after SIGKILL.
const KILL_WITHIN: Duration = Duration::from_secs(10);
/// All that a stack makes in its directory.
const MADE: [&str; 13] = [
    "desired.json",
    "state.json",
    "endpoints.json",
    "endpoints.obeyed.json",
    "identity.json",
    "journal.jsonl",
    "journal.jsonl.1",
    "supervisor.lock",
    "command.lock",
    "logs",
    "data",
    "secrets",
    "config",
];

/// Stops the stack; with `purge` its data goes as well.
pub(crate) async fn down(
    dir: &Path,
    purge: bool,
    events: &dyn Sink,
) -> Result<DownOutcome, LocalError> {
    let layout = Layout::new(dir);
    if !dir.exists() {
        return Ok(DownOutcome {
            changed: false,
            stopped: 0,
        });
    }
    layout.check_owner()?;
    let Some(lock) = try_lock(&layout.command_lock())? else {
        return Err(LocalError::Busy {
            dir: dir.to_owned(),
        });
    };
    let step = Step::start(events, "stop", "the stack's processes");
    let stopped = match Identity::mark(&layout) {
        Some(stack_id) => match stop(&layout, &stack_id, &step).await {
            Ok(stopped) => stopped,
            Err(error) => {
                step.failed(&error, error.hint());
                return Err(error);
            }
        },
        None => 0,
    };
    step.done(format!("{stopped} processes stopped"), stopped > 0);
    let _removed = (
        fs::remove_file(layout.supervisor_lock()),
        fs::remove_file(layout.command_lock()),
    );
    if purge {
        let step = Step::start(events, "purge", "data, passwords and logs");
        remove(&layout)?;
        step.done(format!("{} removed", dir.display()), true);
    }
    drop(lock);
    Ok(DownOutcome {
        changed: stopped > 0 || purge,
        stopped,
    })
}

/// Stops every process of the stack and removes the files that speak of them. Returns how many there were.
pub(crate) async fn stop(
    layout: &Layout,
    stack_id: &str,
    step: &Step<'_>,
) -> Result<usize, LocalError> {
    let desired: Option<Desired> = read_json(&layout.desired()).unwrap_or(None);
    let grace = desired
        .as_ref()
        .map_or(Duration::from_secs(30), longest_grace);
    if say_not_wanted(layout).is_err() {
        // Of another version: without the file no watchdog wants the stack either.
        let _removed = fs::remove_file(layout.desired());
    }
    let marked = || procfs::marked(MARK_STACK, stack_id);
    let all = marked();
    let supervisor = read_state(layout.dir())
        .ok()
        .flatten()
        .map(|state| state.supervisor)
        .filter(|process| all.contains(process));
    if let Some(supervisor) = supervisor {
        supervisor.signal(Signal::TERM)?;
        wait_for(supervisor, grace + SERVERS_GRACE, step, &marked).await;
    }
    // What is left has no supervisor, or one that does not do its work.
    for (members, within) in [
        (["supervisor", "proxy"].as_slice(), Duration::from_secs(1)),
        (&[], grace),
        (&["prometheus", "alertmanager"], Duration::from_secs(5)),
        (&["sentinel-"], Duration::from_secs(5)),
        (&["redis-"], Duration::from_secs(30)),
    ] {
        let group: Vec<ProcId> = marked()
            .into_iter()
            .filter(|process| is_member(*process, members))
            .collect();
        end(&group, within, step).await?;
    }
    let left = marked();
    for process in &left {
        process.signal(Signal::KILL)?;
    }
    let left = gone(&left, KILL_WITHIN).await;
    if !left.is_empty() {
        return Err(LocalError::Left {
            processes: left.iter().map(|process| describe(*process)).collect(),
        });
    }
    forget(layout);
    Ok(all.len())
}

async fn wait_for(
    supervisor: ProcId,
    within: Duration,
    step: &Step<'_>,
    marked: &(dyn Fn() -> Vec<ProcId> + Sync),
) {
    let begin = Instant::now();
    let mut last = 0;
    while supervisor.alive() && begin.elapsed() < within {
        let left = marked().len();
        if left != last {
            step.waiting(format!("{left} processes to end"));
            last = left;
        }
        sleep(Duration::from_millis(20)).await;
    }
}

/// Whether a process has one of these names; with none given, whether it is a pod.
fn is_member(process: ProcId, names: &[&str]) -> bool {
    let servers = ["supervisor", "proxy", "sentinel-", "redis-"];
    let found = procfs::environ(process.pid, MARK_NAME).unwrap_or_default();
    let found = found.to_string_lossy();
    if names.is_empty() {
        !servers.iter().any(|name| found.starts_with(name))
    } else {
        names.iter().any(|name| found.starts_with(name))
    }
}

async fn end(group: &[ProcId], within: Duration, step: &Step<'_>) -> Result<(), LocalError> {
    if group.is_empty() {
        return Ok(());
    }
    step.waiting(format!("{} processes to end", group.len()));
    for process in group {
        process.signal(Signal::TERM)?;
        // A stopped process would keep the signal for ever.
        process.signal(Signal::CONT)?;
    }
    for process in gone(group, within).await {
        process.kill_group()?;
    }
    Ok(())
}

fn describe(process: ProcId) -> String {
    let name = procfs::environ(process.pid, MARK_NAME).unwrap_or_default();
    format!("{} (pid {})", name.to_string_lossy(), process.pid)
}

fn longest_grace(desired: &Desired) -> Duration {
    let pods = desired
        .deployments
        .iter()
        .filter_map(|object| object.spec.as_ref()?.template.spec.as_ref());
    let seconds = pods
        .filter_map(|pod| u64::try_from(pod.termination_grace_period_seconds?).ok())
        .max();
    Duration::from_secs(seconds.unwrap_or(30) + 3)
}

/// Removes what a stack makes, and the directory if nothing else is in it.
fn remove(layout: &Layout) -> Result<(), LocalError> {
    for name in MADE {
        let path = layout.dir().join(name);
        let removed = if path.is_dir() {
            fs::remove_dir_all(&path)
        } else {
            fs::remove_file(&path)
        };
        if let Err(error) = removed
            && error.kind() != std::io::ErrorKind::NotFound
        {
            return Err(fail("remove", &path)(error));
        }
    }
    // Files of others keep it.
    let _removed = fs::remove_dir(layout.dir());
    Ok(())
}
