//! Why objects are not ready, in a form for people and for JSON.
//! Must not hold more than was seen: a cure is a suggestion, a reason is a fact.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::object::ObjectRef;

/// One cause that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// The object that was waited for.
    pub object: ObjectRef,
    /// The pod in which it shows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod: Option<String>,
    /// The container in which it shows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// `CrashLoopBackOff`, `Unschedulable`, `FailedCreate`.
    pub reason: String,
    /// What the cluster says about it.
    pub detail: String,
    /// The last event that warns of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
    /// The last lines of the container's log, known secrets masked.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub log: Vec<String>,
    /// What to do about it.
    pub cure: String,
}

impl Failure {
    pub(crate) fn new(object: &ObjectRef, reason: &str, detail: impl Into<String>) -> Self {
        Self {
            object: object.clone(),
            pod: None,
            container: None,
            reason: reason.to_owned(),
            detail: detail.into(),
            event: None,
            log: Vec::new(),
            cure: String::new(),
        }
    }

    pub(crate) fn cured_by(mut self, cure: impl Into<String>) -> Self {
        self.cure = cure.into();
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.object)?;
        if let Some(pod) = &self.pod {
            write!(f, ", pod {pod}")?;
        }
        if let Some(container) = &self.container {
            write!(f, ", container {container}")?;
        }
        write!(f, ": {}", self.reason)?;
        if !self.detail.is_empty() {
            write!(f, " ({})", self.detail)?;
        }
        Ok(())
    }
}

/// One object that was still on its way when the time was over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Pending {
    /// The object.
    pub object: ObjectRef,
    /// What it waits for.
    pub why: String,
}

/// Objects that did not become ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NotReady {
    /// Causes that will not go away by themselves, most telling first.
    pub failures: Vec<Failure>,
    /// Objects that were still on their way.
    pub pending: Vec<Pending>,
    /// How many objects were waited for.
    pub of: usize,
    /// How long it was waited, in seconds.
    pub waited_s: u64,
    /// The time was over; otherwise a cause was found before.
    pub timed_out: bool,
}

impl NotReady {
    pub(crate) fn new(of: usize, waited: Duration, timed_out: bool) -> Self {
        Self {
            failures: Vec::new(),
            pending: Vec::new(),
            of,
            waited_s: waited.as_secs(),
            timed_out,
        }
    }

    /// What else is known, a line each: of the first cause its event and the end of its log, then the other causes.
    pub fn notes(&self) -> Vec<String> {
        const LINES: usize = 8;
        const OTHERS: usize = 3;
        let Some((first, rest)) = self.failures.split_first() else {
            return Vec::new();
        };
        let mut notes = Vec::new();
        notes.extend(first.event.iter().map(|it| format!("event: {it}")));
        let end = first.log.len().saturating_sub(LINES);
        notes.extend(first.log[end..].iter().map(|it| format!("log: {it}")));
        notes.extend(rest.iter().take(OTHERS).map(|it| format!("also: {it}")));
        notes
    }

    /// The cure of the first cause.
    pub fn cure(&self) -> Option<String> {
        let first = self.failures.iter().map(|it| &it.cure);
        first.into_iter().find(|it| !it.is_empty()).cloned()
    }
}

impl fmt::Display for NotReady {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let several = self.failures.len() + self.pending.len();
        match (self.failures.first(), self.pending.first()) {
            (Some(failure), _) => write!(f, "{failure}")?,
            (None, Some(it)) => {
                write!(
                    f,
                    "{} is not ready after {} s: {}",
                    it.object, self.waited_s, it.why
                )?;
            }
            (None, None) => write!(f, "not ready after {} s", self.waited_s)?,
        }
        if several > 1 {
            write!(f, ", and {} more of {} objects", several - 1, self.of)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_the_log_stands_beside_the_first_cause() {
        let of = |name: &str| ObjectRef::new("apps/v1", "Deployment", Some("keda"), name);
        let mut first = Failure::new(&of("api"), "CrashLoopBackOff", "exit code 2");
        first.event = Some("BackOff: restarting".to_owned());
        first.log = (1..=20).map(|line| format!("line {line}")).collect();
        let mut it = NotReady::new(3, Duration::from_secs(9), false);
        assert!(it.notes().is_empty());
        it.failures = vec![first, Failure::new(&of("worker"), "Unschedulable", "")];
        let notes = it.notes();
        assert_eq!(notes.first().unwrap(), "event: BackOff: restarting");
        assert_eq!(notes[1], "log: line 13");
        assert_eq!(notes[8], "log: line 20");
        assert_eq!(notes[9], "also: Deployment keda/worker: Unschedulable");
    }
}
