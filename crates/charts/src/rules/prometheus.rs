//! Rules for Prometheus and Alertmanager, alone, in loki-stack and in kube-prometheus-stack.
//! Judges Alertmanager's configuration by what it refers to, not by what it means.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::finding::at;
use crate::image::version;
use crate::object::{text, texts, title, yaml};
use crate::rule::rules;
use crate::{Around, Finding, Release};

rules! {
    IGNORED "KC0501" "Alertmanager's configuration stands where the chart no longer looks",
        why "Since version 18 of the chart `prometheus`, `alertmanagerFiles` is ignored without a word: alerts go nowhere.",
        issues "prometheus-community/helm-charts: README of the chart, `To 18.0`";
    RECEIVER "KC0502" "Alertmanager routes to a receiver that is not there",
        why "It does not start with such a configuration; the operator makes no pods from it at all.",
        issues "prometheus-community/helm-charts#393, prometheus-community/helm-charts#1096, prometheus-community/helm-charts#851";
}

pub(super) fn check(releases: &[Release], _: &Around, out: &mut Vec<Finding>) {
    for release in releases {
        ignored(release, out);
        receivers(release, out);
    }
}

fn ignored(release: &Release, out: &mut Vec<Finding>) {
    let chart = "prometheus";
    let new = release
        .version_of(chart)
        .and_then(version)
        .is_some_and(|it| it >= (18, 0, 0));
    let mut old = release.below(chart);
    old.push("alertmanagerFiles");
    if !new || !release.has(&old) {
        return;
    }
    let config = release.given(&old).map(|it| it["alertmanager.yml"].clone());
    let mut place = release.below(chart);
    place.extend(["alertmanager", "config"]);
    let mut values = at(&place, config.unwrap_or_default());
    // `null` takes the old key away.
    crate::lay(&mut values, &at(&old, Value::Null));
    let message = format!(
        "{} is given to version {} of it",
        old.join("."),
        release.version_of(chart).unwrap_or_default()
    );
    out.push(Finding::values(IGNORED, &release.name, message, &values));
}

/// Where each chart takes Alertmanager's configuration from.
fn place(release: &Release) -> Option<Vec<&'static str>> {
    Some(match release.chart.as_str() {
        "loki-stack" => vec!["prometheus", "alertmanager", "config"],
        "prometheus" | "kube-prometheus-stack" => vec!["alertmanager", "config"],
        "alertmanager" => vec!["config"],
        _ => return None,
    })
}

fn receivers(release: &Release, out: &mut Vec<Finding>) {
    for object in release.objects() {
        if object["kind"] != "Secret" && object["kind"] != "ConfigMap" {
            continue;
        }
        let configs = texts(object).into_iter();
        let configs =
            configs.filter(|(key, _)| key == "alertmanager.yaml" || key == "alertmanager.yml");
        for config in configs.map(|(_, text)| yaml(&text)) {
            let there = config["receivers"].as_array().into_iter().flatten();
            let there: BTreeSet<&str> = there.map(|it| text(&it["name"])).collect();
            let mut asked = BTreeSet::new();
            routed(&config["route"], &mut asked);
            let missing: Vec<&str> = asked.difference(&there).copied().collect();
            if missing.is_empty() {
                continue;
            }
            let message = format!("{}: `{}`", title(object), missing.join("`, `"));
            let Some(place) = place(release) else {
                out.push(Finding::new(RECEIVER, &release.name, message, Value::Null));
                continue;
            };
            // A list replaces the chart's: it is written out, with one that sends nothing for each that is missing.
            let mut all = config["receivers"].as_array().cloned().unwrap_or_default();
            all.extend(missing.iter().map(|it| json!({"name": it})));
            let values = at(&place, json!({"receivers": all}));
            out.push(Finding::values(RECEIVER, &release.name, message, &values));
        }
    }
}

fn routed<'a>(route: &'a Value, asked: &mut BTreeSet<&'a str>) {
    if let Some(receiver) = route["receiver"].as_str() {
        asked.insert(receiver);
    }
    for inner in route["routes"].as_array().into_iter().flatten() {
        routed(inner, asked);
    }
}
