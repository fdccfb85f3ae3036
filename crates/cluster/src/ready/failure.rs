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
