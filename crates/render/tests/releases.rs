//! Values of releases: what our own chart of Redis is told, and what a template of the user's may say.
//! Snapshots stand beside the templates; that the chart obeys is tested where helm is.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use kedactl_config::{Config, ReleaseName, Request, load};
use kedactl_render::{RenderError, Templates, release_values};
use serde_json::{Map, Value as Json, json};
use support::config;

fn reader(files: &[(&str, &str)]) -> impl Fn(&Path, u64) -> io::Result<Vec<u8>> + use<> {
    let files: BTreeMap<PathBuf, Vec<u8>> = files
        .iter()
        .map(|(name, text)| (PathBuf::from(name), text.as_bytes().to_vec()))
        .collect();
    move |path, _| {
        let found = files.get(path.strip_prefix(".").unwrap_or(path)).cloned();
        found.ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

fn values_of(config: &Config, templates: &Templates, name: &str) -> Result<Json, RenderError> {
    let name = ReleaseName::new(name).expect("it is a name");
    let release = config.releases[&name].as_ref().expect("it is wanted");
    release_values(config, templates, &name, release).map(Json::Object)
}

fn redis(config: &Config) -> Result<Json, RenderError> {
    values_of(config, &Templates::embedded(), "redis")
}

fn snapshot(name: &str, values: &Json) {
    let text = kedactl_config::to_yaml(values).expect("it is YAML");
    support::snapshot(name, &text);
}

#[test]
fn what_our_own_chart_is_told() {
    snapshot("redis-default", &redis(&config("kind", &[])).unwrap());
    let every = [
        "name=shop",
        "namespace=shop-tasks",
        "labels={team: 'yes'}",
        "annotations={example.com/on-call: '012'}",
        "keda.namespace=scaling",
        "monitoring.namespace=watch",
        "network.dnsAddresses=[169.254.20.10/32]",
        "redis={nodes: 5, sentinels: 5, master: on, downAfterMs: 5000, failoverTimeoutMs: 20000}",
        "redis={minReplicasToWrite: 2, minReplicasMaxLagSeconds: 9, appendfsync: no, antiAffinity: hard}",
        "redis.secret={name: shop-redis, passwordKey: a, sentinelPasswordKey: b}",
        "redis.image=registry.example.com:5000/redis:8.2@sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "redis.storage={size: 10, storageClass: fast}",
        "redis.resources={requests: {cpu: 1}, limits: {cpu: null}}",
    ];
    snapshot(
        "redis-every-option",
        &redis(&config("kind", &every)).unwrap(),
    );
    let single = [
        "redis={nodes: 1, sentinels: 0, minReplicasToWrite: 0, image: 'redis:8'}",
        "api.durability=none",
    ];
    snapshot("redis-single", &redis(&config("context", &single)).unwrap());
}

/// Each key of the section `redis` reaches the chart, is refused, or is one that only clients need.
#[test]
fn no_value_of_the_section_is_ignored_without_a_word() {
    let clients = BTreeSet::from(["address", "database", "sentinelAddresses"]);
    let changes = json!({
        "antiAffinity": "hard", "appendfsync": "always", "downAfterMs": 900, "failoverTimeoutMs": 7000,
        "image": "redis:8", "master": "other", "minReplicasMaxLagSeconds": 7, "minReplicasToWrite": 0,
        "nodes": 5, "resources": {"limits": {"cpu": "3"}}, "secret": {"name": "other"}, "sentinels": 2,
        "sentinelUsername": "watch", "storage": {"size": "3Gi"}, "username": "app",
        "tls": {"secretName": "tls", "clientCertificate": false, "insecureSkipVerify": false},
    });
    let changes = changes.as_object().unwrap();
    let before = redis(&config("local", &[])).unwrap();
    let section = serde_json::to_value(config("local", &[]).redis).unwrap();
    for key in section.as_object().unwrap().keys() {
        let key = key.as_str();
        // The profile chooses the chart.
        if clients.contains(key) || key == "profile" {
            continue;
        }
        let change = format!("redis.{key}={}", changes[key]);
        let after = redis(&config("local", &[&change]));
        assert!(
            after.map_or(true, |after| after != before),
            "{change} is ignored"
        );
    }
    // The other built-in profile obeys the same keys.
    let bitnami = |more: &[&str]| {
        let sets = [&["redis.profile=bitnami"], more].concat();
        redis(&config("local", &sets))
    };
    let before = bitnami(&[]).unwrap();
    for key in changes.keys() {
        let change = format!("redis.{key}={}", changes[key]);
        let after = bitnami(&[&change]);
        assert!(
            after.map_or(true, |after| after != before),
            "{change} is ignored by the profile bitnami"
        );
    }
}

#[test]
fn what_the_chart_cannot_do_is_refused_with_a_cure() {
    let mut shown = Vec::new();
    for set in [
        "redis.tls={secretName: x, clientCertificate: true, insecureSkipVerify: false}",
        "redis.username=app",
        "redis.sentinelUsername=watch",
        "redis.sentinels=5",
    ] {
        let error = redis(&config("local", &[set])).unwrap_err();
        shown.push(format!(
            "{error}\nhint: {}",
            error.hint.clone().unwrap_or_default()
        ));
    }
    insta::assert_snapshot!(shown.join("\n\n"));
}

/// What a release `a` of a project gets, with a template of this text at this path.
fn own(declared: &str, file: &str, text: &str) -> Result<Json, RenderError> {
    let project =
        format!("namespace: shop\nreleases: {{a: {{chart: ./a, valuesTemplate: {declared}}}}}\n");
    let files = reader(&[("p/kedactl.yaml", project.as_str()), (file, text)]);
    let request = Request {
        env: "kind".into(),
        project: Some("p".into()),
        ..Request::default()
    };
    let config = load(&request, &files).expect("the project is right").config;
    let project = Some(Path::new("p"));
    let templates = Templates::load(project, &files)?.with_releases(&config, project, &files)?;
    values_of(&config, &templates, "a")
}

#[test]
fn a_template_of_the_users_gives_values_of_the_right_types() {
    let text = "host: {{yaml namespace}}\nport: {{yaml api.port}}\nlabels:{{toYaml computed.labels indent=2}}\nword: yes\n";
    for (declared, file) in [
        ("releases/a.yaml.hbs", "p/templates/releases/a.yaml.hbs"),
        ("./a.hbs", "p/a.hbs"),
        ("/etc/a.hbs", "/etc/a.hbs"),
    ] {
        let values = own(declared, file, text).unwrap();
        assert_eq!(values["host"], "shop", "{declared}");
        assert_eq!(values["port"], 8000);
        assert_eq!(values["labels"]["kedactl.io/stack"], "kedactl");
        assert_eq!(values["word"], "yes");
    }
    assert_eq!(
        own("./a.hbs", "p/a.hbs", "{{! nothing }}\n").unwrap(),
        json!({})
    );
    let none = values_of(&config("kind", &[]), &Templates::embedded(), "keda");
    assert_eq!(none.unwrap(), Json::Object(Map::new()));
}

#[test]
fn a_projects_template_of_a_built_in_release_wins() {
    let files = reader(&[(
        "p/templates/releases/redis/own.yaml.hbs",
        "mine: {{yaml redis.nodes}}\n",
    )]);
    let templates = Templates::load(Some(Path::new("p")), &files).unwrap();
    let values = values_of(&config("kind", &[]), &templates, "redis").unwrap();
    assert_eq!(values, json!({"mine": 3}));
    // Values of charts are no manifests.
    assert_eq!(
        templates.render(&config("kind", &[])).unwrap(),
        Templates::embedded().render(&config("kind", &[])).unwrap()
    );
}

#[test]
fn what_is_wrong_with_a_template_is_told_at_its_place() {
    let mut shown = Vec::new();
    for (declared, text) in [
        ("./a.hbs", "a: 1\nhost: {{yaml namespce}}\n"),
        ("./a.hbs", "{{#if redis}}\n"),
        ("./a.hbs", "a: 1\na: 2\n"),
        ("./a.hbs", "[a, b]\n"),
        ("./a.hbs", "a: 1\n---\nb: 2\n"),
        ("./missing.hbs", ""),
        ("releases/redis/own.yaml", ""),
    ] {
        let error = own(declared, "p/a.hbs", text).unwrap_err();
        let hint = error.hint.as_deref().map(|hint| format!("\nhint: {hint}"));
        shown.push(format!("{error}{}", hint.unwrap_or_default()));
    }
    insta::assert_snapshot!(shown.join("\n\n"));
}
