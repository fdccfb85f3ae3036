//! Field paths as the API server writes them: `.spec.containers[name="api"].image`.
//! Must not guess: a path that leads nowhere has no value.

use serde_json::Value as Json;

/// The value at a path. Names are not quoted in paths and may contain dots, so the object decides where a name ends.
pub(crate) fn lookup<'a>(value: &'a Json, path: &str) -> Option<&'a Json> {
    if path.is_empty() {
        return Some(value);
    }
    if let Some(rest) = path.strip_prefix('[') {
        let (selector, rest) = selector(rest)?;
        return lookup(item(value.as_array()?, selector)?, rest);
    }
    let rest = path.strip_prefix('.')?;
    let map = value.as_object()?;
    map.iter().find_map(|(key, inner)| {
        let after = rest.strip_prefix(key.as_str())?;
        let ends = after.is_empty() || after.starts_with(['.', '[']);
        if ends { lookup(inner, after) } else { None }
    })
}

/// Splits after the bracket that closes the selector; brackets inside of quotes do not count.
fn selector(text: &str) -> Option<(&str, &str)> {
    let mut quoted = false;
    let mut escaped = false;
    for (at, letter) in text.char_indices() {
        match letter {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            ']' if !quoted => return Some((&text[..at], &text[at + 1..])),
            _ => {}
        }
    }
    None
}

/// `0`, `="x"`, or `name="api",port=80`.
fn item<'a>(list: &'a [Json], selector: &str) -> Option<&'a Json> {
    if let Ok(index) = selector.parse::<usize>() {
        return list.get(index);
    }
    if let Some(value) = selector.strip_prefix('=') {
        let value: Json = serde_json::from_str(value).ok()?;
        return list.iter().find(|it| **it == value);
    }
    let keys: Vec<(&str, Json)> = split(selector)
        .into_iter()
        .map(|pair| {
            let (key, value) = pair.split_once('=')?;
            Some((key, serde_json::from_str(value).ok()?))
        })
        .collect::<Option<_>>()?;
    list.iter()
        .find(|it| keys.iter().all(|(key, value)| it.get(*key) == Some(value)))
}

/// Splits at commas outside of quotes.
fn split(text: &str) -> Vec<&str> {
    let mut quoted = false;
    text.split(|letter| {
        quoted ^= letter == '"';
        letter == ',' && !quoted
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn paths_lead_through_maps_keyed_lists_and_dotted_names() {
        let object = json!({
            "metadata": {"annotations": {"example.org/a.b": "x", "example.org/a": "y"}, "finalizers": ["f/1", "f/2"]},
            "spec": {"containers": [{"name": "a", "image": "1"}, {"name": "b]\"", "image": "2"}],
                "ports": [{"port": 80, "protocol": "TCP", "nodePort": 1}, {"port": 80, "protocol": "UDP", "nodePort": 2}],
                "args": ["x", "y"]}});
        let all = [
            (".metadata.annotations.example.org/a.b", json!("x")),
            (".metadata.annotations.example.org/a", json!("y")),
            (".metadata.finalizers[=\"f/2\"]", json!("f/2")),
            (".spec.containers[name=\"a\"].image", json!("1")),
            (".spec.containers[name=\"b]\\\"\"].image", json!("2")),
            (".spec.ports[port=80,protocol=\"UDP\"].nodePort", json!(2)),
            (".spec.args[1]", json!("y")),
        ];
        for (path, expected) in all {
            assert_eq!(lookup(&object, path), Some(&expected), "{path}");
        }
        for nowhere in [
            ".spec.nothing",
            ".spec.args[7]",
            ".spec.containers[name=\"z\"]",
            "spec",
            ".spec.args[",
            ".sp",
        ] {
            assert_eq!(lookup(&object, nowhere), None, "{nowhere}");
        }
    }
}
