//! A configuration file as a tree in which every node knows its place.
//! Untyped: what a value must be is decided in `check`.

use crate::source::Origin;

/// One value and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    pub(crate) value: Value,
    pub(crate) origin: Origin,
}

/// What a node holds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Null,
    Scalar(Scalar),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A key and its value; keys of one map differ.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) origin: Origin,
    pub(crate) node: Node,
}

/// A scalar as it was spelt and as YAML reads it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Scalar {
    /// The text of the file, without quotes; `1.10` stays `1.10`.
    pub(crate) text: String,
    pub(crate) kind: Kind,
}

/// How YAML reads a scalar.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    Text,
    Bool(bool),
    Int(i128),
    Float(f64),
}

impl Node {
    /// The node at a path of keys.
    pub(crate) fn at(&self, path: &[&str]) -> Option<&Self> {
        let Some((key, rest)) = path.split_first() else {
            return Some(self);
        };
        let Value::Map(entries) = &self.value else {
            return None;
        };
        let entry = entries.iter().find(|entry| entry.key == *key)?;
        entry.node.at(rest)
    }

    /// The same, to change it.
    pub(crate) fn at_mut(&mut self, path: &[&str]) -> Option<&mut Self> {
        let Some((key, rest)) = path.split_first() else {
            return Some(self);
        };
        let Value::Map(entries) = &mut self.value else {
            return None;
        };
        let entry = entries.iter_mut().find(|entry| entry.key == *key)?;
        entry.node.at_mut(rest)
    }

    /// Whether it is this word.
    pub(crate) fn is_text(&self, word: &str) -> bool {
        matches!(&self.value, Value::Scalar(scalar) if scalar.text == word)
    }
}

impl Value {
    /// Names what was found, for messages: "the number `12`".
    pub(crate) fn found(&self) -> String {
        match self {
            Self::Null => "nothing".into(),
            Self::List(_) => "a list".into(),
            Self::Map(_) => "a map".into(),
            Self::Scalar(scalar) => scalar.found(),
        }
    }
}

impl Scalar {
    fn found(&self) -> String {
        let shown: String = self.text.chars().take(80).collect();
        let cut = if shown.len() < self.text.len() {
            "…"
        } else {
            ""
        };
        match self.kind {
            Kind::Text => format!("the text `{}{cut}`", shown.escape_debug()),
            Kind::Bool(_) => format!("the boolean `{shown}`"),
            Kind::Int(_) | Kind::Float(_) => format!("the number `{shown}{cut}`"),
        }
    }
}

/// Joins a key to a dotted path; a key that holds a dot is quoted.
pub(crate) fn join(path: &str, key: &str) -> String {
    let key = if key.is_empty() || key.contains(['.', '[', '"', '=', ' ']) {
        format!("{key:?}")
    } else {
        key.to_owned()
    };
    if path.is_empty() {
        key
    } else {
        format!("{path}.{key}")
    }
}
