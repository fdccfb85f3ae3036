//! The rules as promtool reads them.

use std::collections::{BTreeMap, BTreeSet};

use kedactl_config::{Config, documents};
use kedactl_render::monitoring;
use serde_json::Value as Json;

use crate::expression::selectors;
use crate::programs::{config, folder, program, run};

/// Configurations that take every branch of the templates.
const CASES: [(&str, &[&str]); 5] = [
    ("local", &[]),
    ("kind", &[]),
    (
        "kind",
        &[
            "redis={nodes: 1, sentinels: 0, minReplicasToWrite: 0}",
            "api.durability=none",
        ],
    ),
    (
        "context",
        &[
            "redis.sentinelAddresses=['a:1','b:1','c:1']",
            "releases={redis: null}",
        ],
    ),
    (
        "local",
        &["monitoring.rules={holdSeconds: 0, windowSeconds: 4, budget: {windowSeconds: 60}}"],
    ),
];

/// Every rule of the configuration, in its order.
pub(crate) fn rules(config: &Config) -> Vec<Json> {
    let text = monitoring::rules(config).expect("rules");
    let mut parsed = documents(&text).expect("the rules are YAML");
    let groups = parsed.remove(0)["groups"].take();
    let groups = groups.as_array().expect("groups").clone();
    let rules = groups.into_iter().flat_map(|group| {
        let rules = group["rules"].as_array().cloned();
        rules.expect("rules of a group")
    });
    rules.collect()
}

/// Names of the alerts, with their severities.
pub(crate) fn alerts(config: &Config) -> BTreeMap<String, BTreeSet<String>> {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for rule in rules(config) {
        if let Some(name) = rule["alert"].as_str() {
            let severity = rule["labels"]["severity"].as_str().expect("a severity");
            let severities = found.entry(name.to_owned()).or_default();
            severities.insert(severity.to_owned());
        }
    }
    found
}

#[test]
fn every_rule_is_one_for_promtool() {
    let Some(promtool) = program("promtool") else {
        return;
    };
    for (env, sets) in CASES {
        let text = monitoring::rules(&config(env, sets)).unwrap();
        let folder = folder(&[("rules.yml", &text)]);
        let args = ["check", "rules", "--lint-fatal", "rules.yml"];
        let checked = run(&promtool, &args, folder.path());
        assert!(checked.is_ok(), "{env} {sets:?}: {checked:?}\n{text}");
    }
}

/// Names such as `redis_up` are exported by others of a cluster, too; KEDA's have the namespace in either of two labels.
#[test]
fn what_is_the_stacks_is_taken_from_its_namespace() {
    const OF_THE_STACK: [&str; 6] = [
        "asynq_",
        "http_server_",
        "kedactl_",
        "kube_",
        "messaging_",
        "redis_",
    ];
    for rule in rules(&config("kind", &["namespace=shop"])) {
        let expression = rule["expr"].as_str().expect("an expression");
        for selector in selectors(expression) {
            if OF_THE_STACK.iter().any(|it| selector.name.starts_with(it)) {
                let own = selector.matchers.contains("namespace=\"shop\"");
                let recorded = selector.name.contains(':');
                assert!(own || recorded, "`{}` in {expression}", selector.name);
            }
        }
    }
}

#[test]
fn every_alert_says_what_it_is() {
    let config = config("kind", &[]);
    for rule in rules(&config) {
        let Some(name) = rule["alert"].as_str() else {
            let record = rule["record"].as_str().unwrap();
            assert!(record.starts_with("kedactl:"), "{record}");
            continue;
        };
        let severity = rule["labels"]["severity"].as_str().unwrap();
        assert!(
            ["critical", "warning", "none"].contains(&severity),
            "{name}"
        );
        let said = &rule["annotations"];
        for annotation in ["summary", "description"] {
            let text = said[annotation].as_str().unwrap();
            assert!(text.len() > 20 || annotation == "summary", "{name}: {text}");
        }
        let runbook = format!(
            "{}#{}",
            config.monitoring.alerts.runbooks,
            name.to_lowercase()
        );
        assert_eq!(said["runbook"], runbook.as_str(), "{name}");
    }
}
