//! How each node of a job ended, and the job as a whole.
//! Must not hide a node: one that never started is in it too.

use crate::event::StepId;

/// The end of one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome<E> {
    /// It ended well.
    Done {
        /// Whether anything was written, started or stopped.
        changed: bool,
    },
    /// It ended badly.
    Failed(E),
    /// It never started, for a node that it depends on failed.
    Skipped {
        /// The node that failed.
        because: StepId,
    },
    /// It never started, for the job was stopped before.
    NotStarted,
    /// It was dropped while it ran.
    Aborted,
}

/// The ends of all nodes, in the order in which they were added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report<E> {
    /// Each node with its end.
    pub nodes: Vec<(StepId, Outcome<E>)>,
}

impl<E> Report<E> {
    /// Whether every node ended well.
    pub fn complete(&self) -> bool {
        self.nodes
            .iter()
            .all(|(_, end)| matches!(end, Outcome::Done { .. }))
    }

    /// Whether any node wrote, started or stopped something.
    pub fn changed(&self) -> bool {
        self.nodes
            .iter()
            .any(|(_, end)| matches!(end, Outcome::Done { changed: true }))
    }

    /// How the node ended.
    pub fn outcome(&self, id: &str) -> Option<&Outcome<E>> {
        let found = self.nodes.iter().find(|(known, _)| known.0 == id);
        found.map(|(_, end)| end)
    }

    /// The first failure in the order of the graph.
    pub fn into_error(self) -> Option<E> {
        self.nodes.into_iter().find_map(|(_, end)| match end {
            Outcome::Failed(error) => Some(error),
            _ => None,
        })
    }

    /// What is done and what is not, for a job that was interrupted: `done: a, b; not done: c`.
    pub fn sentence(&self) -> String {
        let (done, undone): (Vec<_>, Vec<_>) = self
            .nodes
            .iter()
            .partition(|(_, end)| matches!(end, Outcome::Done { .. }));
        format!("done: {}; not done: {}", names(&done), names(&undone))
    }
}

fn names<E>(nodes: &[&(StepId, Outcome<E>)]) -> String {
    if nodes.is_empty() {
        return "nothing".to_owned();
    }
    let names: Vec<&str> = nodes.iter().map(|(id, _)| id.0.as_str()).collect();
    names.join(", ")
}
