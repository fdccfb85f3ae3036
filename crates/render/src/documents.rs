//! Rendered text to typed objects: split, parse, dispatch on `apiVersion` and `kind`.
//! Refuses every kind and every field that it does not know.

use kedactl_config::{documents, nearest};
use serde::de::DeserializeOwned;
use serde_json::Value as Json;

use crate::error::Place;
use crate::object::{KINDS, Rendered};
use crate::{RenderError, strict};

/// All objects of one rendered template.
pub(crate) fn objects(template: &str, text: &str) -> Result<Vec<Rendered>, RenderError> {
    let mut objects = Vec::new();
    for (first, part) in split(text) {
        let parsed = documents(&part).map_err(|(line, message)| {
            let shown = part
                .lines()
                .nth(line.saturating_sub(1))
                .unwrap_or_default()
                .trim();
            let shown = shown.chars().take(80).collect();
            RenderError::new(
                template,
                Place::Output(first + line.max(1) - 1, shown),
                message,
            )
        })?;
        for document in parsed {
            objects.push(object(template, &document)?);
        }
    }
    Ok(objects)
}

/// The documents of a text, each with the number of its first line.
fn split(text: &str) -> Vec<(usize, String)> {
    let mut parts = vec![(1, String::new())];
    for (at, line) in text.lines().enumerate() {
        if line.trim_end() == "---" {
            parts.push((at + 2, String::new()));
        } else if let Some((_, part)) = parts.last_mut() {
            part.push_str(line);
            part.push('\n');
        }
    }
    parts
}

fn object(template: &str, document: &Json) -> Result<Rendered, RenderError> {
    let text = |key: &str| document.get(key).and_then(Json::as_str).unwrap_or_default();
    let (version, kind) = (text("apiVersion"), text("kind"));
    let name = document
        .pointer("/metadata/name")
        .and_then(Json::as_str)
        .unwrap_or_default();
    let shown = format!(
        "{} `{name}`",
        if kind.is_empty() { "an object" } else { kind }
    );
    let refuse = |path: &str, message: String| {
        RenderError::new(
            template,
            Place::Field(shown.clone(), path.to_owned()),
            message,
        )
    };
    if name.is_empty() {
        return Err(refuse("metadata.name", "a name is needed".into()));
    }
    let Some((_, _, parse)) = KINDS.iter().find(|(v, k, _)| (*v, *k) == (version, kind)) else {
        return Err(unknown_kind(version, kind, refuse));
    };
    let object = parse(document).map_err(|refusal| {
        let error = refuse(&refusal.path, refusal.message);
        if refusal.known.is_empty() {
            return error;
        }
        error.hint(format!("fields here: {}", refusal.known.join(", ")))
    })?;
    let yaml = object.yaml().map_err(|message| refuse("", message))?;
    Ok(Rendered {
        object,
        yaml,
        template: template.to_owned(),
    })
}

fn unknown_kind(
    version: &str,
    kind: &str,
    refuse: impl Fn(&str, String) -> RenderError,
) -> RenderError {
    let known = KINDS.iter().map(|(_, kind, _)| *kind);
    if let Some((right, _, _)) = KINDS.iter().find(|(_, known, _)| *known == kind) {
        return refuse(
            "apiVersion",
            format!("expected `{right}`, found `{version}`"),
        );
    }
    let near = nearest(kind, known.clone());
    let meant = near
        .map(|near| format!(", did you mean `{near}`?"))
        .unwrap_or_default();
    refuse("kind", format!("unknown kind `{kind}`{meant}"))
        .hint(format!("kinds: {}", known.collect::<Vec<_>>().join(", ")))
}

/// Reads one document as a type, refusing unknown fields.
pub(crate) fn typed<T: DeserializeOwned>(document: &Json) -> Result<T, strict::Refusal> {
    strict::from_value(document)
}
