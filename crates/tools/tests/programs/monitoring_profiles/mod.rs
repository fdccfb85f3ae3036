//! One contract over the three profiles of the monitoring: names, Secrets, rules, dashboards, and the way to the webhook.
//! Must not need the published charts: stand-ins name and mount what those do, with their keys and no others.

mod found;
mod network;
mod stand_in;
mod told;

use std::collections::BTreeMap;
use std::path::Path;

use kedactl_config::{Config, documents};
use kedactl_lint::Severity;
use kedactl_render::{Templates, release_values};
use kedactl_testkit::{ChartServer, packed_chart};
use kedactl_tools::CancellationToken;
use kedactl_tools::helm::Helm;
use serde_json::{Value, json};

use crate::profiles::{config, keys, schema};
use crate::support::{helms, settings};
use stand_in::stand_in;

const PROFILES: [&str; 3] = ["minimal", "classic", "modern"];

/// With a route there is something to send, and a rule's and a dashboard's braces are nobody's template.
const ROUTES: &str = "webhook.routes={default: {chats: [{id: 1}]}, night: {chats: [{id: 2}]}}";

/// A profile as it comes to a cluster: its releases, and the stack's own manifests.
struct Watched {
    profile: &'static str,
    config: Config,
    objects: Vec<Value>,
    /// What helm wrote for the releases of the profile.
    text: String,
}

impl Watched {
    pub(super) async fn new(program: &Path, profile: &'static str, more: &[&str]) -> Self {
        let chosen = format!("monitoring.profile={profile}");
        let config = config("", &[&[chosen.as_str(), ROUTES], more].concat());
        let (never, directory) = (CancellationToken::new(), tempfile::tempdir().unwrap());
        let server = ChartServer::start();
        let settings = settings(program.to_owned(), directory.path());
        let helm = Helm::open(settings, &never).await.unwrap();
        let templates = Templates::embedded();
        let (mut objects, mut text) = (Vec::new(), String::new());
        let here = config.monitoring.namespace.as_str();
        let of_it = |it: &kedactl_config::Release| it.namespace.as_deref() == Some(here);
        for (name, release) in config.wanted_releases().filter(|(_, it)| of_it(it)) {
            let mut release = release.clone();
            let below = release_values(&config, &templates, name, &release).unwrap();
            if let Some(version) = release.version.clone() {
                let chart = release.chart.rsplit('/').next().unwrap().to_owned();
                let schema = schema(&keys(&chart, &version)).to_string();
                let (objects, values) = stand_in(&chart);
                let files = [
                    ("templates/all.yaml", objects),
                    ("values.yaml", values),
                    ("values.schema.json", schema.as_str()),
                ];
                server.add(&chart, &version, packed_chart(&chart, &version, &files));
                (release.chart, release.repo) = (chart, Some(server.url()));
            }
            let helm = helm.clone().beneath(name, below);
            let rendered = helm.render(name, &release, &never).await.unwrap();
            objects.extend(rendered.objects);
            text.push_str(&rendered.text);
        }
        let manifests = templates.render(&config).unwrap();
        objects.extend(manifests.objects.iter().map(|it| it.object.to_json()));
        text = format!("{}---\n{text}", manifests.to_yaml());
        Self {
            profile,
            config,
            objects,
            text,
        }
    }

    pub(super) fn of_kind(&self, kind: &str) -> impl Iterator<Item = &Value> {
        self.objects.iter().filter(move |it| it["kind"] == kind)
    }

    /// The text under a key of whichever `ConfigMap` or Secret has it.
    pub(super) fn file(&self, key: &str) -> &str {
        let all = self.objects.iter();
        let mut all = all.flat_map(|it| [&it["data"][key], &it["stringData"][key]]);
        let text = all.find_map(Value::as_str);
        text.unwrap_or_else(|| panic!("{}: {key}", self.profile))
    }

    pub(super) fn services(&self) -> BTreeMap<&str, u64> {
        let port = |it: &'_ Value| it["spec"]["ports"][0]["port"].as_u64();
        let services = self.of_kind("Service").filter(|it| {
            let namespace = &it["metadata"]["namespace"];
            namespace.is_null() || namespace == self.config.monitoring.namespace.as_str()
        });
        services
            .filter_map(|it| Some((it["metadata"]["name"].as_str()?, port(it)?)))
            .collect()
    }

    pub(super) fn rules(&self) -> Value {
        match self.profile {
            "minimal" => one(self.file("rules.yml"))["groups"].clone(),
            "classic" => one(self.file("alerting_rules.yml"))["groups"].clone(),
            _ => {
                let rules: Vec<&Value> = self.of_kind("PrometheusRule").collect();
                assert_eq!(rules.len(), 1);
                rules[0]["spec"]["groups"].clone()
            }
        }
    }

    pub(super) fn alertmanager(&self) -> &str {
        match self.profile {
            "modern" => self.file("alertmanager.yaml"),
            _ => self.file("alertmanager.yml"),
        }
    }

