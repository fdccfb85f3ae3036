//! What Prometheus, Alertmanager and Grafana are told: the same by every profile, and taken by Debian's programs.

use std::collections::{BTreeMap, BTreeSet};

use kedactl_exec::{Run, find};
use kedactl_render::Templates;
use kedactl_render::monitoring::dashboards;
use kedactl_testkit::skipped;
use serde_json::{Value, json};

use super::{PROFILES, Watched, one};
use crate::support::helms;

fn alerts(groups: &Value) -> BTreeSet<&str> {
    let rules = groups.as_array().into_iter().flatten();
    let rules = rules.flat_map(|it| it["rules"].as_array().into_iter().flatten());
    rules.filter_map(|it| it["alert"].as_str()).collect()
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
    assert!(told.len() > 3, "{:?}", told.keys());
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
