//! Rules for Loki, Promtail and Grafana, above all as loki-stack brings them.
//! Judges what is rendered, whichever chart it comes from.

use serde_json::{Value, json};

use crate::finding::at;
use crate::object::{images, text, texts, title, yaml};
use crate::rule::rules;
use crate::{Around, Finding, Outcome, Release};

rules! {
    HEALTH "KC0101" "this Loki fails the health check of this Grafana",
        why "Grafana 9.5 and newer ask `vector(1)+vector(1)`, which Loki understands from 2.9.3 on; the data source stays red.",
        issues "grafana/grafana#79846, grafana/grafana#96288, grafana/helm-charts#3149, grafana/loki#12931, grafana/loki#11893";
    CONFIG "KC0102" "Loki 3 does not start with the configuration of this chart",
        why "`shared_store`, `max_transfer_retries` and others are gone since 3.0, and an unknown field ends Loki.",
        issues "grafana/loki#12594, grafana/loki#12504";
    NOWHERE "KC0103" "Promtail sends to a Service that is not there",
        why "loki-stack names Loki by the release unless its name has `loki` in it, and Promtail looks for the release's name: no log arrives.",
        issues "grafana/helm-charts#2102, grafana/helm-charts#1383, grafana/helm-charts#2063";
    DEFAULTS "KC0104" "Grafana is given two default data sources",
        why "It ends with `Only one datasource per organization can be marked as default`.",
        issues "prometheus-community/helm-charts#482, prometheus-community/helm-charts#2686";
    WAYS "KC0105" "Loki is told two ways to run",
        why "One process and separate readers and writers exclude each other, and the chart has three of each of the latter by default.",
        issues "grafana/loki#12658, grafana/loki#12610";
}

pub(super) fn check(releases: &[Release], _: &Around, out: &mut Vec<Finding>) {
    health(releases, out);
    for release in releases {
        config(release, out);
        nowhere(release, out);
        ways(release, out);
    }
    defaults(releases, out);
}

/// Where a release takes Loki's tag from.
fn tag(release: &Release, tag: &str) -> Value {
    match release.chart.as_str() {
        "loki-stack" => json!({"loki": {"image": {"tag": tag}}}),
        _ => json!({"loki": {"image": {"tag": tag}}, "image": {"tag": tag}}),
    }
}

fn health(releases: &[Release], out: &mut Vec<Finding>) {
    let strict = releases
        .iter()
        .flat_map(|it| images(it.objects()))
        .find(|(image, ..)| {
            image.is("grafana/grafana") && image.version().is_some_and(|it| it >= (9, 5, 0))
        });
    let Some((grafana, ..)) = strict else { return };
    for release in releases {
        for (image, _, object) in images(release.objects()) {
            let old = image.version().is_some_and(|it| it < (2, 9, 3));
            if image.is("grafana/loki") && old {
                let message = format!(
                    "{} runs Loki {}, and Grafana is {}",
                    title(object),
                    image.tag,
                    grafana.tag
                );
                let values = tag(release, "2.9.8");
                out.push(Finding::values(HEALTH, &release.name, message, &values));
            }
        }
    }
}

fn config(release: &Release, out: &mut Vec<Finding>) {
    if release.chart != "loki-stack" {
        return;
    }
    for (image, _, object) in images(release.objects()) {
        let new = image.version().is_some_and(|it| it >= (3, 0, 0));
        if image.is("grafana/loki") && new {
            let message = format!("{} runs Loki {}", title(object), image.tag);
            let values = tag(release, "2.9.8");
            out.push(Finding::values(CONFIG, &release.name, message, &values));
        }
    }
}

/// The Services that Loki listens on; by its port, as names differ.
fn services(release: &Release) -> Vec<&str> {
    let services = release
        .objects()
        .iter()
        .filter(|it| it["kind"] == "Service");
    let loki = services.filter(|it| {
        let ports = it["spec"]["ports"].as_array().into_iter().flatten();
        let headless = it["spec"]["clusterIP"] == "None";
        !headless && ports.into_iter().any(|it| it["port"] == 3100)
    });
    loki.map(|it| text(&it["metadata"]["name"])).collect()
}

