//! YAML text to trees with places, under limits.
//! Never reads a file and never guesses: `yes`, `012` and `1_000` are text here, as they are written.

use std::fmt;
use std::sync::Arc;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_yaml::{Error, Options, Spanned};

use crate::error::Problem;
use crate::source::{Layer, Origin};
use crate::tree::{Entry, Kind, Node, Scalar, Value};

/// Limits of every YAML text that kedactl reads.
#[derive(Debug)]
pub struct Limits;

impl Limits {
    /// Bytes of one file.
    pub const BYTES: u64 = 1 << 20;
    /// Maps and lists inside each other.
    pub const DEPTH: usize = 64;
    /// Nodes that aliases may add, over the whole file.
    pub const ALIASED: usize = 100_000;
}

const LIMITED: &str = "the file is nested too deep, or repeats itself too often";
const LIMITS_HINT: &str = "limits: 1 MiB a file, depth 64, 1000 anchors and aliases";

/// Parses one file into a tree. An empty file is an empty map.
pub(crate) fn parse(text: &str, layer: Layer, file: &str) -> Result<Node, Problem> {
    let mut node = value(text, layer, file)?;
    if node.value == Value::Null {
        node.value = Value::Map(Vec::new());
    }
    Ok(node)
}

/// Parses the value of a `--set` as YAML; it may be a list or a map in flow style. Its places have no lines.
pub(crate) fn scalar(text: &str, layer: Layer, file: &str) -> Result<Node, Problem> {
    let mut node = value(text, layer, file)?;
    forget_lines(&mut node);
    Ok(node)
}

fn value(text: &str, layer: Layer, file: &str) -> Result<Node, Problem> {
    let place = Place {
        layer,
        file: Arc::from(file),
        text,
    };
    if text.len() as u64 > Limits::BYTES {
        let message = format!("the file is larger than {} KiB", Limits::BYTES / 1024);
        return Err(place.problem(0, 0, message, None));
    }
    match serde_yaml::from_str_with_options::<Parsed>(text, options()) {
        Ok(parsed) => place.node(parsed),
        Err(error) => Err(place.refused(&error)),
    }
}

/// Parses a text of several documents into JSON values, for rendered manifests; empty documents are left out.
///
/// # Errors
/// The line (from 1, of this text) and what is wrong with it.
pub fn documents(text: &str) -> Result<Vec<serde_json::Value>, (usize, String)> {
    let place = Place {
        layer: Layer::File,
        file: Arc::from(""),
        text,
    };
    serde_yaml::from_multiple_with_options::<Option<serde_json::Value>>(text, options())
        .map(|all| all.into_iter().flatten().collect())
        .map_err(|error| {
            let problem = place.refused(&error);
            (
                problem.origin.map_or(0, |origin| origin.line as usize),
                problem.message,
            )
        })
}

fn options() -> Options {
    serde_yaml::options! {
        budget: serde_yaml::budget! {
            max_depth: Limits::DEPTH,
            max_aliases: 1000,
            max_anchors: 1000,
            max_nodes: 500_000,
            max_documents: 1000,
        },
        alias_limits: serde_yaml::alias_limits! {
            max_total_replayed_events: Limits::ALIASED,
            max_replay_stack_depth: 16,
        },
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
    }
}

/// A node as the library hands it over.
struct Parsed(Spanned<Tree>);

enum Tree {
    Null,
    Scalar(Kind, String),
    List(Vec<Parsed>),
    Map(Vec<(Parsed, Parsed)>),
}

impl<'de> Deserialize<'de> for Parsed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Spanned::deserialize(deserializer).map(Self)
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TreeVisitor)
    }
}

struct TreeVisitor;

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }
    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Null)
    }
    fn visit_none<E>(self) -> Result<Tree, E> {
        Ok(Tree::Null)
    }
    fn visit_bool<E>(self, value: bool) -> Result<Tree, E> {
        Ok(Tree::Scalar(Kind::Bool(value), value.to_string()))
    }
    fn visit_i64<E>(self, value: i64) -> Result<Tree, E> {
        Ok(Tree::Scalar(Kind::Int(value.into()), value.to_string()))
    }
    fn visit_u64<E>(self, value: u64) -> Result<Tree, E> {
        Ok(Tree::Scalar(Kind::Int(value.into()), value.to_string()))
    }
    fn visit_i128<E>(self, value: i128) -> Result<Tree, E> {
        Ok(Tree::Scalar(Kind::Int(value), value.to_string()))
    }
    fn visit_u128<E>(self, value: u128) -> Result<Tree, E> {
        let kind = i128::try_from(value).map_or(Kind::Float(value as f64), Kind::Int);
        Ok(Tree::Scalar(kind, value.to_string()))
    }
    fn visit_f64<E>(self, value: f64) -> Result<Tree, E> {
        Ok(Tree::Scalar(Kind::Float(value), value.to_string()))
    }
    fn visit_str<E>(self, value: &str) -> Result<Tree, E> {
        Ok(Tree::Scalar(Kind::Text, value.to_owned()))
    }
    fn visit_bytes<E: serde::de::Error>(self, _: &[u8]) -> Result<Tree, E> {
        Err(E::custom("binary values are not accepted"))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Tree, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Tree::List(list))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Tree, A::Error> {
        let mut map = Vec::new();
        while let Some(key) = entries.next_key::<Parsed>()? {
            map.push((key, entries.next_value()?));
        }
        Ok(Tree::Map(map))
    }
}

