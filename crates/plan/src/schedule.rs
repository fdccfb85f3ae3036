//! Runs a graph: each node the moment its own dependencies are done, independent ones side by side.
//! Must not start a node twice, nor one whose dependency is not done.

use std::collections::BTreeSet;
use std::error::Error;
use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;

use crate::event::{Kind, StepId};
use crate::graph::{Ended, Graph, Node};
use crate::report::{Outcome, Report};
use crate::run::{Control, Inner, Run};
use crate::shape::{GraphError, Shape};
use crate::sink::{Sink, Step, say};

/// Which nodes may start, from which are done. Knows nodes by their place in the graph.
struct Order {
    /// How many dependencies of each node are not done yet.
    missing: Vec<usize>,
    /// Who waits for each node.
    dependents: Vec<Vec<usize>>,
    ready: BTreeSet<usize>,
}

impl Order {
    fn of(shape: &Shape) -> Self {
        let place = |id: &StepId| shape.nodes.iter().position(|node| node.id == *id);
        let mut dependents = vec![Vec::new(); shape.nodes.len()];
        let mut missing = Vec::new();
        for (at, node) in shape.nodes.iter().enumerate() {
            // A dependency that is named twice counts once.
            let before: BTreeSet<usize> = node.after.iter().filter_map(place).collect();
            missing.push(before.len());
            for other in before {
                dependents[other].push(at);
            }
        }
        let ready = (0..missing.len()).filter(|at| missing[*at] == 0).collect();
        Self {
            missing,
            dependents,
            ready,
        }
    }

    fn done(&mut self, at: usize) {
        for next in &self.dependents[at] {
            self.missing[*next] -= 1;
            if self.missing[*next] == 0 {
                self.ready.insert(*next);
            }
        }
    }

    /// Every node that waits for this one, directly or through others, in the order of the graph.
    fn behind(&self, at: usize) -> BTreeSet<usize> {
        let mut found = BTreeSet::new();
        let mut look = vec![at];
        while let Some(at) = look.pop() {
            let new = self.dependents[at]
                .iter()
                .filter(|next| found.insert(**next));
            look.extend(new.copied().collect::<Vec<_>>());
        }
        found
    }
}

impl<'a, E: Error> Graph<'a, E> {
    /// Runs every node that can be run. A node's failure skips what depends on it, and nothing else.
    ///
    /// Returns when nothing runs any more, or at once after [`Control::abort`]; dropping the future drops the running nodes.
    pub async fn run(self, sink: &'a dyn Sink, control: &Control) -> Result<Report<E>, GraphError> {
        let shape = self.shape();
        shape.check()?;
        let limit = self.limit.map_or(usize::MAX, Into::into);
        let mut state = State {
            order: Order::of(&shape),
            outcomes: shape.nodes.iter().map(|_| None).collect(),
            shape,
            sink,
            hint: self.hint,
        };
        let mut nodes: Vec<Option<Node<'a, E>>> = self.nodes.into_iter().map(Some).collect();
        let mut running = FuturesUnordered::new();
        let mut steps: Vec<Option<Arc<Step<'a>>>> = nodes.iter().map(|_| None).collect();
        loop {
            while !control.stop.is_cancelled()
                && running.len() < limit
                && let Some(at) = state.order.ready.pop_first()
            {
                if let Some(node) = nodes[at].take() {
                    let run = begin(&node, sink, control);
                    steps[at] = Some(Arc::clone(&run.step));
                    let work = (node.job)(run);
                    running.push(async move { (at, work.await) });
                }
            }
            tokio::select! {
                biased;
                () = control.abort.cancelled() => break,
                ended = running.next() => match ended {
                    Some((at, result)) => state.settle(at, steps[at].take().as_deref(), result),
                    None => break,
                },
            }
        }
        drop(running);
        Ok(state.report(&steps))
    }
}

fn begin<'a, E>(node: &Node<'a, E>, sink: &'a dyn Sink, control: &Control) -> Run<'a> {
    Run {
        step: Arc::new(Step::start(sink, node.id.clone(), node.title.clone())),
        stop: control.stop.clone(),
        inner: Arc::new(Inner {
            sink,
            id: node.id.clone(),
        }),
    }
}

struct State<'a, E> {
    shape: Shape,
    order: Order,
    outcomes: Vec<Option<Outcome<E>>>,
    sink: &'a dyn Sink,
    hint: fn(&E) -> Option<String>,
}

impl<E: Error> State<'_, E> {
    fn settle(&mut self, at: usize, step: Option<&Step<'_>>, result: Result<Ended, E>) {
        match result {
            Ok(Ended { note, changed }) => {
                if let Some(step) = step {
                    step.say(Kind::Done { note, changed });
                }
                self.outcomes[at] = Some(Outcome::Done { changed });
                self.order.done(at);
            }
            Err(error) => {
                if let Some(step) = step {
                    step.say_failed(&error, (self.hint)(&error));
                }
                self.outcomes[at] = Some(Outcome::Failed(error));
                self.skip_behind(at);
            }
        }
    }

    fn skip_behind(&mut self, failed: usize) {
        let because = self.shape.nodes[failed].id.clone();
        for at in self.order.behind(failed) {
            if self.outcomes[at].is_none() {
                self.skip(at, format!("`{because}` failed"));
                self.outcomes[at] = Some(Outcome::Skipped {
                    because: because.clone(),
                });
            }
        }
    }

    fn skip(&self, at: usize, reason: String) {
        let node = &self.shape.nodes[at];
        let title = node.title.clone();
        say(self.sink, &node.id, Kind::Skipped { title, reason });
    }

    /// Names what did not come to an end: nodes that were dropped while they ran, and nodes that never started.
    fn report(mut self, running: &[Option<Arc<Step<'_>>>]) -> Report<E> {
        for (at, step) in running.iter().enumerate() {
            if self.outcomes[at].is_some() {
                continue;
            }
            self.outcomes[at] = Some(if let Some(step) = step {
                step.say(Kind::Failed {
                    error: "broken off".to_owned(),
                    hint: None,
                });
                Outcome::Aborted
            } else {
                self.skip(at, "the job was stopped before".to_owned());
                Outcome::NotStarted
            });
        }
        let ids = self.shape.nodes.into_iter().map(|node| node.id);
        Report {
            nodes: ids.zip(self.outcomes.into_iter().flatten()).collect(),
        }
    }
}
