//! Chooses the readers of a job's event stream and runs them beside the job.
//!
//! It must not know what the job does.

use super::bars::Bars;
use super::groups::Groups;
use super::lines::Lines;
use super::{Printer, Progress};
use crate::args::Events;
use crate::error::{Code, Error};
use kedactl_plan::{Channel, Event, channel};
use std::fs::File;
use std::io::Write as _;
use std::sync::mpsc::RecvTimeoutError;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How often the readers are told the time while no step says anything.
const BEAT: Duration = Duration::from_secs(1);

/// Who reads the events of a command.
#[derive(Default)]
pub(crate) struct Readers {
    /// Where events go as they are: JSON lines.
    log: Option<Log>,
    /// Whoever else wants them.
    others: Vec<Box<dyn Reader + Send>>,
}

#[derive(Debug)]
enum Log {
    /// In place of what people would see there.
    Stderr,
    /// Beside it.
    File(File),
}

impl Readers {
    /// What `--events` asks for. The file is opened now, so that a wrong path fails before anything is done.
    pub(crate) fn new(events: Option<&Events>) -> Result<Self, Error> {
        let log = match events.map(|events| events.file.as_ref()) {
            None => None,
            Some(None) => Some(Log::Stderr),
            Some(Some(path)) => Some(Log::File(File::create(path).map_err(|error| {
                let message = format!("{} could not be written", path.display());
                Error::new(Code::Io, message).source(error)
            })?)),
        };
        Ok(Self {
            log,
            others: Vec::new(),
        })
    }

    /// Events go to this file too.
    pub(crate) fn to_file(file: File) -> Self {
        Self {
            log: Some(Log::File(file)),
            others: Vec::new(),
        }
    }

    /// One more reader.
    pub(crate) fn with(mut self, reader: impl Reader + Send + 'static) -> Self {
        self.others.push(Box::new(reader));
        self
    }

    /// The same readers for a second part of the same command: a file goes on where it ended.
    pub(crate) fn again(events: Option<&Events>) -> Result<Self, Error> {
        let Some(path) = events.and_then(|events| events.file.as_ref()) else {
            return Self::new(events);
        };
        let file = File::options().append(true).open(path).map_err(|error| {
            let message = format!("{} could not be written", path.display());
            Error::new(Code::Io, message).source(error)
        })?;
        Ok(Self {
            log: Some(Log::File(file)),
            others: Vec::new(),
        })
    }

    /// Whether stderr belongs to the events alone.
    pub(crate) fn own_stderr(&self) -> bool {
        matches!(self.log, Some(Log::Stderr))
    }

    fn start(self, printer: Printer) -> Vec<Box<dyn Reader>> {
        let people: Option<Box<dyn Reader>> = match printer.progress() {
            _ if self.own_stderr() => None,
            Progress::Live => Some(Box::new(Bars::default())),
            Progress::Lines => Some(Box::new(Lines::new(printer))),
            Progress::Actions => Some(Box::new(Groups::actions(printer))),
            Progress::Sections => Some(Box::new(Groups::sections(printer))),
            Progress::None => None,
        };
        let log: Option<Box<dyn Reader>> = match self.log {
            Some(Log::Stderr) => Some(Box::new(Stderr(printer))),
            Some(Log::File(file)) => Some(Box::new(ToFile(file))),
            None => None,
        };
        let others = self.others.into_iter().map(|it| it as Box<dyn Reader>);
        people.into_iter().chain(log).chain(others).collect()
    }
}

/// One way to show events.
pub(crate) trait Reader {
    fn read(&mut self, event: &Event);
    /// The time has moved on, to milliseconds since the Unix epoch.
    fn beat(&mut self, _now: u64) {}
    fn close(&mut self) {}
}

/// Runs `job` with a sink, while a thread shows what it says; returns what the job returned.
pub(crate) fn follow<T>(printer: Printer, readers: Readers, job: impl FnOnce(&Channel) -> T) -> T {
    let (sink, events) = channel();
    let reader = thread::spawn(move || {
        let mut readers = readers.start(printer);
        loop {
            match events.recv_timeout(BEAT) {
                Ok(event) => readers.iter_mut().for_each(|reader| reader.read(&event)),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            let now = now_ms();
            for reader in &mut readers {
                reader.beat(now);
            }
        }
        for reader in &mut readers {
            reader.close();
        }
    });
    let result = job(&sink);
    drop(sink);
    // A reader that panicked has already said so; the job's result counts.
    drop(reader.join());
    result
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as u64)
}

struct Stderr(Printer);

impl Reader for Stderr {
    fn read(&mut self, event: &Event) {
        if let Ok(line) = serde_json::to_string(event) {
            self.0.error(&line);
        }
    }
}

struct ToFile(File);

impl Reader for ToFile {
    fn read(&mut self, event: &Event) {
        if let Ok(mut line) = serde_json::to_vec(event) {
            line.push(b'\n');
            // A full disk must not end the job; whoever reads the file sees that it is cut.
            drop(self.0.write_all(&line));
        }
    }
}

/// docs/events.schema.json: one line of `--events jsonl`.
pub fn events_schema() -> String {
    let schema = serde_json::to_string_pretty(&kedactl_plan::schema());
    schema.unwrap_or_default() + "\n"
}
