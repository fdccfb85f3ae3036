//! Rules for Prometheus and Alertmanager, alone, in loki-stack and in kube-prometheus-stack.
//! Judges Alertmanager's configuration by what it refers to, not by what it means.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::finding::at;
use crate::image::{Image, Version, version};
use crate::object::{images, text, texts, title, yaml};
use crate::rule::rules;
use crate::{Around, Finding, Release};

rules! {
    IGNORED "KC0501" "Alertmanager's configuration stands where the chart no longer looks",
        why "Since version 18 of the chart `prometheus`, `alertmanagerFiles` is ignored without a word: alerts go nowhere.",
        issues "prometheus-community/helm-charts: README of the chart, `To 18.0`";
    RECEIVER "KC0502" "Alertmanager routes to a receiver that is not there",
        why "It does not start with such a configuration; the operator makes no pods from it at all.",
        issues "prometheus-community/helm-charts#393, prometheus-community/helm-charts#1096, prometheus-community/helm-charts#851";
    YOUNGER "KC0503" "Alertmanager's configuration has a field that this version does not know",
        why "It does not start with an unknown field, and every alert is lost; the charts know nothing of fields and versions.",
        issues "prometheus/alertmanager#3431, prometheus/alertmanager#3226, prometheus/alertmanager#3638, prometheus/alertmanager#4137";
    LOOPBACK "KC0504" "alerts on the control plane fire for ever",
        why "kubeadm, and with it kind and minikube, lets these components listen on the node's loopback, where no Prometheus reaches them.",
        issues "prometheus-operator/kube-prometheus#718, prometheus-operator/prometheus-operator#1859, linode/apl-core#900";
}

pub(super) fn check(releases: &[Release], around: &Around, out: &mut Vec<Finding>) {
    for release in releases {
        ignored(release, out);
        receivers(release, out);
        younger(release, out);
        if around.kubeadm {
            loopback(release, out);
        }
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
        "prometheus" | "kube-prometheus-stack" | "monitoring" => vec!["alertmanager", "config"],
        "alertmanager" => vec!["config"],
        _ => return None,
    })
}

/// Alertmanager's configurations among rendered objects, each with its object.
fn configs(release: &Release) -> impl Iterator<Item = (&Value, Value)> {
    let kept = release.objects().iter();
    let kept = kept.filter(|it| it["kind"] == "Secret" || it["kind"] == "ConfigMap");
    kept.flat_map(|object| {
        let all = texts(object).into_iter();
        let all = all.filter(|(key, _)| key == "alertmanager.yaml" || key == "alertmanager.yml");
        all.map(move |(_, text)| (object, yaml(&text)))
    })
}

/// A finding whose cure is another list of receivers. A list replaces the chart's: it is written out.
fn cured(
    rule: &'static crate::Rule,
    release: &Release,
    message: String,
    receivers: &[Value],
) -> Finding {
    match place(release) {
        Some(place) => {
            let values = at(&place, json!({ "receivers": receivers }));
            Finding::values(rule, &release.name, message, &values)
        }
        None => Finding::new(rule, &release.name, message, Value::Null),
    }
}

fn receivers(release: &Release, out: &mut Vec<Finding>) {
    for (object, config) in configs(release) {
        let there = config["receivers"].as_array().into_iter().flatten();
        let there: BTreeSet<&str> = there.map(|it| text(&it["name"])).collect();
        let mut asked = BTreeSet::new();
        routed(&config["route"], &mut asked);
        let missing: Vec<&str> = asked.difference(&there).copied().collect();
        if missing.is_empty() {
            continue;
        }
        let message = format!("{}: `{}`", title(object), missing.join("`, `"));
        // One that sends nothing for each that is missing.
        let mut all = config["receivers"].as_array().cloned().unwrap_or_default();
        all.extend(missing.iter().map(|it| json!({"name": it})));
        out.push(cured(RECEIVER, release, message, &all));
    }
}

/// Fields of receivers by the way that they stand in, and the version that brought each.
const FIELDS: [(&str, &str, Version); 3] = [
    ("telegram_configs", "bot_token_file", (0, 26, 0)),
    ("telegram_configs", "message_thread_id", (0, 28, 0)),
    ("webhook_configs", "timeout", (0, 28, 0)),
];

/// The version that a release runs: of a container, or of what the operator makes one from.
fn alertmanager(release: &Release) -> Option<Version> {
    let named = release.objects().iter();
    let named = named.filter(|it| it["kind"] == "Alertmanager");
    let named = named.map(|it| Image::of(text(&it["spec"]["image"])));
    let run = images(release.objects()).map(|(image, ..)| image);
    let of_it = |it: &Image<'_>| it.is("prometheus/alertmanager") || it.is("prom/alertmanager");
    named.chain(run).filter(of_it).find_map(|it| it.version())
}

fn younger(release: &Release, out: &mut Vec<Finding>) {
    let Some(runs) = alertmanager(release) else {
        return;
    };
    for (object, config) in configs(release) {
        let mut all = config["receivers"].as_array().cloned().unwrap_or_default();
        let mut found = BTreeSet::new();
        for receiver in &mut all {
            for (way, field, since) in FIELDS.iter().filter(|(.., since)| runs < *since) {
                for config in receiver[way].as_array_mut().into_iter().flatten() {
                    let fields = config.as_object_mut();
                    if fields.is_some_and(|it| it.remove(*field).is_some()) {
                        let (major, minor, patch) = since;
                        found.insert(format!("{way}.{field} needs {major}.{minor}.{patch}"));
                    }
                }
            }
        }
        if found.is_empty() {
            continue;
        }
        let (major, minor, patch) = runs;
        let message = format!(
            "{} is for Alertmanager {major}.{minor}.{patch}, and {}",
            title(object),
            found.into_iter().collect::<Vec<_>>().join(", ")
        );
        out.push(cured(YOUNGER, release, message, &all));
    }
}

/// Values of kube-prometheus-stack, by the name that each gives a Service.
const CONTROL_PLANE: [(&str, &str); 4] = [
    ("kubeControllerManager", "-kube-controller-manager"),
    ("kubeEtcd", "-kube-etcd"),
    ("kubeProxy", "-kube-proxy"),
    ("kubeScheduler", "-kube-scheduler"),
];

fn loopback(release: &Release, out: &mut Vec<Finding>) {
    if release.chart != "kube-prometheus-stack" {
        return;
    }
    let services = release.objects().iter();
    let services = services.filter(|it| it["kind"] == "Service");
    let names: Vec<&str> = services.map(|it| text(&it["metadata"]["name"])).collect();
    let ends = |end: &str| names.iter().any(|name| name.ends_with(end));
    let watched = CONTROL_PLANE.iter().filter(|(_, end)| ends(end));
    let keys: Vec<&str> = watched.map(|(key, _)| *key).collect();
    if keys.is_empty() {
        return;
    }
    let mut values = json!({});
    for key in &keys {
        values[*key] = json!({"enabled": false});
    }
    let message = format!("{} are scraped", keys.join(", "));
    out.push(Finding::values(LOOPBACK, &release.name, message, &values));
}

fn routed<'a>(route: &'a Value, asked: &mut BTreeSet<&'a str>) {
    if let Some(receiver) = route["receiver"].as_str() {
        asked.insert(receiver);
    }
    for inner in route["routes"].as_array().into_iter().flatten() {
        routed(inner, asked);
    }
}
