//! Hashes that do not depend on the order of keys.
//! Must not be used where a secret could be guessed from its hash: the caller decides what goes in.

use std::fmt::Write as _;

use serde_json::Value as Json;
use sha2::{Digest as _, Sha256};

/// SHA-256 of the canonical form, 64 hex digits.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .fold(String::new(), |mut text, byte| {
            let _written = write!(text, "{byte:02x}");
            text
        })
}

/// Hash of a JSON value: keys sorted, absent and null alike; 16 hex digits.
pub(crate) fn of(value: &Json) -> String {
    let mut text = String::new();
    canonical(value, &mut text);
    let mut hash = sha256(text.as_bytes());
    hash.truncate(16);
    hash
}

fn canonical(value: &Json, out: &mut String) {
    match value {
        Json::Object(map) => {
            let mut keys: Vec<&String> = map
                .iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(key, _)| key)
                .collect();
            keys.sort();
            out.push('{');
            for key in keys {
                *out += &Json::from(key.as_str()).to_string();
                out.push(':');
                canonical(&map[key.as_str()], out);
                out.push(',');
            }
            out.push('}');
        }
        Json::Array(list) => {
            out.push('[');
            for item in list {
                canonical(item, out);
                out.push(',');
            }
            out.push(']');
        }
        other => *out += &other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn order_and_nulls_do_not_count_and_content_does() {
        let one = json!({"a": 1, "b": {"c": [1, 2], "d": null}});
        let two: Json = serde_json::from_str(r#"{"b":{"c":[1,2]},"a":1}"#).unwrap();
        assert_eq!(of(&one), of(&two));
        assert_ne!(of(&one), of(&json!({"a": 1, "b": {"c": [2, 1]}})));
        assert_eq!(of(&one).len(), 16);
    }
}
