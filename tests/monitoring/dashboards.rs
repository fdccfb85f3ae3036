//! Grafana's dashboards: what Grafana would take without a word and then show nothing for.
//!
//! It must not compare them with what made them: they are edited by hand and in Grafana.

use std::collections::{BTreeMap, BTreeSet};

use kedactl_render::monitoring::{Dashboard, dashboards};
use serde_json::{Value as Json, json};

use crate::programs::{folder, program, run};

/// Grafana 10.4's; newer ones read it.
const SCHEMA_VERSION: i64 = 39;

/// Units that stand in Grafana's list.
const UNITS: [&str; 7] = ["bytes", "none", "ops", "percentunit", "reqps", "s", "short"];

fn model(dashboard: &Dashboard) -> Json {
    serde_json::from_str(dashboard.json)
        .unwrap_or_else(|error| panic!("{}: {error}", dashboard.name))
}

fn list<'j>(json: &'j Json, key: &str) -> &'j [Json] {
    json[key].as_array().map(Vec::as_slice).unwrap_or_default()
}

/// Every object below a value.
fn objects<'j>(json: &'j Json, found: &mut Vec<&'j Json>) {
    match json {
        Json::Object(map) => {
            found.push(json);
            map.values().for_each(|value| objects(value, found));
        }
        Json::Array(items) => items.iter().for_each(|item| objects(item, found)),
        _ => {}
    }
}

/// Every query to Prometheus, with its variables.
fn queries(dashboard: &Dashboard) -> Vec<String> {
    let model = model(dashboard);
    let targets = list(&model, "panels")
        .iter()
        .flat_map(|panel| list(panel, "targets"));
    targets
        .filter(|target| target["datasource"]["type"] == "prometheus")
        .map(|target| target["expr"].as_str().expect("a query").to_owned())
        .collect()
}

/// The same as Prometheus would get them.
pub(crate) fn expressions(dashboard: &Dashboard) -> Vec<String> {
    let filled = |query: String| {
        query
            .replace("$__rate_interval", "5m")
            .replace("$namespace", "keda")
            .replace("$queue", "mails")
    };
    queries(dashboard).into_iter().map(filled).collect()
}

#[test]
fn each_has_its_name_and_the_version_that_every_grafana_reads() {
    let (mut uids, mut titles) = (BTreeSet::new(), BTreeSet::new());
    for dashboard in dashboards() {
        let model = model(dashboard);
        let text = |key: &str| model[key].as_str().unwrap_or_default().to_owned();
        assert_eq!(text("uid"), format!("kedactl-{}", dashboard.name));
        assert!(uids.insert(text("uid")) && titles.insert(text("title")));
        assert!(!text("description").is_empty(), "{}", dashboard.name);
        assert_eq!(model["schemaVersion"], SCHEMA_VERSION, "{}", dashboard.name);
        // It is Grafana that gives it one.
        assert!(model.get("id").is_none(), "{}", dashboard.name);
        assert_eq!(model["tags"], json!(["kedactl"]), "{}", dashboard.name);
    }
    let folder = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../templates/monitoring/dashboards"
    );
    let mut files: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    let built_in: Vec<String> = dashboards()
        .iter()
        .map(|it| format!("{}.json", it.name))
        .collect();
    assert_eq!(files, built_in);
}

