//! Layers that come as JSON: values that the program itself decides, such as ports that it found free, and a configuration that
//! was put together before.
//! Takes JSON; reads no file.

use std::path::Path;
use std::sync::Arc;

use serde_json::Value as Json;

use crate::source::{Layer, Origin};
use crate::tree::{Entry, Kind, Node, Scalar, Value};

/// JSON as a tree whose origin is the provider.
pub(crate) fn tree(json: &Json) -> Node {
    let origin = Origin {
        layer: Layer::Provider,
        file: Arc::from("provider"),
        line: 0,
        column: 0,
    };
    node(json, &origin)
}

/// JSON as the lowest layer, of a file that has no lines.
pub(crate) fn whole(json: &Json, file: &Path) -> Node {
    let origin = Origin {
        layer: Layer::Base,
        file: file.display().to_string().into(),
        line: 0,
        column: 0,
    };
    node(json, &origin)
}

fn node(json: &Json, origin: &Origin) -> Node {
    let scalar = |kind, text| Value::Scalar(Scalar { text, kind });
    let value = match json {
        Json::Null => Value::Null,
        Json::Bool(value) => scalar(Kind::Bool(*value), value.to_string()),
        Json::Number(number) => scalar(kind(number), number.to_string()),
        Json::String(text) => scalar(Kind::Text, text.clone()),
        Json::Array(items) => Value::List(items.iter().map(|item| node(item, origin)).collect()),
        Json::Object(map) => {
            let entry = |(key, value): (&String, &Json)| Entry {
                key: key.clone(),
                origin: origin.clone(),
                node: node(value, origin),
            };
            Value::Map(map.iter().map(entry).collect())
        }
    };
    Node {
        value,
        origin: origin.clone(),
    }
}

fn kind(number: &serde_json::Number) -> Kind {
    let whole = number
        .as_i64()
        .map(i128::from)
        .or_else(|| number.as_u64().map(i128::from));
    whole.map_or_else(
        || Kind::Float(number.as_f64().unwrap_or(f64::NAN)),
        Kind::Int,
    )
}
