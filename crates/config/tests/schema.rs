//! The schema that is checked in is the one of the types, and says nothing that the checks cannot hold.
//! Writes nothing: where the file has drifted, the message shows the command.

use std::collections::BTreeSet;

use serde_json::Value as Json;

const FILE: &str = include_str!("../../../values/schema.json");

#[test]
fn the_checked_in_schema_is_current() {
    let current = serde_json::to_string_pretty(&kedactl_config::schema()).unwrap() + "\n";
    let command = "cargo run -q -p kedactl-config --example schema > values/schema.json";
    assert!(
        current == FILE,
        "values/schema.json has drifted; run `{command}`"
    );
}

/// Every keyword that the types bring in must be one that `check` knows, or a rule would silently not hold.
#[test]
fn every_keyword_is_known() {
    let known: BTreeSet<&str> = [
        "$schema",
        "$defs",
        "$ref",
        "title",
        "description",
        "properties",
        "required",
        "additionalProperties",
        "type",
        "format",
        "minimum",
        "maximum",
        "minItems",
        "maxItems",
        "minLength",
        "maxLength",
        "items",
        "anyOf",
        "oneOf",
        "enum",
        "const",
        "default",
        "x-keys",
        "x-items",
        "x-text",
    ]
    .into();
    let mut found = BTreeSet::new();
    keywords(&kedactl_config::schema(), false, &mut found);
    let unknown: Vec<_> = found
        .iter()
        .filter(|word| !known.contains(word.as_str()))
        .collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

fn keywords(schema: &Json, names: bool, found: &mut BTreeSet<String>) {
    match schema {
        Json::Object(map) => {
            for (key, value) in map {
                if !names {
                    found.insert(key.clone());
                }
                if names || key != "default" {
                    keywords(
                        value,
                        !names && matches!(key.as_str(), "properties" | "$defs"),
                        found,
                    );
                }
            }
        }
        Json::Array(items) => items.iter().for_each(|item| keywords(item, false, found)),
        _ => {}
    }
}
