//! Every alert fires when it must, as it must, and not otherwise: cases of `alerts/*.yaml`, in the form of promtool's unit tests.
//!
//! A case leaves out what is the same in all: the annotation `runbook`. It must not be told apart from a rules file that is not there:
//! what no case tests is a failure.

use std::collections::{BTreeMap, BTreeSet};

use kedactl_config::documents;
use kedactl_render::monitoring;
use serde_json::{Value as Json, json};

use crate::programs::{config, config_of, folder, program, run};
use crate::rules::alerts;

/// Cases under one configuration.
struct File {
    text: &'static str,
    /// How often the rules are evaluated.
    interval: &'static str,
    profiles: &'static [&'static str],
    sets: &'static [&'static str],
}

const fn file(text: &'static str, interval: &'static str) -> File {
    File {
        text,
        interval,
        profiles: &[],
        sets: &[],
    }
}

const API: File = file(include_str!("alerts/api.yaml"), "1m");
const AUTOSCALING: File = file(include_str!("alerts/autoscaling.yaml"), "1m");
const BUDGET: File = file(include_str!("alerts/budget.yaml"), "5m");
const CALM: File = file(include_str!("alerts/calm.yaml"), "5m");
const FAST: File = File {
    text: include_str!("alerts/fast.yaml"),
    interval: "1s",
    profiles: &["fast"],
    sets: &[],
};
const QUEUE: File = file(include_str!("alerts/queue.yaml"), "1m");
const REDIS: File = file(include_str!("alerts/redis.yaml"), "1m");
const SLOW: File = File {
    text: include_str!("alerts/slow.yaml"),
    interval: "5m",
    profiles: &[],
    sets: &["monitoring.rules.budget.windowSeconds=1200"],
};
const WATCH: File = file(include_str!("alerts/watch.yaml"), "1m");
const WEBHOOK: File = file(include_str!("alerts/webhook.yaml"), "1m");
const WORKERS: File = file(include_str!("alerts/workers.yaml"), "1m");

const FILES: [File; 11] = [
    API,
    AUTOSCALING,
    BUDGET,
    CALM,
    FAST,
    QUEUE,
    REDIS,
    SLOW,
    WATCH,
    WEBHOOK,
    WORKERS,
];

fn cases(text: &str) -> Vec<Json> {
    let parsed = documents(text).expect("the file is YAML").pop();
    let cases = parsed.and_then(|cases| cases.as_array().cloned());
    cases.expect("a list of cases")
}

/// A case as promtool wants it.
fn complete(case: &mut Json, runbooks: &str) {
    let tests = case["alert_rule_test"].as_array_mut();
    for test in tests.into_iter().flatten() {
        let name = test["alertname"].as_str().expect("a name").to_lowercase();
        for alert in test["exp_alerts"].as_array_mut().into_iter().flatten() {
            alert["exp_annotations"]["runbook"] = json!(format!("{runbooks}#{name}"));
        }
    }
    if case["interval"].is_null() {
        case["interval"] = json!("1m");
    }
    // What fires besides: Prometheus keeps it as a series.
    let of = |at: &Json| {
        let names = at["alerts"].as_array().expect("names");
        let sample = |name: &Json| json!({ "labels": format!("{{alertname={name}}}"), "value": 1 });
        json!({
            "expr": "count by (alertname) (ALERTS{alertstate='firing'})",
            "eval_time": at["eval_time"],
            "exp_samples": names.iter().map(sample).collect::<Vec<_>>(),
        })
    };
    let firing = case.as_object_mut().and_then(|case| case.remove("firing"));
    if let Some(firing) = firing {
        let tests = firing.as_array().expect("a list").iter().map(of);
        case["promql_expr_test"] = tests.collect();
    }
}

/// Has promtool run the cases of a file against the rendered rules.
fn hold(file: &File) {
    let Some(promtool) = program("promtool") else {
        return;
    };
    let config = config_of("kind", file.profiles, file.sets);
    let rules = monitoring::rules(&config).expect("rules");
    let mut tests = cases(file.text);
    for case in &mut tests {
        complete(case, &config.monitoring.alerts.runbooks);
    }
    let tests = json!({
        "rule_files": ["rules.yml"],
        "evaluation_interval": file.interval,
        "tests": tests,
    });
    let folder = folder(&[("rules.yml", &rules), ("tests.yml", &tests.to_string())]);
    let told = run(&promtool, &["test", "rules", "tests.yml"], folder.path());
    if let Err(told) = told {
        panic!("{told}");
    }
}

#[test]
fn the_api() {
    hold(&API);
}

#[test]
fn budgets_of_hours() {
    hold(&BUDGET);
}

#[test]
fn budgets_of_days() {
    hold(&SLOW);
}

#[test]
fn autoscaling() {
    hold(&AUTOSCALING);
}

#[test]
fn platforms_on_which_nothing_is_wrong() {
    hold(&CALM);
}

#[test]
fn a_demonstration() {
    hold(&FAST);
}

#[test]
fn queues() {
    hold(&QUEUE);
}

#[test]
fn redis_and_its_sentinels() {
    hold(&REDIS);
}

#[test]
fn the_monitoring_itself() {
    hold(&WATCH);
}

#[test]
fn the_webhook() {
    hold(&WEBHOOK);
}

#[test]
fn workers() {
    hold(&WORKERS);
}

/// Each alert, in each severity, is seen to fire, and seen not to.
#[test]
fn every_alert_has_its_cases() {
    let mut fired: BTreeSet<(String, String)> = BTreeSet::new();
    let mut calm: BTreeSet<String> = BTreeSet::new();
    for file in FILES {
        for case in cases(file.text) {
            for test in case["alert_rule_test"].as_array().into_iter().flatten() {
                let name = test["alertname"].as_str().unwrap().to_owned();
                let expected = test["exp_alerts"].as_array().unwrap();
                if expected.is_empty() {
                    calm.insert(name.clone());
                }
                for alert in expected {
                    let severity = &alert["exp_labels"]["severity"];
                    fired.insert((name.clone(), severity.as_str().unwrap().to_owned()));
                }
            }
        }
    }
    let all: BTreeMap<String, BTreeSet<String>> = alerts(&config("kind", &[]));
    let every = all
        .iter()
        .flat_map(|(name, severities)| severities.iter().map(|it| (name.clone(), it.clone())));
    let missing: Vec<_> = every.filter(|alert| !fired.contains(alert)).collect();
    assert!(
        missing.is_empty(),
        "no case in which they fire: {missing:?}"
    );
    let always = ["Watchdog"];
    let restless: Vec<_> = all
        .keys()
        .filter(|name| !calm.contains(*name) && !always.contains(&name.as_str()))
        .collect();
    assert!(
        restless.is_empty(),
        "no case in which they do not: {restless:?}"
    );
}
