//! Rules for any chart: what the cluster refuses, cannot schedule, or has already.
//! Judges rendered objects; knows no chart by its name but where the cure needs it.

use kedactl_config::parse_milli;
use serde_json::{Value, json};

use crate::finding::at;
use crate::object::{containers, pod, text, title};
use crate::rule::rules;
use crate::{Around, Finding, Outcome, Release};

rules! {
    REFUSED "KC0001" "helm cannot render the release",
        why "What cannot be rendered cannot be installed.",
        issues "";
    POLICIES "KC0002" "a PodSecurityPolicy is rendered, and the cluster knows none since 1.25",
        why "The API server refuses the kind, and with it the whole release.",
        issues "grafana/helm-charts#2444, grafana/helm-charts#2040, grafana/loki#7431";
    TAKEN "KC0003" "two serve the same API of the cluster",
        why "An APIService has one owner: helm refuses the second one, or autoscalers are given the other's numbers.",
        issues "kedacore/keda#470, kedacore/keda#2093, kedacore/charts#124, prometheus-operator/kube-prometheus#926";
    APART "KC0004" "more pods must be apart than there are nodes",
        why "With a hard anti-affinity each pod needs a node of its own; the others stay Pending for good.",
        issues "DandyDeveloper/charts#11";
    LARGE "KC0005" "a pod asks for more memory than a node has",
        why "No node can take it; it stays Pending for good.",
        issues "grafana/loki#15813, grafana/loki#8686";
    UNASSEMBLED "KC0006" "the charts inside of this chart are not there",
        why "A chart's folder as its makers keep it has no `charts/`: helm fetches what belongs there when the chart is packed, and renders nothing before.",
        issues "helm/helm#5587, prometheus-community/helm-charts#159, grafana/loki#7513";
}

pub(super) fn check(releases: &[Release], around: &Around, out: &mut Vec<Finding>) {
    for release in releases {
        if let Outcome::Refused(said) = &release.outcome {
            out.push(Finding::new(REFUSED, &release.name, said, Value::Null));
            unassembled(release, said, out);
        }
        for object in release.objects() {
            policy(release, object, around, out);
            apart(release, object, around, out);
            large(release, object, around, out);
        }
    }
    taken(releases, around, out);
}

/// Whether it is helm's own words and no more.
pub(super) fn is_refusal(finding: &Finding) -> bool {
    finding.rule == REFUSED
}

/// Where a chart is published whole.
const PUBLISHED: [(&str, &str); 5] = [
    (
        "alertmanager",
        "https://prometheus-community.github.io/helm-charts",
    ),
    ("keda", "https://kedacore.github.io/charts"),
    (
        "kube-prometheus-stack",
        "https://prometheus-community.github.io/helm-charts",
    ),
    ("loki-stack", "https://grafana.github.io/helm-charts"),
    (
        "prometheus",
        "https://prometheus-community.github.io/helm-charts",
    ),
];

fn unassembled(release: &Release, said: &str, out: &mut Vec<Finding>) {
    let Some((_, missing)) = said.split_once("missing in charts/ directory: ") else {
        return;
    };
    let missing = missing.lines().next().unwrap_or_default();
    let known = PUBLISHED.iter().find(|(chart, _)| *chart == release.chart);
    let patch = known.map_or(Value::Null, |(chart, repo)| {
        let whole = json!({"chart": chart, "repo": repo, "version": release.version});
        json!({"releases": {&release.name: whole}})
    });
    let message =
        format!("it lacks {missing}; `helm dependency build` fetches them into the folder");
    out.push(Finding::new(UNASSEMBLED, &release.name, message, patch));
}

fn policy(release: &Release, object: &Value, around: &Around, out: &mut Vec<Finding>) {
    let gone = around.kube_version.is_some_and(|it| it >= (1, 25));
    if object["kind"] != "PodSecurityPolicy" || !gone {
        return;
    }
    // In a chart of charts the one that made it is named by its label.
    let labels = &object["metadata"]["labels"];
    let part = ["app.kubernetes.io/name", "app"].map(|key| text(&labels[key]));
    let part = part.into_iter().find(|it| release.parts.contains_key(*it));
    let path: Vec<&str> = part.into_iter().chain(["rbac", "pspEnabled"]).collect();
    let values = at(&path, false.into());
    out.push(Finding::values(
        POLICIES,
        &release.name,
        title(object),
        &values,
    ));
}