    /// The folders in which Alertmanager finds Secrets, with their names.
    pub(super) fn secrets(&self) -> BTreeMap<String, String> {
        if self.profile == "modern" {
            let asked = self.of_kind("Alertmanager");
            let names = asked.flat_map(|it| it["spec"]["secrets"].as_array().unwrap());
            // Where the operator mounts them.
            let names = names.map(|it| it.as_str().unwrap().to_owned());
            return names
                .map(|it| (format!("/etc/alertmanager/secrets/{it}"), it))
                .collect();
        }
        let mut sets = self.of_kind("StatefulSet");
        let set = sets.find(|it| it["metadata"]["name"] == "alertmanager");
        let pod = &set.unwrap()["spec"]["template"]["spec"];
        let mounts = pod["containers"][0]["volumeMounts"].as_array();
        let mut found = BTreeMap::new();
        for mount in mounts.into_iter().flatten() {
            let name = match (&mount["secretName"], pod["volumes"].as_array()) {
                (Value::String(name), _) => Some(name.as_str()),
                (_, Some(volumes)) => volumes
                    .iter()
                    .find(|it| it["name"] == mount["name"])
                    .and_then(|it| it["secret"]["secretName"].as_str()),
                _ => None,
            };
            if let Some(name) = name {
                let folder = mount["mountPath"].as_str().unwrap().to_owned();
                found.insert(folder, name.to_owned());
            }
        }
        found
    }

    /// Dashboards by the names of their files, wherever this Grafana looks for them.
    pub(super) fn dashboards(&self) -> BTreeMap<String, Value> {
        let label = |it: &Value| it["metadata"]["labels"]["grafana_dashboard"] == "1";
        let own = |it: &Value| it["metadata"]["name"] == "grafana-dashboards";
        let minimal = self.profile == "minimal";
        let maps: Vec<&Value> = self
            .of_kind("ConfigMap")
            .filter(|it| if minimal { own(it) } else { label(it) })
            .collect();
        let files = maps.iter().filter_map(|it| it["data"].as_object());
        files
            .flatten()
            .map(|(name, text)| {
                let json = serde_json::from_str(text.as_str().unwrap()).unwrap();
                (name.clone(), json)
            })
            .collect()
    }
}

fn one(text: &str) -> Value {
    let mut all = documents(text).unwrap_or_else(|error| panic!("{error:?}\n{text}"));
    all.remove(0)
}

#[tokio::test]
async fn services_have_the_same_names_and_ports() {
    for program in helms() {
        for profile in PROFILES {
            let watched = Watched::new(&program, profile, &[]).await;
            let services = watched.services();
            for (name, port) in [
                ("prometheus", 9090),
                ("alertmanager", 9093),
                ("loki", 3100),
                ("grafana", 80),
            ] {
                assert_eq!(services.get(name), Some(&port), "{profile}: {services:?}");
            }
            // What the stack calls Alertmanager by, for silences.
            let address = watched.config.alertmanager_address();
            assert_eq!(address, "http://alertmanager.keda-monitoring.svc:9093");
        }
    }
}

#[tokio::test]
async fn grafanas_administrator_is_in_the_same_secret_under_the_same_keys() {
    for program in helms() {
        for profile in PROFILES {
            let watched = Watched::new(&program, profile, &[]).await;
            let made = watched
                .config
                .wanted_releases()
                .find_map(|(_, release)| release.secrets.get("grafana-admin"))
                .unwrap_or_else(|| panic!("{profile}"));
            assert_eq!(made.random, ["admin-password"]);
            assert_eq!(&*made.given["admin-user"], "admin");
            if profile == "minimal" {
                let set = watched.of_kind("StatefulSet");
                let set = set
                    .map(Value::to_string)
                    .find(|it| it.contains("grafana-admin"));
                let set = set.unwrap();
                assert!(set.contains(r#""key":"admin-user""#), "{set}");
                assert!(set.contains(r#""key":"admin-password""#), "{set}");
                continue;
            }
            let admin: Value = serde_json::from_str(watched.file("admin")).unwrap();
            let expected = json!({"existingSecret": "grafana-admin", "userKey": "admin-user", "passwordKey": "admin-password"});
            assert_eq!(admin, expected, "{profile}");
        }
    }
}

#[tokio::test]
async fn reviewers_find_nothing_in_the_profile_of_our_own() {
    let images = "images.build=[api, worker, webhook, redis, prometheus, alertmanager]";
    let named =
        "monitoring.images={prometheus: 'kedactl.local/kedactl-prometheus:0123456789abcdef'}";
    for program in helms() {
        for more in [&[][..], &[images, named], &["labels={team: 'yes'}"]] {
            let watched = Watched::new(&program, "minimal", more).await;
            let objects = kedactl_lint::parse("all.yaml", &watched.text).unwrap();
            let report = kedactl_lint::lint(&objects);
            let found = report.findings.iter();
            let found = found.filter(|it| it.rule.severity >= Severity::Note);
            let found: Vec<String> = found
                .map(|it| format!("{} {}: {}", it.rule.id, it.place.name, it.message))
                .collect();
            assert!(found.is_empty(), "{more:?}: {found:#?}");
        }
    }
}
