//! Builds a worker from settings and handlers.
//!
//! It must not start anything before `run`.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use kedactl_queue::QueueError;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::builtin;
use super::context::Context;
use super::handler::{AnyHandler, Failure, Typed};
use super::run::{self, Ended};
use crate::settings::WorkerSettings;
use crate::shutdown::Shutdown;

/// Handlers by task type.
pub(crate) type Handlers = HashMap<Arc<str>, Arc<dyn AnyHandler>>;

/// Why a worker could not run.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The metrics port is taken, or threads cannot be started.
    #[error("cannot {what}")]
    Start {
        what: String,
        #[source]
        source: std::io::Error,
    },
    /// Settings of traces that cannot work.
    #[error("{0}")]
    Traces(String),
    /// Redis settings that cannot work.
    #[error("cannot use redis")]
    Queue(#[from] QueueError),
}

/// A worker that is ready to run.
pub struct Worker {
    pub(crate) settings: WorkerSettings,
    pub(crate) handlers: Handlers,
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker")
            .field("handlers", &self.handlers.keys())
            .finish_non_exhaustive()
    }
}

impl Worker {
    /// Starts building a worker.
    pub fn builder(settings: WorkerSettings) -> WorkerBuilder {
        WorkerBuilder(Self {
            settings,
            handlers: HashMap::new(),
        })
    }

    /// Runs until `shutdown` is draining and every task is finished or handed back, or until a handler
    /// blocks its thread for good.
    pub async fn run(self, shutdown: Shutdown) -> Result<Ended, WorkerError> {
        run::run(self, shutdown).await
    }
}

/// Collects handlers.
#[derive(Debug)]
pub struct WorkerBuilder(Worker);

impl WorkerBuilder {
    /// Registers the handler of a task type; a later one replaces an earlier one.
    ///
    /// The payload is deserialized to the function's first argument; one that does not fit is dead at once. The
    /// result is kept as JSON. An error becomes another attempt; [`Failure`] says otherwise. A panic counts as a
    /// failed attempt. The function runs on a thread of its own and may block it; one that blocks past its time limit
    /// ends the worker, because a thread cannot be taken back.
    #[must_use]
    pub fn handle<F, P, R, Fut>(mut self, kind: &str, function: F) -> Self
    where
        F: Fn(P, Context) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<R, Failure>> + Send + 'static,
        P: DeserializeOwned + 'static,
        R: Serialize + 'static,
    {
        self.0
            .handlers
            .insert(kind.into(), Arc::new(Typed::new(function)));
        self
    }

    /// Registers `echo`, `sleep`, `cpu`, `fail`, `http` and `exec`.
    #[must_use]
    pub fn builtin(self) -> Self {
        builtin::register(self)
    }

    /// Returns the settings, for handlers that need some.
    pub fn settings(&self) -> &WorkerSettings {
        &self.0.settings
    }

    /// Returns the worker.
    pub fn build(self) -> Worker {
        self.0
    }
}
