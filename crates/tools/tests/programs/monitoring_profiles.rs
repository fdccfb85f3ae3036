//! One contract over the three profiles of the monitoring: names, Secrets, rules, dashboards, and the way to the webhook.
//! Must not need the published charts: stand-ins name and mount what those do, with their keys and no others.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use kedactl_config::{Config, documents};
use kedactl_exec::{Run, find};
use kedactl_lint::Severity;
use kedactl_render::monitoring::dashboards;
use kedactl_render::{Templates, release_values};
use kedactl_testkit::{ChartServer, packed_chart, skipped};
use kedactl_tools::CancellationToken;
use kedactl_tools::helm::Helm;
use serde_json::{Value, json};

use crate::network::{Network, Pod};
use crate::profiles::{config, keys, schema};
use crate::support::{helms, settings};

const PROFILES: [&str; 3] = ["minimal", "classic", "modern"];

/// With a route there is something to send, and a rule's and a dashboard's braces are nobody's template.
const ROUTES: &str = "webhook.routes={default: {chats: [{id: 1}]}, night: {chats: [{id: 2}]}}";

/// Objects of loki-stack, whose parts are charts of their own, under the names that it gives them.
const CLASSIC: &str = r#"
apiVersion: v1
kind: Service
metadata: {name: {{ .Release.Name }}}
spec: {ports: [{port: 3100}]}
---
apiVersion: v1
kind: Service
metadata: {name: {{ .Values.grafana.fullnameOverride | default (printf "%s-grafana" .Release.Name) }}}
spec: {ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: {{ .Values.prometheus.server.fullnameOverride | default (printf "%s-prometheus-server" .Release.Name) }}}
spec: {ports: [{port: {{ .Values.prometheus.server.service.servicePort }}}]}
---
apiVersion: v1
kind: Service
metadata: {name: {{ .Values.prometheus.alertmanager.fullnameOverride | default (printf "%s-alertmanager" .Release.Name) }}}
spec: {ports: [{port: 9093}]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: prometheus-server}
data:
  alerting_rules.yml: |
    {{- toYaml (index .Values.prometheus.serverFiles "alerting_rules.yml") | nindent 4 }}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: alertmanager}
data:
  alertmanager.yml: |
    {{- toYaml .Values.prometheus.alertmanager.config | nindent 4 }}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: alertmanager}
spec:
  template:
    spec:
      containers: [{name: a, image: a, volumeMounts: {{ toJson .Values.prometheus.alertmanager.extraSecretMounts }}}]
---
apiVersion: v1
kind: ConfigMap
metadata: {name: of-grafana}
data:
  admin: {{ toJson .Values.grafana.admin | quote }}
  label: {{ printf "%s=%s" .Values.grafana.sidecar.dashboards.label .Values.grafana.sidecar.dashboards.labelValue | quote }}
"#;

const CLASSIC_VALUES: &str = "prometheus:\n  server: {service: {servicePort: 80}}\n  serverFiles: {alerting_rules.yml: {}}\n  \
    alertmanager:\n    extraSecretMounts: []\n    config: {templates: ['/etc/alertmanager/*.tmpl'], \
    receivers: [{name: default-receiver}], route: {receiver: default-receiver, repeat_interval: 3h}}\n";

/// Objects of kube-prometheus-stack: the operator makes pods of them, and mounts the Secrets that are named.
const MODERN: &str = r#"
{{- $name := .Release.Name }}
apiVersion: v1
kind: Service
metadata: {name: {{ $name }}-prometheus}
spec: {ports: [{port: 9090}]}
---
apiVersion: v1
kind: Service
metadata: {name: {{ .Values.grafana.fullnameOverride | default (printf "%s-grafana" $name) }}}
spec: {ports: [{port: 80}]}
---
apiVersion: v1
kind: Secret
metadata: {name: alertmanager-{{ $name }}-alertmanager}
stringData: {alertmanager.yaml: {{ toYaml .Values.alertmanager.config | quote }}}
---
apiVersion: v1
kind: Secret
metadata: {name: {{ $name }}-scrape}
stringData: {jobs.yaml: {{ tpl (toYaml .Values.prometheus.prometheusSpec.additionalScrapeConfigs) . | quote }}}
---
apiVersion: monitoring.coreos.com/v1
kind: Alertmanager
metadata: {name: {{ $name }}-alertmanager}
spec: {secrets: {{ toJson .Values.alertmanager.alertmanagerSpec.secrets }}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: of-grafana}
data:
  admin: {{ toJson .Values.grafana.admin | quote }}
  label: grafana_dashboard=1
{{- range $rules, $value := .Values.additionalPrometheusRulesMap }}
---
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata: {name: {{ $rules }}}
spec:
  groups:
    {{- toYaml $value.groups | nindent 4 }}
{{- end }}
{{- range .Values.extraManifests }}
---
{{ tpl (toYaml .) $ }}
{{- end }}
"#;

