//! The published schema of an event against events as they are written.
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests fail the test they help"
)]

use kedactl_plan::{Event, Kind, schema};
use serde_json::{Value, json};

/// Whether a value fits a schema, as far as the schema of an event goes: types, properties, constants, choices, references.
fn fits(value: &Value, schema: &Value, root: &Value) -> bool {
    if let Some(reference) = schema["$ref"].as_str() {
        let target = root.pointer(reference.trim_start_matches('#')).unwrap();
        return fits(value, target, root);
    }
    let has_type = |name: &str| match name {
        "object" => value.is_object(),
        "string" => value.is_string(),
        "integer" => value.is_u64() || value.is_i64(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        other => panic!("type {other} is not expected in an event"),
    };
    let types = match &schema["type"] {
        Value::String(name) => has_type(name),
        Value::Array(names) => names.iter().any(|name| has_type(name.as_str().unwrap())),
        _ => true,
    };
    let constant = schema.get("const").is_none_or(|constant| constant == value);
    let choices = schema["oneOf"].as_array().is_none_or(|choices| {
        choices
            .iter()
            .filter(|choice| fits(value, choice, root))
            .count()
            == 1
    });
    let required = schema["required"].as_array().is_none_or(|names| {
        names
            .iter()
            .all(|name| value.get(name.as_str().unwrap()).is_some())
    });
    let properties = schema["properties"].as_object().is_none_or(|properties| {
        properties.iter().all(|(name, schema)| {
            value
                .get(name)
                .is_none_or(|value| fits(value, schema, root))
        })
    });
    types && constant && choices && required && properties
}

#[test]
fn every_kind_of_event_fits_the_schema_and_others_do_not() {
    let schema = schema();
    let text = || "text".to_owned();
    let kinds = [
        Kind::Started { title: text() },
        Kind::Progress {
            done: 1,
            total: None,
            note: text(),
        },
        Kind::Progress {
            done: 1,
            total: Some(2),
            note: text(),
        },
        Kind::Waiting { what: text() },
        Kind::Done {
            note: text(),
            changed: true,
        },
        Kind::Failed {
            error: text(),
            hint: None,
        },
        Kind::Failed {
            error: text(),
            hint: Some(text()),
        },
        Kind::Skipped {
            title: text(),
            reason: text(),
        },
    ];
    for kind in kinds {
        let step = "redis".into();
        let event = serde_json::to_value(Event { at: 1, step, kind }).unwrap();
        assert!(fits(&event, &schema, &schema), "{event}\n{schema:#}");
    }
    let wrong = [
        json!({"at": 1, "step": "redis"}),
        json!({"at": 1, "step": "redis", "event": "paused", "note": "x"}),
        json!({"at": "now", "step": "redis", "event": "waiting", "for": "x"}),
        json!({"at": 1, "step": "redis", "event": "done", "note": "x"}),
        json!({"at": 1, "event": "waiting", "for": "x"}),
    ];
    for event in wrong {
        assert!(!fits(&event, &schema, &schema), "{event}\n{schema:#}");
    }
}
