//! The lines so far, shared by those who watch and those who ask.
//!
//! Must not let time run backwards: two tasks that write at once are put in order here.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use kedactl_autoscale::Timestamp;
use kedactl_autoscale::api::ScaledObject;
use kedactl_autoscale::shadow::{Fact, Line, Recording};
use kedactl_cluster::Clock;

/// Lines, with what the askers must know of them.
#[derive(Debug, Clone)]
pub(crate) struct Log {
    clock: Clock,
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    lines: Vec<Line>,
    scaled_objects: BTreeMap<String, ScaledObject>,
}

impl Log {
    pub(crate) fn new(clock: Clock) -> Self {
        Self {
            clock,
            inner: Arc::default(),
        }
    }

    fn with<T>(&self, work: impl FnOnce(&mut Inner) -> T) -> T {
        work(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn add(&self, fact: Fact) {
        self.with(|inner| {
            match &fact {
                Fact::ScaledObject { object } => {
                    let name = object.name().to_owned();
                    inner.scaled_objects.insert(name, (**object).clone());
                }
                Fact::Gone { kind, name } if kind == "ScaledObject" => {
                    inner.scaled_objects.remove(name);
                }
                _ => {}
            }
            let now = Timestamp::from_micros(self.clock.now_us());
            let at = inner.lines.last().map_or(now, |last| last.at.max(now));
            inner.lines.push(Line { at, fact });
        });
    }

    /// The `ScaledObjects` as they were seen last.
    pub(crate) fn scaled_objects(&self) -> Vec<ScaledObject> {
        self.with(|inner| inner.scaled_objects.values().cloned().collect())
    }

    pub(crate) fn take(&self) -> Recording {
        self.with(|inner| Recording {
            lines: std::mem::take(&mut inner.lines),
        })
    }
}
