//! Whatever stands in a file, the answer is a configuration or problems with their places; never a panic.
//! Values are not judged here, only that each problem can be found.

use std::io;
use std::path::Path;

use kedactl_config::{ConfigError, Loaded, Request, load, schema, to_yaml};
use proptest::prelude::*;
use serde_json::{Map, Value as Json, json};

const BASE: &str = include_str!("../../../values/base.yaml");

fn project(text: &str) -> Result<Loaded, ConfigError> {
    let bytes = text.as_bytes().to_vec();
    let files = move |path: &Path, _: u64| -> io::Result<Vec<u8>> {
        if path.ends_with("kedactl.yaml") {
            Ok(bytes.clone())
        } else {
            Err(io::ErrorKind::NotFound.into())
        }
    };
    load(
        &Request {
            env: "local".into(),
            project: Some("p".into()),
            ..Request::default()
        },
        &files,
    )
}

/// Every problem has a place, and every configuration survives the way to JSON and back.
fn judge(result: Result<Loaded, ConfigError>) -> Result<(), TestCaseError> {
    match result {
        Ok(loaded) => {
            let json = serde_json::to_value(&loaded.config).expect("it is JSON");
            prop_assert_eq!(
                serde_json::from_value::<kedactl_config::Config>(json).expect("it is read back"),
                loaded.config.clone()
            );
            let shown = loaded.to_text(false);
            prop_assert_eq!(
                project(&shown)
                    .expect("what is shown is a configuration")
                    .config,
                loaded.config,
                "{}",
                shown
            );
        }
        Err(error) => {
            prop_assert!(!error.problems.is_empty());
            for problem in &error.problems {
                prop_assert!(problem.origin.is_some(), "{problem}");
            }
        }
    }
    Ok(())
}

fn scalar() -> impl Strategy<Value = Json> {
    prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        (-2i64..70_000).prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<f64>()
            .prop_filter("finite", |value| value.is_finite())
            .prop_map(Json::from),
        prop::sample::select(vec![
            "100m", "1Gi", "one", "Max", "a:1", "x", "", "yes", "static", "list"
        ])
        .prop_map(Json::from),
        any::<String>().prop_map(Json::from),
        Just(json!([])),
        Just(json!({})),
        Just(json!([{"type": "Pods", "value": 1, "periodSeconds": 1}])),
        Just(json!(["a", 1])),
    ]
}

/// Paths of every key that the schema knows.
fn paths(node: &Json, path: &[String], found: &mut Vec<Vec<String>>) {
    let root = schema();
    let node = match node
        .get("$ref")
        .and_then(Json::as_str)
        .or_else(|| node["anyOf"][0]["$ref"].as_str())
    {
        Some(reference) => root["$defs"][reference.trim_start_matches("#/$defs/")].clone(),
        None => node.clone(),
    };
    for (key, inner) in node
        .get("properties")
        .and_then(Json::as_object)
        .unwrap_or(&Map::new())
    {
        let path: Vec<String> = path.iter().cloned().chain([key.clone()]).collect();
        paths(inner, &path, found);
        found.push(path);
    }
}

fn change() -> impl Strategy<Value = (Vec<String>, Json)> {
    let mut known = Vec::new();
    paths(&schema(), &[], &mut known);
    assert!(known.len() > 100, "the schema's paths are found");
    (prop::sample::select(known), scalar())
}

fn tree(changes: &[(Vec<String>, Json)]) -> Json {
    let mut root = json!({});
    for (path, value) in changes {
        let mut at = &mut root;
        for key in path {
            if !at.is_object() {
                *at = json!({});
            }
            at = &mut at[key];
        }
        *at = value.clone();
    }
    root
}

/// What may stand in a chart's values.
fn free() -> impl Strategy<Value = Json> {
    let text = any::<String>().prop_map(|text| text.replace('\0', ""));
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<u64>().prop_map(Json::from),
        any::<f64>()
            .prop_filter("finite", |value| value.is_finite())
            .prop_map(Json::from),
        text.clone().prop_map(Json::from),
        prop::sample::select(vec![
            "yes", "on", "N", "012", "1_000", "0x1F", "1e3", "1.10", "~", ".nan", "12:30:45", "<<",
            "=", "null", "true"
        ])
        .prop_map(Json::from),
    ];
    let tree = leaf.prop_recursive(4, 32, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Json::from),
            prop::collection::btree_map(text.clone(), inner, 0..5).prop_map(|map| json!(map)),
        ]
    });
    prop::collection::btree_map("[a-z]{1,6}", tree, 0..5).prop_map(|map| json!(map))
}

proptest! {
    #[test]
    fn values_of_a_chart_stay_what_they_are(values in free(), node in free()) {
        let file = json!({
            "releases": {"a": {"chart": "./a", "values": values}},
            "kind": {"config": node},
        });
        let loaded = project(&to_yaml(&file).expect("it is YAML")).expect("it is a configuration");
        let found = |loaded: &Loaded| {
            let release = loaded.config.release("a").expect("it is wanted");
            (json!(release.values), json!(loaded.config.kind.config))
        };
        prop_assert_eq!(found(&loaded), (values, node));
        let again = project(&loaded.to_text(false)).expect("what is shown is a configuration");
        prop_assert_eq!(found(&again), found(&loaded));
    }

    #[test]
    fn any_values_at_known_keys(changes in prop::collection::vec(change(), 1..8)) {
        judge(project(&to_yaml(&tree(&changes)).unwrap()))?;
    }

    #[test]
    fn any_text(text in "[-a-z0-9:,&*!|>%@`'\"{}\\[\\] \n\t~?#=<.é\u{2028}]{0,120}") {
        judge(project(&text))?;
    }

    #[test]
    fn a_damaged_file(at in 0usize..BASE.len(), length in 0usize..40, insert in "[-:{}\\[\\]&*'\" \n\ta1]{0,4}") {
        let mut text = BASE.to_owned();
        let end = (at + length).min(text.len());
        if text.is_char_boundary(at) && text.is_char_boundary(end) {
            text.replace_range(at..end, &insert);
        }
        judge(project(&text))?;
    }
}
