//! `--set a.b=c`: one argument to one small tree.
//! The value is YAML for `--set`, text for `--set-string` and `--set-file`.

use std::path::Path;
use std::sync::Arc;

use crate::error::Problem;
use crate::load::{FileReader, SetArg};
use crate::source::{Layer, Origin};
use crate::tree::{Entry, Kind, Node, Scalar, Value};
use crate::yaml::{self, Limits};

/// Reads one argument into a tree with one branch.
pub(crate) fn tree(arg: &SetArg, files: &dyn FileReader) -> Result<Node, Problem> {
    let (flag, text) = match arg {
        SetArg::Value(text) => ("--set", text),
        SetArg::Text(text) => ("--set-string", text),
        SetArg::File(text) => ("--set-file", text),
    };
    let wrong = |message: String| refuse(flag, message);
    let (path, value) = text
        .split_once('=')
        .ok_or_else(|| wrong(format!("`{text}` has no `=`")))?;
    let keys = keys(path).ok_or_else(|| wrong(format!("`{path}` is not a path of keys")))?;
    let file = format!("{flag} {path}");
    let leaf = match arg {
        SetArg::Value(_) if value.is_empty() => text_node(String::new(), &file),
        SetArg::Value(_) => yaml::scalar(value, Layer::Set, &file)?,
        SetArg::Text(_) => text_node(value.to_owned(), &file),
        SetArg::File(_) => text_node(read(value, files).map_err(wrong)?, &file),
    };
    Ok(keys.into_iter().rev().fold(leaf, |node, key| {
        let origin = node.origin.clone();
        let entry = Entry {
            key,
            origin: origin.clone(),
            node,
        };
        Node {
            value: Value::Map(vec![entry]),
            origin,
        }
    }))
}

fn read(path: &str, files: &dyn FileReader) -> Result<String, String> {
    let bytes = files
        .read(Path::new(path), Limits::BYTES)
        .map_err(|error| format!("cannot read `{path}`: {error}"))?;
    if bytes.len() as u64 > Limits::BYTES {
        return Err(format!(
            "`{path}` is larger than {} KiB",
            Limits::BYTES / 1024
        ));
    }
    String::from_utf8(bytes).map_err(|_| format!("`{path}` is not UTF-8"))
}

/// Splits `a.b\.c` into `a` and `b.c`. `None` for an empty key or more keys than the depth limit.
fn keys(path: &str) -> Option<Vec<String>> {
    let mut keys = vec![String::new()];
    let mut chars = path.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => keys.last_mut()?.push(chars.next()?),
            '.' => keys.push(String::new()),
            c => keys.last_mut()?.push(c),
        }
    }
    (keys.iter().all(|key| !key.is_empty()) && keys.len() <= Limits::DEPTH).then_some(keys)
}

fn text_node(text: String, file: &str) -> Node {
    Node {
        value: Value::Scalar(Scalar {
            text,
            kind: Kind::Text,
        }),
        origin: origin(file),
    }
}

fn origin(file: &str) -> Origin {
    Origin {
        layer: Layer::Set,
        file: Arc::from(file),
        line: 0,
        column: 0,
    }
}

fn refuse(flag: &str, message: String) -> Problem {
    let hint = format!("write {flag} key.subkey=value; `\\.` for a dot inside a key");
    Problem {
        origin: Some(origin(flag)),
        path: String::new(),
        message,
        hint: Some(hint),
    }
}