#[test]
fn panels_say_what_they_show_and_do_not_overlap() {
    for dashboard in dashboards() {
        let model = model(dashboard);
        let mut ids = BTreeSet::new();
        let mut taken: BTreeMap<(i64, i64), &str> = BTreeMap::new();
        for panel in list(&model, "panels") {
            let title = panel["title"].as_str().unwrap();
            let place = format!("{}: {title}", dashboard.name);
            assert!(ids.insert(panel["id"].as_i64().unwrap()), "{place}");
            let at = |key: &str| panel["gridPos"][key].as_i64().unwrap();
            let (x, y, w, h) = (at("x"), at("y"), at("w"), at("h"));
            assert!(x >= 0 && w > 0 && x + w <= 24 && h > 0, "{place}");
            for cell in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
                if let Some(other) = taken.insert(cell, title) {
                    panic!("{place} lies over {other}");
                }
            }
            let kind = panel["type"].as_str().unwrap();
            if kind == "row" {
                continue;
            }
            assert!(
                panel["description"]
                    .as_str()
                    .is_some_and(|it| !it.is_empty()),
                "{place}"
            );
            assert!(!list(panel, "targets").is_empty(), "{place}");
            let references: BTreeSet<&str> = list(panel, "targets")
                .iter()
                .map(|target| target["refId"].as_str().unwrap())
                .collect();
            assert_eq!(references.len(), list(panel, "targets").len(), "{place}");
            if kind != "logs" {
                let unit = panel["fieldConfig"]["defaults"]["unit"].as_str();
                assert!(
                    unit.is_some_and(|unit| UNITS.contains(&unit)),
                    "{place}: {unit:?}"
                );
            }
        }
    }
}

/// A data source by its name or id would be another's.
#[test]
fn data_sources_are_chosen_by_variables() {
    let grafana = json!({ "type": "grafana", "uid": "-- Grafana --" });
    let prometheus = json!({ "type": "prometheus", "uid": "${datasource}" });
    let loki = json!({ "type": "loki", "uid": "${loki}" });
    for dashboard in dashboards() {
        let model = model(dashboard);
        let mut all = Vec::new();
        objects(&model, &mut all);
        for source in all.iter().filter_map(|object| object.get("datasource")) {
            let known = [&grafana, &prometheus, &loki].contains(&source);
            assert!(known, "{}: {source}", dashboard.name);
        }
        for panel in list(&model, "panels")
            .iter()
            .filter(|it| it["type"] != "row")
        {
            let own = &panel["datasource"];
            assert!(
                [&prometheus, &loki].contains(&own),
                "{}: {own}",
                dashboard.name
            );
            for target in list(panel, "targets") {
                assert_eq!(&target["datasource"], own, "{}", dashboard.name);
            }
        }
    }
}

/// Names behind `$` in every text.
fn variables(json: &Json, found: &mut BTreeSet<String>) {
    match json {
        Json::String(text) => {
            for rest in text.split('$').skip(1) {
                let rest = rest.trim_start_matches('{');
                let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
                let end = rest.find(|c| !word(c)).unwrap_or(rest.len());
                found.insert(rest[..end].to_owned());
            }
        }
        Json::Array(items) => items.iter().for_each(|item| variables(item, found)),
        Json::Object(map) => map.values().for_each(|value| variables(value, found)),
        _ => {}
    }
}

#[test]
fn variables_are_defined_and_used() {
    for dashboard in dashboards() {
        let model = model(dashboard);
        let mut used = BTreeSet::new();
        variables(&model, &mut used);
        used.retain(|name| !name.starts_with("__"));
        let defined: BTreeSet<String> = list(&model["templating"], "list")
            .iter()
            .map(|variable| variable["name"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(used, defined, "{}", dashboard.name);
        assert!(defined.contains("namespace"), "{}", dashboard.name);
    }
}

#[test]
fn every_query_is_one() {
    let Some(promtool) = program("promtool") else {
        return;
    };
    let mut rules = Vec::new();
    for dashboard in dashboards() {
        for expression in expressions(dashboard) {
            rules.push(json!({ "record": "a:query", "expr": expression }));
        }
    }
    assert!(rules.len() > 100, "{}", rules.len());
    let file = json!({ "groups": [{ "name": "queries", "rules": rules }] });
    let folder = folder(&[("queries.yml", &file.to_string())]);
    let args = ["check", "rules", "--lint=none", "queries.yml"];
    let checked = run(&promtool, &args, folder.path());
    assert!(checked.is_ok(), "{}", checked.unwrap_err());
}