const MODERN_VALUES: &str = "alertmanager:\n  alertmanagerSpec: {secrets: []}\n  config: {global: {resolve_timeout: 5m}, \
    route: {receiver: 'null', group_by: [namespace], routes: [{receiver: 'null', matchers: ['alertname = \"Watchdog\"']}]}, \
    receivers: [{name: 'null'}], templates: ['/etc/alertmanager/config/*.tmpl']}\nextraManifests: []\n";

const SERVICE: &str = "apiVersion: v1\nkind: Service\nmetadata: {name: {{ .Release.Name }}}\nspec: {ports: [{port: 3100}]}\n";
const NOTHING: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ .Release.Name }}}\n";

/// Templates and values of the stand-in for a chart.
fn stand_in(chart: &str) -> (&'static str, &'static str) {
    match chart {
        "loki-stack" => (CLASSIC, CLASSIC_VALUES),
        "kube-prometheus-stack" => (MODERN, MODERN_VALUES),
        "loki" => (SERVICE, ""),
        _ => (NOTHING, ""),
    }
}

/// A profile as it comes to a cluster: its releases, and the stack's own manifests.
struct Watched {
    profile: &'static str,
    config: Config,
    objects: Vec<Value>,
    /// What helm wrote for the releases of the profile.
    text: String,
}

