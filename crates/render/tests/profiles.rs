//! Every profile against the keys of the chart that it is for, so that no value goes where nobody looks.
//! The charts themselves are elsewhere; what is checked in are their keys, each list with the files that they were checked against.

#[expect(dead_code, reason = "shared with the other tests")]
mod support;

use std::fs;
use std::path::Path;

use kedactl_render::{Templates, release_values};
use serde_json::Value as Json;
use support::config;

/// Environments and values that lead to every key that a profile may say.
const CASES: &[(&str, &[&str])] = &[
    ("kind", &[]),
    ("context", &["redis.profile=bitnami"]),
    (
        "kind",
        &[
            "redis={profile: bitnami, nodes: 1, sentinels: 0, minReplicasToWrite: 0}",
            "redis.storage={size: 1Gi, storageClass: fast}",
            "api.durability=none",
            "annotations={a.b/c: '1'}",
        ],
    ),
    ("kind", &["monitoring.profile=classic", ROUTES]),
    ("context", &["monitoring.profile=modern", ROUTES]),
    ("kind", &["monitoring.profile=minimal", ROUTES]),
];

/// With a route there is a token for Alertmanager.
const ROUTES: &str = "webhook.routes={default: {chats: [{id: 1}]}}";

/// Dotted paths of everything that is not a map; an empty map is a path too.
fn paths(value: &Json, path: &str, found: &mut Vec<String>) {
    match value {
        Json::Object(map) if !map.is_empty() => {
            for (key, inner) in map {
                let below = if path.is_empty() {
                    key.clone()
                } else {
                    format!("{path}.{key}")
                };
                paths(inner, &below, found);
            }
        }
        _ => found.push(path.to_owned()),
    }
}

fn knows(keys: &[String], path: &str) -> bool {
    keys.iter().any(|key| match key.strip_suffix(".*") {
        Some(free) => path == free || path.starts_with(&format!("{free}.")),
        None => key == path,
    })
}

#[test]
fn every_value_of_a_profile_is_a_key_of_its_chart() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/chart-keys");
    let mut checked = std::collections::BTreeSet::new();
    for (env, sets) in CASES {
        let config = config(env, sets);
        for (name, release) in config.wanted_releases() {
            let Some(version) = &release.version else {
                let own = release.is_own_redis() || release.is_own_monitoring();
                assert!(own, "{name} is pinned");
                continue;
            };
            let chart = release.chart.rsplit('/').next().unwrap();
            let file = format!("{chart}-{version}.txt");
            let text = fs::read_to_string(folder.join(&file))
                .unwrap_or_else(|error| panic!("the keys of {file}: {error}"));
            let keys: Vec<String> = text
                .lines()
                .filter(|line| !line.starts_with('#'))
                .map(str::to_owned)
                .collect();
            let mut given = Vec::new();
            let below = release_values(&config, &Templates::embedded(), name, release).unwrap();
            paths(&Json::Object(below), "", &mut given);
            paths(&Json::Object(release.values.clone()), "", &mut given);
            given.retain(|path| !path.is_empty());
            assert!(!given.is_empty(), "{name}");
            let unknown: Vec<&String> = given.iter().filter(|path| !knows(&keys, path)).collect();
            assert!(
                unknown.is_empty(),
                "{env} {sets:?}: {file} has no {unknown:?}"
            );
            checked.insert(file);
        }
    }
    let files = fs::read_dir(folder).unwrap();
    let files: Vec<String> = files
        .map(|it| it.unwrap().file_name().into_string().unwrap())
        .collect();
    let unused: Vec<&String> = files.iter().filter(|it| !checked.contains(*it)).collect();
    assert!(unused.is_empty(), "no profile is for {unused:?}");
}

#[test]
fn a_key_that_the_chart_does_not_have_is_noticed() {
    let keys = ["a.b".to_owned(), "free.*".to_owned()];
    assert!(knows(&keys, "a.b") && knows(&keys, "free") && knows(&keys, "free.x.y"));
    assert!(!knows(&keys, "a") && !knows(&keys, "a.b.c") && !knows(&keys, "freedom.x"));
}

#[test]
fn bitnamis_chart_is_told_what_the_section_says() {
    let config = config(
        "kind",
        &[
            "redis={profile: bitnami, master: tasks, nodes: 5, sentinels: 5, downAfterMs: 5000, failoverTimeoutMs: 20000}",
        ],
    );
    let release = config.release("redis").unwrap();
    let name = kedactl_config::ReleaseName::new("redis").unwrap();
    let values = release_values(&config, &Templates::embedded(), &name, release).unwrap();
    let values = Json::Object(values);
    let sentinel = &values["sentinel"];
    assert_eq!(sentinel["masterSet"], "tasks");
    assert_eq!(
        (&sentinel["quorum"], &values["replica"]["replicaCount"]),
        (&3.into(), &5.into())
    );
    assert_eq!(sentinel["downAfterMilliseconds"], 5000);
    assert_eq!(sentinel["failoverTimeout"], 20000);
    assert_eq!(values["auth"]["existingSecret"], "redis");
    assert_eq!(
        values["auth"]["existingSecretPasswordKey"],
        "redis-password"
    );
    assert_eq!(values["fullnameOverride"], "redis");
    let common = values["commonConfiguration"].as_str().unwrap();
    assert_eq!(
        common,
        "appendonly yes\nappendfsync everysec\nsave \"\"\nmin-replicas-to-write 1\nmin-replicas-max-lag 5"
    );
    // One password for both, so that the key is one.
    assert_eq!(config.redis.secret.sentinel_password_key, "redis-password");
}

/// The chart refuses replicas of two ways to run Loki, and has three of each of these parts by default.
#[test]
fn loki_runs_in_one_way_alone() {
    let config = config("kind", &["monitoring.profile=modern"]);
    let loki = Json::Object(config.release("loki").unwrap().values.clone());
    assert_eq!(loki["deploymentMode"], "Monolithic");
    assert_eq!(loki["singleBinary"]["replicas"], 1);
    for part in ["backend", "read", "write"] {
        assert_eq!(loki[part]["replicas"], 0, "{part}");
    }
}
