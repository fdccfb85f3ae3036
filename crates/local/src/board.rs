//! The supervisor's picture of the stack, shared by its tasks, and the task that writes it to `state.json`.
//! Must not decide anything: tasks change their own part and read the others'.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use kedactl_autoscale::journal::Entry;
use serde_json::Value;
use tokio::sync::watch;

use crate::StackState;
use crate::journal::Journal;
use crate::layout::{Layout, write_json};

/// Shortest time between two writes of an unchanged set of processes.
const WRITE_EVERY: Duration = Duration::from_millis(100);

/// Milliseconds since the Unix epoch.
pub(crate) fn now_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis() as u64)
}

/// Shared state of one supervisor.
#[derive(Debug)]
pub(crate) struct Board {
    state: watch::Sender<StackState>,
    pub(crate) journal: Journal,
    layout: Layout,
}

impl Board {
    pub(crate) fn new(state: StackState, layout: Layout) -> Arc<Self> {
        Arc::new(Self {
            state: watch::Sender::new(state),
            journal: Journal::new(layout.journal()),
            layout,
        })
    }

    /// Changes the state; readers wake only if something is different afterwards.
    pub(crate) fn update(&self, change: impl FnOnce(&mut StackState)) {
        self.state.send_if_modified(|state| {
            let before = state.clone();
            change(state);
            *state != before
        });
    }

    /// Changes the state and writes it before returning: a process that was just started must not be forgotten.
    pub(crate) fn update_now(&self, change: impl FnOnce(&mut StackState)) {
        self.update(change);
        self.write();
    }

    /// Reads from the state.
    pub(crate) fn read<T>(&self, look: impl FnOnce(&StackState) -> T) -> T {
        look(&self.state.borrow())
    }

    /// Wakes on every change.
    pub(crate) fn watch(&self) -> watch::Receiver<StackState> {
        self.state.subscribe()
    }

    /// Waits until the state is as wanted.
    pub(crate) async fn until(&self, mut wanted: impl FnMut(&StackState) -> bool) {
        let mut watch = self.watch();
        // The sender lives as long as `self`.
        let _found = watch.wait_for(|state| wanted(state)).await;
    }

    /// Writes one line of the journal.
    pub(crate) fn record(&self, event: &str, fields: Value) {
        if let Err(error) = self.journal.record(now_ms(), event, fields) {
            tracing::warn!(%error, "journal");
        }
    }

    /// Writes one input and decision of an autoscaler to the journal, in the form that replays.
    pub(crate) fn record_entry(&self, entry: &Entry) {
        match serde_json::to_value(entry) {
            Ok(fields) => self.record("decision", fields),
            Err(error) => tracing::warn!(%error, "journal"),
        }
    }

    fn write(&self) {
        let state = self.read(|state| StackState {
            updated_at: now_ms(),
            ..state.clone()
        });
        if let Err(error) = write_json(&self.layout.state(), &state) {
            tracing::error!(%error, "state");
        }
    }

    /// Writes the state whenever it has changed, until dropped.
    pub(crate) async fn keep_written(&self) {
        let mut watch = self.watch();
        self.write();
        while watch.changed().await.is_ok() {
            self.write();
            tokio::time::sleep(WRITE_EVERY).await;
        }
    }
}
