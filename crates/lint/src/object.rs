//! Files to objects: documents split, lists taken apart, each object with its file and line.
//! Checks nothing but that it is YAML and names a kind.

use std::sync::Arc;

use serde_json::Value as Json;

use crate::view::At;

/// Bytes of one file at most; the largest charts render to some five million.
pub const MAX_BYTES: u64 = 16 << 20;

/// Why a file cannot be checked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {message}")]
pub struct LintError {
    /// The file, as it was named.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// What is wrong there.
    pub message: String,
}

/// One Kubernetes object of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    pub(crate) file: Arc<str>,
    pub(crate) line: usize,
    pub(crate) json: Json,
}

/// Reads a file of any number of documents; `List`s are taken apart, empty documents left out.
///
/// # Errors
/// The first place that is not YAML, or not an object with `apiVersion` and `kind`.
pub fn parse(file: &str, text: &str) -> Result<Vec<Object>, LintError> {
    let name: Arc<str> = file.into();
    let mut objects = Vec::new();
    for (line, part) in documents(text) {
        let refuse = |line: usize, message: String| LintError {
            file: file.to_owned(),
            line,
            message,
        };
        let parsed = kedactl_config::documents(&part)
            .map_err(|(at, message)| refuse(line + at.max(1) - 1, message))?;
        let first = part.lines().position(is_content).unwrap_or(0);
        for json in parsed {
            let object = Object::new(name.clone(), line + first, json);
            take(object, &mut objects).map_err(|message| refuse(line + first, message))?;
        }
    }
    Ok(objects)
}

fn take(object: Object, objects: &mut Vec<Object>) -> Result<(), String> {
    if object.kind().is_empty() || object.api_version().is_empty() {
        return Err("this is no Kubernetes object: `apiVersion` or `kind` is missing".into());
    }
    let items = object.json.get("items").and_then(Json::as_array);
    match items {
        Some(items) if object.kind().ends_with("List") => {
            for item in items {
                let inner = Object::new(object.file.clone(), object.line, item.clone());
                take(inner, objects)?;
            }
        }
        _ => objects.push(object),
    }
    Ok(())
}

/// The documents of a text, each with the number of its first line. Blanks keep what follows a `---` in its column.
fn documents(text: &str) -> Vec<(usize, String)> {
    let mut parts = vec![(1, String::new())];
    for (at, line) in text.lines().enumerate() {
        let marker = line
            .strip_prefix("---")
            .filter(|rest| rest.is_empty() || rest.starts_with([' ', '\t']));
        let line = match marker {
            Some(rest) => {
                parts.push((at + 1, String::new()));
                format!("   {rest}")
            }
            None => line.to_owned(),
        };
        if let Some((_, part)) = parts.last_mut() {
            part.push_str(&line);
            part.push('\n');
        }
    }
    parts.retain(|(_, part)| part.lines().any(is_content));
    parts
}

/// Whether a line is more than blanks and a comment.
fn is_content(line: &str) -> bool {
    let line = line.trim();
    !line.is_empty() && !line.starts_with('#')
}

impl Object {
    /// An object from somewhere else than a file, such as the renderer; `file` is what findings show.
    pub fn new(file: Arc<str>, line: usize, json: Json) -> Self {
        Self { file, line, json }
    }

    /// The object itself.
    pub fn json(&self) -> &Json {
        &self.json
    }

    /// `kind`, empty where it is missing.
    pub fn kind(&self) -> &str {
        self.word("/kind")
    }

    /// `apiVersion`, empty where it is missing.
    pub fn api_version(&self) -> &str {
        self.word("/apiVersion")
    }

    /// `metadata.name`, empty where it is missing.
    pub fn name(&self) -> &str {
        self.word("/metadata/name")
    }

    /// `metadata.namespace`, empty where it is missing.
    pub fn namespace(&self) -> &str {
        self.word("/metadata/namespace")
    }

    fn word(&self, pointer: &str) -> &str {
        self.json
            .pointer(pointer)
            .and_then(Json::as_str)
            .unwrap_or_default()
    }

    /// Whether it is of this API group (empty: the core's) and kind.
    pub(crate) fn is(&self, group: &str, kind: &str) -> bool {
        let own = self
            .api_version()
            .split_once('/')
            .map_or("", |(group, _)| group);
        own == group && self.kind() == kind
    }

    /// Whether both may be in one namespace: charts leave it out where it is the release's.
    pub(crate) fn beside(&self, other: &Self) -> bool {
        let (one, two) = (self.namespace(), other.namespace());
        one == two || one.is_empty() || two.is_empty()
    }

    pub(crate) fn root(&self) -> At<'_> {
        At::root(&self.json)
    }
}
