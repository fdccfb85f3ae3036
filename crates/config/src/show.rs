//! The merged configuration for `kedactl config show`: text or JSON, with or without origins.
//! Returns strings and values; prints nothing.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value as Json, json};

use crate::load::Loaded;
use crate::source::Origin;
use crate::tree::{Node, Value, join};
use crate::yaml::scalar_text;

impl Loaded {
    /// The result of all layers as YAML, in the order of `values/base.yaml`; with `origin`, each line ends with
    /// a comment that says who set it.
    pub fn to_text(&self, origin: bool) -> String {
        let json = &self.shown;
        let mut lines = Vec::new();
        block(&self.tree, json, 0, &mut lines);
        let width = lines
            .iter()
            .map(|line| line.text.chars().count())
            .filter(|width| *width <= 60);
        let width = width.max().unwrap_or(0);
        lines.iter().fold(String::new(), |mut out, line| {
            match (origin, &line.origin) {
                (true, Some(origin)) => writeln!(out, "{:<width$}  # {origin}", line.text),
                _ => writeln!(out, "{}", line.text),
            }
            .unwrap_or_default();
            out
        })
    }

    /// `{"config": …}`; with `origin`, also `"origins": {"api.port": {"layer", "file", "line", "column"}, …}`.
    pub fn to_json(&self, origin: bool) -> Json {
        let config = &self.shown;
        if origin {
            json!({"config": config, "origins": self.origins})
        } else {
            json!({"config": config})
        }
    }
}

/// The origin of every leaf, by dotted path.
pub(crate) fn origins(tree: &Node) -> BTreeMap<String, Origin> {
    let mut found = BTreeMap::new();
    collect(tree, "", &mut found);
    found
}

fn collect(node: &Node, path: &str, found: &mut BTreeMap<String, Origin>) {
    match &node.value {
        Value::Map(entries) if !entries.is_empty() => {
            for entry in entries {
                collect(&entry.node, &join(path, &entry.key), found);
            }
        }
        Value::List(items) if !items.is_empty() => {
            for (at, item) in items.iter().enumerate() {
                collect(item, &format!("{path}[{at}]"), found);
            }
        }
        _ => {
            found.insert(path.to_owned(), node.origin.clone());
        }
    }
}

struct Line {
    text: String,
    origin: Option<Origin>,
}

/// Writes a map or a list as lines. The order is the tree's, the values are the typed ones.
fn block(node: &Node, json: &Json, indent: usize, lines: &mut Vec<Line>) {
    match &node.value {
        Value::Map(entries) => {
            for entry in entries {
                let value = json.get(&entry.key).unwrap_or(&Json::Null);
                let key = scalar_text(&Json::from(entry.key.as_str()));
                child(
                    &format!("{:indent$}{key}:", ""),
                    &entry.node,
                    value,
                    indent + 2,
                    lines,
                );
            }
        }
        Value::List(items) => {
            for (at, item) in items.iter().enumerate() {
                let value = json.get(at).unwrap_or(&Json::Null);
                let from = lines.len();
                if composite(item) {
                    block(item, value, indent + 2, lines);
                } else {
                    child(&format!("{:indent$}-", ""), item, value, indent + 2, lines);
                }
                if let Some(first) = lines.get_mut(from) {
                    first.text.replace_range(indent..=indent, "-");
                }
            }
        }
        _ => {}
    }
}

fn child(head: &str, node: &Node, json: &Json, indent: usize, lines: &mut Vec<Line>) {
    if composite(node) {
        lines.push(Line {
            text: head.to_owned(),
            origin: None,
        });
        block(node, json, indent, lines);
        return;
    }
    let value = match (&node.value, json) {
        // Typed values leave out empty maps and lists.
        (Value::Map(_), _) => "{}".to_owned(),
        (Value::List(_), _) => "[]".to_owned(),
        (_, json) => scalar_text(json),
    };
    lines.push(Line {
        text: format!("{head} {value}"),
        origin: Some(node.origin.clone()),
    });
}

fn composite(node: &Node) -> bool {
    match &node.value {
        Value::Map(entries) => !entries.is_empty(),
        Value::List(items) => !items.is_empty(),
        _ => false,
    }
}