/// The file that is being read.
struct Place<'a> {
    layer: Layer,
    file: Arc<str>,
    text: &'a str,
}

impl Place<'_> {
    fn node(&self, parsed: Parsed) -> Result<Node, Problem> {
        let spelt = self.spelt(&parsed.0);
        let origin = self.origin(parsed.0.defined.line(), parsed.0.defined.column());
        let value = match parsed.0.value {
            Tree::Null => Value::Null,
            Tree::Scalar(Kind::Text, text) => Value::Scalar(Scalar {
                text,
                kind: Kind::Text,
            }),
            Tree::Scalar(kind, text) => Value::Scalar(Scalar {
                text: spelt.unwrap_or(text),
                kind,
            }),
            Tree::List(items) => Value::List(self.nodes(items)?),
            Tree::Map(entries) => Value::Map(self.entries(entries)?),
        };
        Ok(Node { value, origin })
    }

    fn nodes(&self, items: Vec<Parsed>) -> Result<Vec<Node>, Problem> {
        items.into_iter().map(|item| self.node(item)).collect()
    }

    fn entries(&self, entries: Vec<(Parsed, Parsed)>) -> Result<Vec<Entry>, Problem> {
        let mut seen = std::collections::HashSet::new();
        let mut map = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            let spelt = self.spelt(&key.0);
            let node = self.node(key)?;
            let key = match node.value {
                Value::Scalar(scalar) => scalar.text,
                Value::List(_) | Value::Map(_) => {
                    let (line, column) = (node.origin.line, node.origin.column);
                    let message = "a key must be one word, not a list or a map".into();
                    return Err(self.problem(line, column, message, None));
                }
                Value::Null => spelt.unwrap_or_else(|| "null".into()),
            };
            // `1` and `0x1` differ for the library's own check only by number; here keys are text.
            if !seen.insert(key.clone()) {
                let message = format!("the key `{key}` is given twice");
                return Err(self.problem(node.origin.line, node.origin.column, message, None));
            }
            map.push(Entry {
                key,
                origin: node.origin,
                node: self.node(value)?,
            });
        }
        Ok(map)
    }

    /// The text of a plain scalar as it stands in the file.
    fn spelt(&self, spanned: &Spanned<Tree>) -> Option<String> {
        let span = spanned.defined.span();
        let start = usize::try_from(span.byte_offset()?).ok()?;
        let end = start.checked_add(usize::try_from(span.byte_len()?).ok()?)?;
        let text = self.text.get(start..end)?.trim();
        (!text.is_empty()).then(|| text.to_owned())
    }

    fn origin(&self, line: u64, column: u64) -> Origin {
        let (line, column) = (line.try_into().unwrap_or(0), column.try_into().unwrap_or(0));
        Origin {
            layer: self.layer,
            file: self.file.clone(),
            line,
            column,
        }
    }

    fn problem(&self, line: u32, column: u32, message: String, hint: Option<&str>) -> Problem {
        Problem {
            origin: Some(self.origin(line.into(), column.into())),
            path: String::new(),
            message,
            hint: hint.map(str::to_owned),
        }
    }

    fn refused(&self, error: &Error) -> Problem {
        let (line, column) = error
            .location()
            .map_or((0, 0), |at| (at.line(), at.column()));
        let (message, hint) = match error.without_snippet() {
            Error::DuplicateMappingKey { key: Some(key), .. } => {
                (format!("the key `{key}` is given twice"), None)
            }
            Error::MultipleDocuments { .. } => {
                ("the file holds more than one YAML document".into(), None)
            }
            Error::Budget { .. }
            | Error::AliasReplayLimitExceeded { .. }
            | Error::AliasReplayStackDepthExceeded { .. }
            | Error::AliasExpansionLimitExceeded { .. } => (LIMITED.into(), Some(LIMITS_HINT)),
            other => match without_place(&other.to_string()) {
                limit if limit.contains("limit exceeded") => (LIMITED.into(), Some(LIMITS_HINT)),
                message => (message, None),
            },
        };
        self.problem(
            line.try_into().unwrap_or(0),
            column.try_into().unwrap_or(0),
            message,
            hint,
        )
    }
}

/// The library ends its messages with the place, which stands in front of ours already.
fn without_place(message: &str) -> String {
    let cut = message.rfind(" at line ").unwrap_or(message.len());
    message[..cut].replace('\n', " ")
}

fn forget_lines(node: &mut Node) {
    (node.origin.line, node.origin.column) = (0, 0);
    match &mut node.value {
        Value::Null | Value::Scalar(_) => {}
        Value::List(items) => items.iter_mut().for_each(forget_lines),
        Value::Map(entries) => {
            for entry in entries {
                (entry.origin.line, entry.origin.column) = (0, 0);
                forget_lines(&mut entry.node);
            }
        }
    }
}
