//! Releases of the profiles, and one that a user adds, by the real helm: charts with the published ones' keys and no others.
//! Must not need the published charts, nor repeat what the keys alone tell.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use kedactl_config::{Config, Request, SetArg, load};
use kedactl_render::{Templates, release_values};
use kedactl_testkit::{ChartServer, packed_chart};
use kedactl_tools::helm::{Helm, Rendered};
use kedactl_tools::{CancellationToken, ReleaseName, ToolError};
use serde_json::{Value, json};

use crate::support::{helms, settings};

/// What helm makes of every value: it stands in a `ConfigMap`.
const DUMP: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ .Release.Name }}, namespace: {{ .Release.Namespace }}}\n\
                    data: {values: {{ .Values | toJson | quote }}}\n";

pub(crate) fn config(project: &str, sets: &[&str]) -> Config {
    let request = Request {
        env: "kind".into(),
        project: Some("p".into()),
        sets: sets
            .iter()
            .map(|set| SetArg::Value((*set).into()))
            .collect(),
        ..Request::default()
    };
    let project = project.to_owned();
    let files = move |path: &Path, _: u64| {
        let known = path == Path::new("p/kedactl.yaml");
        let text = known.then(|| project.clone().into_bytes());
        text.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    };
    load(&request, &files).unwrap().config
}

/// A schema that knows these keys and refuses every other one.
pub(crate) fn schema(keys: &str) -> Value {
    let mut root =
        json!({"type": "object", "additionalProperties": false, "properties": {"global": {}}});
    for key in keys.lines().filter(|line| !line.starts_with('#')) {
        let mut place = &mut root;
        let parts: Vec<&str> = key.split('.').collect();
        for (at, part) in parts.iter().enumerate() {
            if *part == "*" {
                *place = json!({});
            } else if at + 1 == parts.len() {
                place["properties"][part] = json!({});
            } else {
                let below = &mut place["properties"][part];
                if below["type"].is_null() {
                    *below =
                        json!({"type": "object", "additionalProperties": false, "properties": {}});
                }
                place = below;
            }
        }
    }
    root
}

pub(crate) fn keys(chart: &str, version: &str) -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../render/tests/chart-keys");
    std::fs::read_to_string(format!("{folder}/{chart}-{version}.txt")).unwrap()
}

/// Renders the releases of a configuration whose charts a server has, under their names and versions.
async fn render(program: &Path, config: &Config) -> BTreeMap<String, Result<Rendered, ToolError>> {
    let (never, directory) = (CancellationToken::new(), tempfile::tempdir().unwrap());
    let server = ChartServer::start();
    let settings = settings(program.to_owned(), directory.path());
    let helm = Helm::open(settings, &never).await.unwrap();
    let mut all = BTreeMap::new();
    for (name, release) in config.wanted_releases() {
        let (Some(version), chart) = (&release.version, release.chart.rsplit('/').next().unwrap())
        else {
            continue;
        };
        let schema = schema(&keys(chart, version)).to_string();
        let files = [
            ("templates/dump.yaml", DUMP),
            ("values.schema.json", schema.as_str()),
        ];
        server.add(chart, version, packed_chart(chart, version, &files));
        let mut here = release.clone();
        (here.chart, here.repo) = (chart.to_owned(), Some(server.url()));
        let below = release_values(config, &Templates::embedded(), name, release).unwrap();
        let helm = helm.clone().beneath(name, below);
        all.insert(name.to_string(), helm.render(name, &here, &never).await);
    }
    all
}

fn values(rendered: &Rendered) -> (String, Value) {
    let map = &rendered.objects[0];
    let text = map["data"]["values"].as_str().unwrap();
    let namespace = map["metadata"]["namespace"].as_str().unwrap().to_owned();
    (namespace, serde_json::from_str(text).unwrap())
}

#[tokio::test]
async fn every_profile_is_taken_by_a_chart_that_knows_the_published_keys_alone() {
    for program in helms() {
        let sets = ["redis.profile=bitnami", "monitoring.profile=classic"];
        let all = render(&program, &config("", &sets)).await;
        let names: Vec<&str> = all.keys().map(String::as_str).collect();
        assert_eq!(names, ["keda", "loki", "metrics-server", "redis"]);
        let (namespace, redis) = values(all["redis"].as_ref().unwrap());
        assert_eq!(namespace, "keda");
        assert_eq!(redis["image"]["repository"], "bitnamilegacy/redis");
        assert_eq!(redis["auth"]["existingSecret"], "redis");
        assert_eq!(redis["sentinel"]["masterSet"], "mymaster");
        let (namespace, loki) = values(all["loki"].as_ref().unwrap());
        assert_eq!(namespace, "keda-monitoring");
        assert_eq!(loki["grafana"]["admin"]["existingSecret"], "grafana-admin");
        let modern = render(&program, &config("", &["monitoring.profile=modern"])).await;
        for name in ["alloy", "kube-prometheus-stack", "loki"] {
            let (namespace, values) = values(modern[name].as_ref().unwrap());
            assert_eq!(namespace, "keda-monitoring");
            assert!(values.to_string().contains("requests"), "{name}");
        }
        // A key that the published chart does not have is an error, as it would do nothing there.
        let wrong = "releases: {loki: {values: {grafanna: {enabled: true}}}}\n";
        let refused = render(&program, &config(wrong, &sets)).await;
        let error = refused["loki"].as_ref().unwrap_err().to_string();
        assert!(error.contains("grafanna"), "{error}");
    }
}

/// The five lines of docs/charts.md, word by word, but for the repository's address.
fn five_lines(url: &str) -> String {
    let docs = include_str!("../../../../docs/charts.md");
    let start = docs.find("```yaml\nreleases:").unwrap() + "```yaml\n".len();
    let lines: Vec<&str> = docs[start..]
        .lines()
        .take_while(|line| *line != "```")
        .collect();
    assert_eq!(lines.len(), 5, "{lines:?}");
    let text = lines.join("\n").replace("https://charts.example.com", url);
    assert!(text.contains(url), "{text}");
    text
}

#[tokio::test]
async fn five_lines_of_values_lead_from_a_repository_to_a_rendered_release() {
    for program in helms() {
        let (never, directory) = (CancellationToken::new(), tempfile::tempdir().unwrap());
        let server = ChartServer::start();
        server.add(
            "hello",
            "1.2.3",
            packed_chart(
                "hello",
                "1.2.3",
                &[("templates/map.yaml", DUMP), ("values.yaml", "a: 1\n")],
            ),
        );
        let config = config(&five_lines(&server.url()), &[]);
        let release = config.release("hello").unwrap();
        let helm = Helm::open(settings(program, directory.path()), &never)
            .await
            .unwrap();
        let name = ReleaseName::new("hello").unwrap();
        let rendered = helm.render(&name, release, &never).await.unwrap();
        assert_eq!(values(&rendered), ("keda".to_owned(), json!({"a": 1})));
        assert_eq!(rendered.objects[0]["metadata"]["name"], "hello");
    }
}
