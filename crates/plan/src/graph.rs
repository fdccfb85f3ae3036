//! A job as nodes with dependencies, and the handles through which nodes see each other's results.
//! Must not run anything: the schedule does.

use std::fmt;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};

use crate::event::StepId;
use crate::run::Run;
use crate::shape::{Shape, ShapeNode};

type Work<E> = Result<Ended, E>;
type Job<'a, E> =
    Box<dyn FnOnce(Run<'a>) -> Pin<Box<dyn Future<Output = Work<E>> + Send + 'a>> + Send + 'a>;

/// What a node leaves when it ended well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done<V> {
    /// What its dependents need of it.
    pub value: V,
    /// What is there now, for the event stream.
    pub note: String,
    /// Whether anything was written, started or stopped.
    pub changed: bool,
}

impl<V> Done<V> {
    /// Something was written, started or stopped.
    pub fn changed(note: impl Into<String>, value: V) -> Self {
        Self {
            value,
            note: note.into(),
            changed: true,
        }
    }

    /// Everything was there already.
    pub fn unchanged(note: impl Into<String>, value: V) -> Self {
        Self {
            value,
            note: note.into(),
            changed: false,
        }
    }
}

/// The end of a node without its value, which lies in its handle.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) note: String,
    pub(crate) changed: bool,
}

/// Leads to the result of one node. A node that names it among its dependencies always finds the value.
#[derive(Debug)]
pub struct Handle<V> {
    id: StepId,
    value: Arc<OnceLock<V>>,
}

impl<V> Handle<V> {
    /// The node's id.
    pub fn id(&self) -> &StepId {
        &self.id
    }

    /// The result, once the node ended well.
    pub fn get(&self) -> Option<&V> {
        self.value.get()
    }
}

impl<V> Clone for Handle<V> {
    fn clone(&self) -> Self {
        Self {
            id: self.id.clone(),
            value: Arc::clone(&self.value),
        }
    }
}

impl<V> From<&Handle<V>> for StepId {
    fn from(handle: &Handle<V>) -> Self {
        handle.id.clone()
    }
}

pub(crate) struct Node<'a, E> {
    pub(crate) id: StepId,
    pub(crate) title: String,
    pub(crate) after: Vec<StepId>,
    pub(crate) job: Job<'a, E>,
}

/// A job that is made of nodes. `E` is the error of all of them.
pub struct Graph<'a, E> {
    pub(crate) nodes: Vec<Node<'a, E>>,
    pub(crate) limit: Option<NonZeroUsize>,
    pub(crate) hint: fn(&E) -> Option<String>,
}

impl<E> fmt::Debug for Graph<'_, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Graph").field(&self.shape()).finish()
    }
}

impl<E> Default for Graph<'_, E> {
    fn default() -> Self {
        Self::new()
    }
}

impl<'a, E> Graph<'a, E> {
    /// A job without nodes, without a limit and without hints.
    pub fn new() -> Self {
        Self {
            nodes: Vec::new(),
            limit: None,
            hint: |_| None,
        }
    }

    /// Runs at most so many nodes side by side.
    #[must_use]
    pub fn limit(mut self, nodes: NonZeroUsize) -> Self {
        self.limit = Some(nodes);
        self
    }

    /// Where the events of failed nodes get their hints from.
    #[must_use]
    pub fn hints(mut self, hint: fn(&E) -> Option<String>) -> Self {
        self.hint = hint;
        self
    }

    /// Adds a node. It starts the moment the last node in `after` is done, which may be added before or after it.
    ///
    /// All nodes share the task that runs the graph: work that computes or blocks belongs into a thread of its own.
    pub fn add<V, W, F>(
        &mut self,
        id: impl Into<StepId>,
        title: impl Into<String>,
        after: impl IntoIterator<Item = impl Into<StepId>>,
        work: W,
    ) -> Handle<V>
    where
        V: Send + Sync + 'a,
        W: FnOnce(Run<'a>) -> F + Send + 'a,
        F: Future<Output = Result<Done<V>, E>> + Send + 'a,
    {
        let handle = Handle {
            id: id.into(),
            value: Arc::new(OnceLock::new()),
        };
        let slot = Arc::clone(&handle.value);
        self.nodes.push(Node {
            id: handle.id.clone(),
            title: title.into(),
            after: after.into_iter().map(Into::into).collect(),
            job: Box::new(move |run| {
                let work = work(run);
                Box::pin(async move {
                    let Done {
                        value,
                        note,
                        changed,
                    } = work.await?;
                    // A node runs once, so its slot is empty.
                    drop(slot.set(value));
                    Ok(Ended { note, changed })
                })
            }),
        });
        handle
    }

    /// The nodes and edges without the work, to be shown or checked.
    pub fn shape(&self) -> Shape {
        Shape {
            nodes: self.nodes.iter().map(shape_of).collect(),
        }
    }
}

fn shape_of<E>(node: &Node<'_, E>) -> ShapeNode {
    ShapeNode {
        id: node.id.clone(),
        title: node.title.clone(),
        after: node.after.clone(),
    }
}
