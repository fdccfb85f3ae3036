//! Values that are not ours, such as those of a chart: any YAML, kept as it is typed in the file.
//! Refuses only what JSON cannot carry; knows no schema.

use serde_json::{Map, Value as Json};

use crate::error::Problem;
use crate::tree::{Kind, Node, Scalar, Value, join};

/// A node as JSON. `null` stays: to helm it deletes what lies below.
pub(crate) fn json(node: &Node, path: &str, problems: &mut Vec<Problem>) -> Json {
    match &node.value {
        Value::Null => Json::Null,
        Value::Scalar(scalar) => {
            let json = self::scalar(scalar);
            json.unwrap_or_else(|| {
                problems.push(Problem {
                    origin: Some(node.origin.clone()),
                    path: path.to_owned(),
                    message: format!("{} cannot be handed on", node.value.found()),
                    hint: Some("write it in quotes, without the character U+0000".into()),
                });
                Json::Null
            })
        }
        Value::List(items) => {
            let item = |(at, item)| json(item, &format!("{path}[{at}]"), problems);
            items.iter().enumerate().map(item).collect()
        }
        Value::Map(entries) => {
            let mut map = Map::new();
            for entry in entries {
                let value = json(&entry.node, &join(path, &entry.key), problems);
                map.insert(entry.key.clone(), value);
            }
            Json::Object(map)
        }
    }
}

fn scalar(scalar: &Scalar) -> Option<Json> {
    match scalar.kind {
        Kind::Text if scalar.text.contains('\0') => None,
        Kind::Text => Some(Json::from(scalar.text.as_str())),
        Kind::Bool(value) => Some(Json::from(value)),
        Kind::Int(value) => i64::try_from(value)
            .map(Json::from)
            .or_else(|_| u64::try_from(value).map(Json::from))
            .ok(),
        Kind::Float(value) => serde_json::Number::from_f64(value).map(Json::Number),
    }
}
