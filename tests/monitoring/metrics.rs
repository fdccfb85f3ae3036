//! The metrics that rules and dashboards take are metrics that somebody exports, with labels that they have.
//!
//! It must not know a metric by itself: names come from the registries and from the list of others' metrics.

use std::collections::{BTreeMap, BTreeSet};

use kedactl_config::LatencyBound;
use kedactl_render::monitoring::{Metric, dashboards, metrics_of_others};
use kedactl_services::catalogue::exported;
use serde_json::Value as Json;

use crate::dashboards::expressions;
use crate::expression::{Selector, selectors};
use crate::programs::config;
use crate::rules::rules;

/// Labels that Prometheus adds to what it scrapes, and `le`, which a histogram's buckets have.
const OF_TARGETS: [&str; 6] = [
    "exported_namespace",
    "instance",
    "job",
    "le",
    "namespace",
    "pod",
];

/// Every metric by the names of its series, with its labels.
fn known() -> BTreeMap<String, BTreeSet<String>> {
    let own = exported().into_iter().map(|it| Metric {
        source: it.program.to_owned(),
        name: it.name,
        kind: it.kind,
        labels: it.labels,
        meaning: it.meaning,
    });
    let mut known: BTreeMap<String, (bool, BTreeSet<String>)> = BTreeMap::new();
    let own = own.map(|it| (true, it));
    let others = metrics_of_others().into_iter().map(|it| (false, it));
    for (ours, metric) in own.chain(others) {
        let parts = match metric.kind.as_str() {
            "histogram" => &["_bucket", "_count", "_sum"][..],
            _ => &[""],
        };
        for part in parts {
            let labels = metric.labels.iter().cloned().collect();
            let name = format!("{}{part}", metric.name);
            // Two programs may export the same; what is ours need not be listed among others.
            let before = known.insert(name.clone(), (ours, labels));
            let again = before
                .is_none_or(|(was_ours, before)| ours && was_ours && before == known[&name].1);
            assert!(
                again,
                "{name} is registered: crates/render/src/monitoring/others.txt need not list it"
            );
        }
    }
    known
        .into_iter()
        .map(|(name, (_, labels))| (name, labels))
        .collect()
}

/// What an alert's labels may be asked for in `ALERTS`, besides its own.
const OF_ALERTS: [&str; 2] = ["alertname", "severity"];

fn check(selector: &Selector<'_>, records: &BTreeSet<String>, place: &str) {
    let known = known();
    if records.contains(selector.name) {
        return;
    }
    let Some(labels) = known.get(selector.name) else {
        panic!("{place}: nobody exports `{}`", selector.name);
    };
    for label in &selector.labels {
        let of_alerts = selector.name == "ALERTS" && OF_ALERTS.contains(label);
        assert!(
            labels.contains(*label) || OF_TARGETS.contains(label) || of_alerts,
            "{place}: `{}` has no label `{label}`",
            selector.name
        );
    }
}

fn records(rules: &[Json]) -> BTreeSet<String> {
    let names = rules.iter().filter_map(|rule| rule["record"].as_str());
    names.map(str::to_owned).collect()
}

#[test]
fn rules_take_what_is_exported() {
    let rules = rules(&config("kind", &[]));
    let records = records(&rules);
    for rule in &rules {
        let name = rule["alert"].as_str().or(rule["record"].as_str());
        for selector in selectors(rule["expr"].as_str().unwrap()) {
            check(&selector, &records, name.unwrap());
        }
    }
}

#[test]
fn dashboards_take_what_is_exported() {
    let records = records(&rules(&config("kind", &[])));
    for dashboard in dashboards() {
        for expression in expressions(dashboard) {
            for selector in selectors(&expression) {
                check(&selector, &records, dashboard.name);
            }
        }
    }
}

/// A list that nobody reads grows old.
#[test]
fn what_is_listed_of_others_is_taken() {
    let rules = rules(&config("kind", &[]));
    let mut taken: BTreeSet<String> = BTreeSet::new();
    let of_rules = rules
        .iter()
        .map(|rule| rule["expr"].as_str().unwrap().to_owned());
    for expression in of_rules.chain(dashboards().iter().flat_map(expressions)) {
        taken.extend(selectors(&expression).iter().map(|it| it.name.to_owned()));
    }
    let listed = metrics_of_others().into_iter().map(|metric| metric.name);
    let unused: Vec<String> = listed.filter(|name| !taken.contains(name)).collect();
    assert!(unused.is_empty(), "{unused:?}");
}

#[test]
fn every_bound_of_latency_is_a_bucket() {
    let text = kedactl_services::catalogue::example("api");
    for bound in LatencyBound::ALL {
        let bucket = format!("le=\"{}\"", bound.le());
        let found = text.lines().any(|line| {
            line.starts_with("http_server_request_duration_seconds_bucket{")
                && line.contains(&bucket)
        });
        assert!(found, "{bucket}");
    }
}