fn nowhere(release: &Release, out: &mut Vec<Finding>) {
    let services = services(release);
    let Some(service) = services.first() else {
        return;
    };
    let kept = release.objects().iter();
    let kept = kept.filter(|it| it["kind"] == "Secret" || it["kind"] == "ConfigMap");
    for (key, text) in kept.flat_map(texts) {
        if key != "promtail.yaml" {
            continue;
        }
        let config = yaml(&text);
        for client in config["clients"].as_array().into_iter().flatten() {
            let url = client["url"].as_str().unwrap_or_default();
            let host = url.split_once("://").map_or(url, |(_, rest)| rest);
            let host = host.split([':', '/']).next().unwrap_or_default();
            // A name with dots is another namespace's, or the world's.
            if host.is_empty() || host.contains('.') || services.contains(&host) {
                continue;
            }
            let message = format!("it sends to `{host}`, and Loki's Service is `{service}`");
            let url = format!("http://{service}:3100/loki/api/v1/push");
            let mut path = release.below("promtail");
            path.extend(["config", "clients"]);
            let mut values = at(&path, json!([{"url": url}]));
            if release.chart == "loki-stack" {
                values["loki"] = json!({"url": format!("http://{service}:3100")});
            }
            out.push(Finding::values(NOWHERE, &release.name, message, &values));
        }
    }
}

fn ways(release: &Release, out: &mut Vec<Finding>) {
    let Outcome::Refused(said) = &release.outcome else {
        return;
    };
    if said.contains("both the single binary and simple scalable") {
        let none = json!({"replicas": 0});
        // The name of this mode that versions before and after 10 know.
        let values = json!({
            "deploymentMode": "SingleBinary", "read": none, "write": none, "backend": none,
        });
        let message = "read, write and backend have replicas beside singleBinary";
        out.push(Finding::values(WAYS, &release.name, message, &values));
    }
}

fn defaults(releases: &[Release], out: &mut Vec<Finding>) {
    let mut known: Vec<(&Release, String)> = Vec::new();
    for release in releases {
        let objects = release.objects().iter();
        let sources = objects.filter(|it| {
            let named = &it["metadata"]["labels"]["grafana_datasource"];
            let own = it["data"].get("datasources.yaml").is_some();
            (it["kind"] == "ConfigMap" || it["kind"] == "Secret") && (!named.is_null() || own)
        });
        for (_, text) in sources.flat_map(texts) {
            let config = yaml(&text);
            for source in config["datasources"].as_array().into_iter().flatten() {
                if source["isDefault"] == true {
                    known.push((
                        release,
                        source["name"].as_str().unwrap_or_default().to_owned(),
                    ));
                }
            }
        }
    }
    let Some(((first, kept), others)) = known.split_first() else {
        return;
    };
    // Prometheus stays the default where it is one of them.
    let all = std::iter::once((*first, kept)).chain(others.iter().map(|(it, name)| (*it, name)));
    let all: Vec<(&Release, &String)> = all.collect();
    let stays = all
        .iter()
        .position(|(_, name)| *name == "Prometheus")
        .unwrap_or(0);
    for (index, (release, name)) in all.iter().enumerate() {
        if index == stays {
            continue;
        }
        let message = format!("`{name}` is one, and `{}` is one too", all[stays].1);
        let values = match (release.chart.as_str(), name.as_str()) {
            ("loki-stack", "Loki") => json!({"loki": {"isDefault": false}}),
            ("loki-stack", "Prometheus") => json!({"prometheus": {"isDefault": false}}),
            ("kube-prometheus-stack", _) => {
                json!({"grafana": {"additionalDataSources": not_default(release)}})
            }
            _ => {
                out.push(Finding::new(DEFAULTS, &release.name, message, Value::Null));
                continue;
            }
        };
        out.push(Finding::values(DEFAULTS, &release.name, message, &values));
    }
}

/// The data sources that the release adds, none of them the default.
fn not_default(release: &Release) -> Value {
    let given = release.given(&["grafana", "additionalDataSources"]);
    let mut sources = given.cloned().unwrap_or_else(|| json!([]));
    for source in sources.as_array_mut().into_iter().flatten() {
        source["isDefault"] = false.into();
    }
    sources
}
