//! One run of `kedactl` in the background that is followed by its events and cut off.
//!
//! It must not know which step is cut.

use crate::rig::Rig;
use kedactl_exec::ProcId;
use kedactl_plan::{Event, Kind};
use kedactl_tests::Outcome;
use rustix::process::Signal;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::Child;
use std::time::Duration;
use tokio::time::Instant;

/// How long one run may take.
const WITHIN: Duration = Duration::from_mins(3);

pub(crate) struct Cut {
    child: Child,
    process: ProcId,
    file: PathBuf,
    pub(crate) start: Instant,
}

impl Cut {
    pub(crate) fn start(rig: &Rig, command: &str, more: &[&str]) -> Self {
        let file = rig.context.dir().join(format!("{command}.jsonl"));
        // What an earlier run said must not be taken for this one's words.
        std::fs::write(&file, "").unwrap();
        let events = format!("jsonl={}", file.display());
        let child = rig.spawn(&[&[command, "--events", &events], more].concat());
        let process = ProcId::of(child.id()).unwrap();
        Self {
            child,
            process,
            file,
            start: Instant::now(),
        }
    }

    /// What it said so far; the last line may be half.
    pub(crate) fn events(&self) -> Vec<Event> {
        let text = std::fs::read_to_string(&self.file).unwrap();
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let read = |line: &str| serde_json::from_str(line).unwrap();
        whole.lines().map(read).collect()
    }

    /// Waits until the condition holds of what it said; `false` where it ended before.
    pub(crate) fn until(&mut self, mut holds: impl FnMut(&[Event]) -> bool) -> bool {
        let mut ended = false;
        let mut found = false;
        kedactl_testkit::until("a step of a run, or its end", WITHIN, || {
            ended = self.child.try_wait().unwrap().is_some();
            found = holds(&self.events());
            found || ended
        });
        found && !ended
    }

    /// Waits until a step has begun.
    pub(crate) fn until_started(&mut self, step: &str) -> bool {
        self.until(|events| started(events).any(|known| known == step))
    }

    /// This process alone, as a crash would have it: what it started is not told.
    pub(crate) fn signal(&self, signal: Signal) {
        self.process.signal(signal).unwrap();
    }

    /// Kills it, and waits until it is no more.
    pub(crate) fn kill(mut self) {
        self.signal(Signal::KILL);
        self.child.wait().unwrap();
    }

    /// Waits for its end.
    pub(crate) fn end(self) -> Outcome {
        outcome(&self.child.wait_with_output().unwrap())
    }
}

/// How it ended; a signal as shells show it.
pub(crate) fn outcome(ended: &std::process::Output) -> Outcome {
    let signal = ended.status.signal().map(|signal| 128 + signal);
    Outcome {
        code: ended.status.code().or(signal),
        stdout: String::from_utf8_lossy(&ended.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&ended.stderr).into_owned(),
    }
}

/// The steps that began, in their order.
pub(crate) fn started(events: &[Event]) -> impl Iterator<Item = &str> {
    let began = events
        .iter()
        .filter(|event| matches!(event.kind, Kind::Started { .. }));
    began.map(|event| event.step.0.as_str())
}
