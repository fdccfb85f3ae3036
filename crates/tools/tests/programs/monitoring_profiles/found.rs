//! What Prometheus finds: by annotations, read by a real one, and by names where it was built without asking the API server.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use kedactl_exec::find;
use kedactl_testkit::{Child, free_port, skipped, until};
use serde_json::{Value, json};

use super::{Watched, one};
use crate::support::helms;

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

/// A job for what a file tells, in the place of what the API server would tell: maps of what that knows of a pod or a Service.
fn told_by_a_file(job: &Value, name: &str, found: &[Value], folder: &Path) -> Value {
    let groups = found.iter().map(|it| {
        let mut labels = json!({});
        for (key, value) in it.as_object().unwrap() {
            labels[format!("__meta_kubernetes_{key}")] = value.clone();
        }
        json!({"targets": ["192.0.2.9:1"], "labels": labels})
    });
    let file = folder.join(format!("{name}.json"));
    std::fs::write(&file, groups.collect::<Value>().to_string()).unwrap();
    let mut job = job.clone();
    let known = job.as_object_mut().unwrap();
    known.remove("kubernetes_sd_configs").unwrap();
    known.insert("job_name".to_owned(), name.into());
    known.insert("file_sd_configs".to_owned(), json!([{"files": [file]}]));
    job
}

/// `/api/v1/targets` of a Prometheus of this machine, once it answers.
fn targets(port: u16) -> Option<Value> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    let request = "GET /api/v1/targets?state=active HTTP/1.0\r\nHost: localhost\r\n\r\n";
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (_, body) = answer.split_once("\r\n\r\n")?;
    serde_json::from_str(body).ok()
}

/// The addresses that a real Prometheus scrapes of each job, and its labels `namespace` and `pod`.
fn scraped(targets: &Value) -> BTreeSet<String> {
    let all = targets["data"]["activeTargets"].as_array();
    all.into_iter()
        .flatten()
        .map(|it| {
            let label = |name: &str| it["labels"][name].as_str().unwrap_or_default();
            let url = it["scrapeUrl"].as_str().unwrap_or_default();
            format!(
                "{} {url} {}/{}",
                label("job"),
                label("namespace"),
                label("pod")
            )
        })
        .collect()
}

#[tokio::test]
async fn what_is_annotated_is_scraped_where_it_says_and_once() {
    let Ok(prometheus) = find("prometheus") else {
        skipped("no prometheus is installed");
        return;
    };
    let annotated = |kind: &str, scrape: &str| {
        let mut it = json!({"namespace": "keda", "pod_name": "worker-1", "pod_ip": "192.0.2.3", "pod_phase": "Running"});
        it[format!("{kind}_annotation_prometheus_io_scrape")] = scrape.into();
        it[format!("{kind}_annotation_prometheus_io_port")] = "9001".into();
        it[format!("{kind}_annotation_prometheus_io_path")] = "/m".into();
        it
    };
    let with = |mut it: Value, key: &str, value: &str| {
        it[key] = value.into();
        it
    };
    let pods = [
        annotated("pod", "true"),
        annotated("pod", "false"),
        with(annotated("pod", "true"), "pod_phase", "Succeeded"),
        with(annotated("pod", "true"), "pod_ip", "2001:db8::1"),
    ];
    let services = [
        annotated("service", "true"),
        // The job of pods has it.
        with(
            annotated("service", "true"),
            "pod_annotation_prometheus_io_scrape",
            "true",
        ),
        annotated("service", "false"),
    ];
    for program in helms() {
        let directory = tempfile::tempdir().unwrap();
        let (mut all, mut expected) = (Vec::new(), BTreeSet::new());
        for profile in ["minimal", "modern"] {
            let watched = Watched::new(&program, profile, &[]).await;
            let jobs = match profile {
                "minimal" => one(watched.file("prometheus.yml"))["scrape_configs"].clone(),
                _ => one(watched.file("jobs.yaml")),
            };
            for (job, kind, found) in [
                (&jobs[0], "pods", &pods[..]),
                (&jobs[1], "services", &services),
            ] {
                assert_eq!(job["job_name"], kind);
                let name = format!("{profile}-{kind}");
                all.push(told_by_a_file(job, &name, found, directory.path()));
                expected.insert(format!("{name} http://192.0.2.3:9001/m keda/worker-1"));
            }
            let six = format!("{profile}-pods http://[2001:db8::1]:9001/m keda/worker-1");
            expected.insert(six);
        }
        let config = directory.path().join("prometheus.yml");
        std::fs::write(&config, json!({"scrape_configs": all}).to_string()).unwrap();
        let port = free_port();
        let arguments = [
            format!("--config.file={}", config.display()),
            format!(
                "--storage.tsdb.path={}",
                directory.path().join("data").display()
            ),
            format!("--web.listen-address=127.0.0.1:{port}"),
        ];
        let log = directory.path().join("log");
        let running = Child::start(&prometheus.display().to_string(), &arguments, &log).unwrap();
        let mut seen = BTreeSet::new();
        until("its targets", Duration::from_mins(1), || {
            seen = targets(port).as_ref().map(scraped).unwrap_or_default();
            seen.len() >= expected.len()
        });
        assert_eq!(seen, expected);
        drop(running);
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