impl Watched {
    async fn new(program: &Path, profile: &'static str, more: &[&str]) -> Self {
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

    fn of_kind(&self, kind: &str) -> impl Iterator<Item = &Value> {
        self.objects.iter().filter(move |it| it["kind"] == kind)
    }

    /// The text under a key of whichever `ConfigMap` or Secret has it.
    fn file(&self, key: &str) -> &str {
        let all = self.objects.iter();
        let mut all = all.flat_map(|it| [&it["data"][key], &it["stringData"][key]]);
        let text = all.find_map(Value::as_str);
        text.unwrap_or_else(|| panic!("{}: {key}", self.profile))
    }

    fn services(&self) -> BTreeMap<&str, u64> {
        let port = |it: &'_ Value| it["spec"]["ports"][0]["port"].as_u64();
        let services = self.of_kind("Service").filter(|it| {
            let namespace = &it["metadata"]["namespace"];
            namespace.is_null() || namespace == self.config.monitoring.namespace.as_str()
        });
        services
            .filter_map(|it| Some((it["metadata"]["name"].as_str()?, port(it)?)))
            .collect()
    }

    fn rules(&self) -> Value {
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

    fn alertmanager(&self) -> &str {
        match self.profile {
            "modern" => self.file("alertmanager.yaml"),
            _ => self.file("alertmanager.yml"),
        }
    }

    /// The folders in which Alertmanager finds Secrets, with their names.
    fn secrets(&self) -> BTreeMap<String, String> {
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
    fn dashboards(&self) -> BTreeMap<String, Value> {
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

fn alerts(groups: &Value) -> BTreeSet<&str> {
    let rules = groups.as_array().into_iter().flatten();
    let rules = rules.flat_map(|it| it["rules"].as_array().into_iter().flatten());
    rules.filter_map(|it| it["alert"].as_str()).collect()
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
async fn rules_are_the_same_to_the_last_brace() {
    for program in helms() {
        let mut first: Option<Value> = None;
        for profile in PROFILES {
            let watched = Watched::new(&program, profile, &[]).await;
            let told = one(&Templates::embedded().rules(&watched.config).unwrap());
            let rules = watched.rules();
            assert_eq!(rules, told["groups"], "{profile}");
            assert!(rules.to_string().contains("{{ $"), "texts have braces");
            let alerts = alerts(&rules);
            assert!(
                alerts.contains("Watchdog") && alerts.len() > 10,
                "{alerts:?}"
            );
            assert_eq!(first.get_or_insert_with(|| rules.clone()), &rules);
        }
    }
}

#[tokio::test]
async fn dashboards_are_the_same() {
    let told: BTreeMap<String, Value> = dashboards()
        .iter()
        .map(|it| {
            let json = serde_json::from_str(it.json).unwrap();
            (format!("{}.json", it.name), json)
        })
        .collect();
    for program in helms() {
        for profile in PROFILES {
            let watched = Watched::new(&program, profile, &[]).await;
            assert_eq!(watched.dashboards(), told, "{profile}");
            if profile != "minimal" {
                assert_eq!(watched.file("label"), "grafana_dashboard=1", "{profile}");
            }
        }
    }
}

#[tokio::test]
async fn alertmanager_posts_to_the_webhook_with_a_token_that_is_mounted() {
    for program in helms() {
        for profile in PROFILES {
            let watched = Watched::new(&program, profile, &[]).await;
            let config = one(watched.alertmanager());
            let names: Vec<&str> = config["receivers"]
                .as_array()
                .unwrap()
                .iter()
                .filter_map(|it| it["name"].as_str())
                .collect();
            assert_eq!(
                names,
                ["null", "webhook-default", "webhook-night"],
                "{profile}"
            );
            assert_eq!(config["route"]["receiver"], "webhook-default");
            for (route, at) in [("default", 1), ("night", 2)] {
                let way = &config["receivers"][at]["webhook_configs"][0];
                let url = format!("http://webhook.keda.svc:8080/v1/alerts/{route}");
                assert_eq!(way["url"], url.as_str(), "{profile}");
                assert_eq!(way["send_resolved"], true);
                // A younger Alertmanager may be told how long to wait.
                assert_eq!(way["timeout"].is_string(), profile == "modern", "{profile}");
                let authorization = &way["http_config"]["authorization"];
                let file = authorization["credentials_file"].as_str().unwrap();
                let (folder, key) = file.rsplit_once('/').unwrap();
                assert_eq!(key, "token");
                let secrets = watched.secrets();
                let mounted = secrets.get(folder).map(String::as_str);
                assert_eq!(mounted, Some("webhook-token"), "{profile}: {secrets:?}");
            }
        }
    }
}

#[tokio::test]
async fn nothing_is_sent_and_nothing_is_mounted_without_a_route() {
    for program in helms() {
        for profile in PROFILES {
            let none = "webhook.routes={default: null, night: null}";
            let watched = Watched::new(&program, profile, &[none]).await;
            assert!(watched.config.webhook.routes.is_empty());
            let config = one(watched.alertmanager());
            assert_eq!(config["receivers"], json!([{"name": "null"}]), "{profile}");
            assert_eq!(config["route"]["receiver"], "null");
            assert!(!watched.secrets().values().any(|it| it == "webhook-token"));
        }
    }
}

/// Where the programs are: what they say of each profile's files.
#[tokio::test]
async fn debians_programs_take_the_files_of_every_profile() {
    let (Ok(amtool), Ok(promtool)) = (find("amtool"), find("promtool")) else {
        skipped("no amtool or no promtool is installed");
        return;
    };
    for program in helms() {
        for profile in PROFILES {
            let watched = Watched::new(&program, profile, &[]).await;
            let directory = tempfile::tempdir().unwrap();
            let file = |name: &str, text: &str| {
                let path = directory.path().join(name);
                std::fs::write(&path, text).unwrap();
                path.display().to_string()
            };
            // The chart's own templates lie in the pod.
            let mut config = one(watched.alertmanager());
            config.as_object_mut().unwrap().remove("templates");
            let check = |text: String| {
                let path = file("alertmanager.yml", &text);
                Run::new(&amtool).args(["check-config", &path]).run()
            };
            let asked = check(config.to_string());
            if profile == "modern" {
                // It is one field that this version does not know.
                asked.unwrap_err();
                for receiver in config["receivers"].as_array_mut().unwrap() {
                    let ways = receiver["webhook_configs"].as_array_mut();
                    for way in ways.into_iter().flatten() {
                        way.as_object_mut().unwrap().remove("timeout");
                    }
                }
                check(config.to_string()).unwrap();
            } else {
                asked.unwrap_or_else(|error| panic!("{profile}: {error}"));
            }
            let rules = file("rules.yml", &json!({"groups": watched.rules()}).to_string());
            let said = Run::new(&promtool).args(["check", "rules", &rules]).run();
            said.unwrap_or_else(|error| panic!("{profile}: {error}"));
        }
    }
}

/// What the operator adds to its own jobs finds what the other two find.
#[tokio::test]
async fn the_operators_prometheus_finds_what_is_annotated() {
    for program in helms() {
        let watched = Watched::new(&program, "modern", &["namespace=shop"]).await;
        let jobs = one(watched.file("jobs.yaml"));
        let names: Vec<&Value> = jobs
            .as_array()
            .unwrap()
            .iter()
            .map(|it| &it["job_name"])
            .collect();
        assert_eq!(names, ["pods", "services"]);
        for job in jobs.as_array().unwrap() {
            let places = &job["kubernetes_sd_configs"][0]["namespaces"]["names"];
            assert_eq!(places, &json!(["shop", "keda-system"]));
            // KEDA's own labels stay what they are, as the rules expect.
            assert_eq!(job["honor_labels"], true);
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

/// Who may talk to whom, by the policies of the chart and of the stack together.
#[tokio::test]
async fn the_monitoring_reaches_what_it_needs_and_nobody_else_does() {
    for program in helms() {
        let watched = Watched::new(&program, "minimal", &[]).await;
        let network = Network::new(&watched.objects);
        let pod = |name: &'static str| {
            let mut all = watched.objects.iter();
            let found =
                all.find(|it| it["metadata"]["name"] == name && it["spec"]["template"].is_object());
            Pod::of(name, found.unwrap_or_else(|| panic!("{name}")))
        };
        let [prometheus, alertmanager, loki, alloy, grafana, objects] = [
            "prometheus",
            "alertmanager",
            "loki",
            "alloy",
            "grafana",
            "kube-state-metrics",
        ]
        .map(pod);
        let [api, worker, webhook] = ["api", "worker", "webhook"].map(pod);
        let keda = Pod::new("keda", "keda-system", &[("app", "keda-operator")]);
        let stranger = Pod::new("stranger", "keda-monitoring", &[("app", "x")]);
        for (from, to, port, may) in [
            (&prometheus, &api, 9001, true),
            (&prometheus, &worker, 9001, true),
            (&prometheus, &webhook, 9001, true),
            (&prometheus, &keda, 8080, true),
            (&prometheus, &objects, 8080, true),
            (&prometheus, &alertmanager, 9093, true),
            (&prometheus, &loki, 3100, true),
            (&prometheus, &grafana, 3000, true),
            (&prometheus, &alloy, 12345, true),
            (&alertmanager, &webhook, 8080, true),
            (&webhook, &alertmanager, 9093, true),
            (&grafana, &prometheus, 9090, true),
            (&grafana, &loki, 3100, true),
            (&alloy, &loki, 3100, true),
            (&alertmanager, &api, 9001, false),
            (&grafana, &api, 9001, false),
            (&loki, &prometheus, 9090, false),
            (&api, &alertmanager, 9093, false),
            (&worker, &prometheus, 9090, false),
            (&api, &loki, 3100, false),
            (&webhook, &grafana, 3000, false),
            (&stranger, &prometheus, 9090, false),
            (&stranger, &alertmanager, 9093, false),
            (&stranger, &loki, 3100, false),
        ] {
            let can = network.connects(from, to, "TCP", port);
            assert_eq!(can, may, "{} to {}:{port}", from.name, to.name);
        }
        let dns = Pod::new("dns", "kube-system", &[("k8s-app", "kube-dns")]);
        for from in [
            &prometheus,
            &alertmanager,
            &loki,
            &alloy,
            &grafana,
            &objects,
        ] {
            assert!(network.connects(from, &dns, "UDP", 53), "{}", from.name);
            assert!(!network.leaves(from, [8, 8, 8, 8].into(), "TCP", 80));
            // The API server's address is not known, and these three ask it.
            let asks = ["prometheus", "alloy", "kube-state-metrics"].contains(&from.name);
            let can = network.leaves(from, [10, 0, 0, 1].into(), "TCP", 6443);
            assert_eq!(can, asks, "{}", from.name);
        }
    }
}

/// A Prometheus that cannot ask the API server is told names, and asks nobody else.
#[tokio::test]
async fn what_is_made_from_this_machines_programs_finds_its_targets_by_name() {
    for program in helms() {
        let build = "images.build=[api, worker, webhook, redis, prometheus, alertmanager]";
        let watched = Watched::new(&program, "minimal", &[build]).await;
        let config = watched.file("prometheus.yml");
        assert!(!config.contains("kubernetes_sd_configs"), "{config}");
        for name in ["api", "worker", "webhook"] {
            let target = format!("keda-monitoring-{name}.keda.svc");
            assert!(config.contains(&target), "{config}");
            let mut services = watched.of_kind("Service");
            let service = services
                .find(|it| it["metadata"]["name"] == format!("keda-monitoring-{name}").as_str())
                .unwrap();
            let mut deployments = watched.of_kind("Deployment");
            let deployment = deployments
                .find(|it| it["metadata"]["name"] == name)
                .unwrap();
            assert_eq!(
                service["spec"]["selector"], deployment["spec"]["selector"]["matchLabels"],
                "{name}"
            );
        }
        let roles = watched
            .of_kind("Role")
            .map(|it| it["metadata"]["name"].clone());
        let roles: BTreeSet<String> = roles.map(|it| it.to_string()).collect();
        assert!(
            !roles.iter().any(|it| it.contains("prometheus")),
            "{roles:?}"
        );
    }
}
