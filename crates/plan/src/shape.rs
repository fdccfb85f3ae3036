//! The form of a graph: what depends on what, whether that can be run, and how it is shown.
//! Must not hold work: a shape is data.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::event::StepId;

/// Nodes and edges, in the order in which they were added.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Shape {
    /// The nodes.
    pub nodes: Vec<ShapeNode>,
}

/// One node and what it waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ShapeNode {
    /// Its id, unique in the graph.
    pub id: StepId,
    /// What a user would call it.
    pub title: String,
    /// Ids of the nodes that must be done before it starts.
    pub after: Vec<StepId>,
}

/// Why a graph cannot be run. Found before anything starts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GraphError {
    /// Two nodes have one id.
    #[error("node `{0}` exists twice")]
    Twice(StepId),
    /// A dependency is no node.
    #[error("node `{node}` waits for `{unknown}`, which does not exist")]
    Unknown {
        /// The node that waits.
        node: StepId,
        /// The id that no node has.
        unknown: StepId,
    },
    /// Nodes wait for each other.
    #[error("nodes wait for each other: {}", circle(.0))]
    Cycle(Vec<StepId>),
}

fn circle(nodes: &[StepId]) -> String {
    let names: Vec<String> = nodes
        .iter()
        .chain(nodes.first())
        .map(|id| format!("`{id}`"))
        .collect();
    names.join(" after ")
}

impl Shape {
    /// Whether every id is unique, every dependency exists and no node waits for itself.
    pub fn check(&self) -> Result<(), GraphError> {
        let mut known = BTreeSet::new();
        if let Some(node) = self.nodes.iter().find(|node| !known.insert(&node.id)) {
            return Err(GraphError::Twice(node.id.clone()));
        }
        for node in &self.nodes {
            if let Some(unknown) = node.after.iter().find(|id| !known.contains(id)) {
                return Err(GraphError::Unknown {
                    node: node.id.clone(),
                    unknown: unknown.clone(),
                });
            }
        }
        let order = self.order();
        if order.len() == self.nodes.len() {
            return Ok(());
        }
        Err(GraphError::Cycle(self.cycle(&order)))
    }

    /// The nodes so that each comes after what it waits for; those of a cycle and behind it are missing.
    fn order(&self) -> Vec<&ShapeNode> {
        let mut placed: BTreeSet<&StepId> = BTreeSet::new();
        let mut order = Vec::new();
        loop {
            let free = |node: &&ShapeNode| {
                !placed.contains(&node.id) && node.after.iter().all(|id| placed.contains(id))
            };
            let next: Vec<&ShapeNode> = self.nodes.iter().filter(free).collect();
            if next.is_empty() {
                return order;
            }
            placed.extend(next.iter().map(|node| &node.id));
            order.extend(next);
        }
    }

    /// One cycle among the nodes that cannot be ordered: from such a node on, follow what it waits for until one comes twice.
    fn cycle(&self, order: &[&ShapeNode]) -> Vec<StepId> {
        let ordered: BTreeSet<&StepId> = order.iter().map(|node| &node.id).collect();
        let waits: BTreeMap<&StepId, &StepId> = self
            .nodes
            .iter()
            .filter(|node| !ordered.contains(&node.id))
            .filter_map(|node| {
                let next = node.after.iter().find(|id| !ordered.contains(id))?;
                Some((&node.id, next))
            })
            .collect();
        let mut path: Vec<&StepId> = Vec::new();
        let mut at = waits.keys().next().copied();
        while let Some(id) = at {
            if let Some(first) = path.iter().position(|seen| *seen == id) {
                return path[first..].iter().map(|id| (*id).clone()).collect();
            }
            path.push(id);
            at = waits.get(id).copied();
        }
        path.into_iter().cloned().collect()
    }

    /// One line a node, each after what it waits for: id, title, dependencies.
    pub fn to_text(&self) -> String {
        let wide = |of: fn(&ShapeNode) -> usize| self.nodes.iter().map(of).max().unwrap_or(0);
        let (id, title) = (
            wide(|n| n.id.0.chars().count()),
            wide(|n| n.title.chars().count()),
        );
        let line = |node: &ShapeNode| {
            let after: Vec<&str> = node.after.iter().map(|id| id.0.as_str()).collect();
            let after = if after.is_empty() {
                "at once".to_owned()
            } else {
                format!("after {}", after.join(", "))
            };
            format!("{:<id$}  {:<title$}  {after}\n", node.id.0, node.title)
        };
        self.order().into_iter().map(line).collect()
    }

    /// The graph in Graphviz' language; an edge leads from a node to what may start when it is done.
    pub fn to_dot(&self) -> String {
        let mut text =
            String::from("digraph plan {\n  rankdir=LR;\n  node [shape=box, style=rounded];\n");
        for node in &self.nodes {
            text += &format!(
                "  {} [label={}];\n",
                quoted(&node.id.0),
                quoted(&node.title)
            );
        }
        for node in &self.nodes {
            for before in &node.after {
                text += &format!("  {} -> {};\n", quoted(&before.0), quoted(&node.id.0));
            }
        }
        text + "}\n"
    }
}

fn quoted(text: &str) -> String {
    let escaped = text
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n");
    format!("\"{escaped}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(nodes: &[(&str, &[&str])]) -> Shape {
        let node = |(id, after): &(&str, &[&str])| ShapeNode {
            id: (*id).into(),
            title: format!("the {id}"),
            after: after.iter().map(|id| (*id).into()).collect(),
        };
        Shape {
            nodes: nodes.iter().map(node).collect(),
        }
    }

    #[test]
    fn what_cannot_run_is_named() {
        let error = |nodes: &[(&str, &[&str])]| shape(nodes).check().unwrap_err().to_string();
        assert_eq!(error(&[("a", &[]), ("a", &[])]), "node `a` exists twice");
        assert_eq!(
            error(&[("a", &["b"])]),
            "node `a` waits for `b`, which does not exist"
        );
        assert_eq!(
            error(&[("a", &["a"])]),
            "nodes wait for each other: `a` after `a`"
        );
        assert_eq!(
            error(&[
                ("x", &[]),
                ("z", &["c"]),
                ("a", &["x", "c"]),
                ("b", &["a"]),
                ("c", &["b"])
            ]),
            "nodes wait for each other: `a` after `c` after `b` after `a`"
        );
    }

    #[test]
    fn a_graph_is_shown_as_text_and_as_dot() {
        let shape = shape(&[("tunnel", &["app", "api"]), ("app", &[]), ("api", &["app"])]);
        shape.check().unwrap();
        assert_eq!(
            shape.to_text(),
            "app     the app     at once\n\
             api     the api     after app\n\
             tunnel  the tunnel  after app, api\n"
        );
        let dot = shape.to_dot();
        assert!(dot.contains("  \"app\" -> \"api\";\n"), "{dot}");
        assert!(dot.contains("  \"api\" [label=\"the api\"];\n"), "{dot}");
        assert_eq!(quoted("a\"b\\"), "\"a\\\"b\\\\\"");
    }
}