fn apart(release: &Release, object: &Value, around: &Around, out: &mut Vec<Finding>) {
    let (Some(nodes), Some(pod)) = (around.nodes, pod(object)) else {
        return;
    };
    let required =
        &pod["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"];
    let terms = required.as_array().into_iter().flatten();
    let mut hosts = terms.filter(|it| it["topologyKey"] == "kubernetes.io/hostname");
    let replicas = object["spec"]["replicas"].as_u64().unwrap_or(1);
    if hosts.next().is_none() || replicas <= nodes as u64 {
        return;
    }
    let message = format!(
        "{} has {replicas} pods that must be apart, and there {}",
        title(object),
        match nodes {
            1 => "is 1 node".to_owned(),
            _ => format!("are {nodes} nodes"),
        }
    );
    // Our own profiles are told by the section.
    let patch = match (release.name.as_str(), release.chart.as_str()) {
        ("redis", "redis-sentinel" | "redis") => json!({"redis": {"antiAffinity": "soft"}}),
        (name, "redis-ha") => {
            json!({"releases": {name: {"values": {"hardAntiAffinity": false}}}})
        }
        (name, "redis") => {
            json!({"releases": {name: {"values": {"replica": {"podAntiAffinityPreset": "soft"}}}}})
        }
        _ => Value::Null,
    };
    out.push(Finding::new(APART, &release.name, message, patch));
}

fn large(release: &Release, object: &Value, around: &Around, out: &mut Vec<Finding>) {
    let (Some(memory), Some(pod)) = (around.memory, pod(object)) else {
        return;
    };
    let asked = |it: &Value| {
        let milli = parse_milli(text(&it["resources"]["requests"]["memory"]));
        u64::try_from(milli.unwrap_or_default() / 1000).unwrap_or(u64::MAX)
    };
    let sum: u64 = containers(pod).map(asked).fold(0, u64::saturating_add);
    if sum <= memory {
        return;
    }
    let mebi = |bytes: u64| bytes >> 20;
    let message = format!(
        "{} asks for {} MiB, and the largest node has {} MiB for pods",
        title(object),
        mebi(sum),
        mebi(memory)
    );
    let caches = ["chunks-cache", "results-cache"];
    let name = text(&object["metadata"]["name"]);
    let values = match caches.iter().find(|it| name.ends_with(**it)) {
        Some(&"chunks-cache") => json!({"chunksCache": {"enabled": false}}),
        Some(_) => json!({"resultsCache": {"enabled": false}}),
        None => {
            out.push(Finding::new(LARGE, &release.name, message, Value::Null));
            return;
        }
    };
    out.push(Finding::values(LARGE, &release.name, message, &values));
}

/// APIs that two releases serve, or a release and somebody who is there already.
fn taken(releases: &[Release], around: &Around, out: &mut Vec<Finding>) {
    let mut seen: Vec<(&str, &Release)> = Vec::new();
    for release in releases {
        let apis = release
            .objects()
            .iter()
            .filter(|it| it["kind"] == "APIService");
        for api in apis.map(|it| text(&it["metadata"]["name"])) {
            let other = seen.iter().find(|(known, _)| *known == api);
            let own = format!("{}/{}", release.namespace, release.name);
            let there = around.owners.iter().find(|it| it.api == api);
            let there = there.filter(|it| it.release.as_ref() != Some(&own));
            let owner = match (other, there) {
                (Some((_, other)), _) => format!("the release `{}`", other.name),
                (None, Some(there)) => match &there.release {
                    Some(release) => format!("the release {release} of the cluster"),
                    None => "the cluster, by other means".to_owned(),
                },
                (None, None) => {
                    seen.push((api, release));
                    continue;
                }
            };
            let patch = json!({"releases": {&release.name: null}});
            out.push(Finding::new(
                TAKEN,
                &release.name,
                format!("{api} is served by {owner}"),
                patch,
            ));
        }
    }
}
