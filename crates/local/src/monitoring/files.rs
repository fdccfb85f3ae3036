//! The files of Prometheus and Alertmanager: their configuration, the rules, and which pods there are to be asked.
//! Must not hold a password: Alertmanager reads the webhook's token from a file of its own.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use kedactl_config::Webhook;
use serde_json::{Value as Json, json};

use super::Monitoring;
use crate::context::Context;
use crate::layout::{make_dir, write_json, write_private};
use crate::{LocalError, PodPhase, StackState};

/// The port of a pod that is asked for metrics, by its name in the manifest.
const METRICS: &str = "metrics";

/// Writes everything that both read. Called again where what they are given changed.
pub(crate) fn write(context: &Context, given: &Monitoring) -> Result<(), LocalError> {
    for name in super::NAMES {
        make_dir(&context.layout.data(name))?;
    }
    let prometheus = context.layout.data("prometheus");
    write_private(&prometheus.join("rules.yml"), given.rules.as_bytes())?;
    let config = kedactl_config::to_yaml(&prometheus_config(context)).map_err(|error| {
        LocalError::Damaged {
            path: prometheus.join("prometheus.yml"),
            message: error.to_string(),
        }
    })?;
    write_private(&prometheus.join("prometheus.yml"), config.as_bytes())?;
    let alertmanager = context.layout.data("alertmanager");
    let text = context.here(&given.alertmanager);
    write_private(&alertmanager.join("alertmanager.yml"), text.as_bytes())
}

/// Addresses and paths of a cluster with what they are on this machine.
pub(crate) fn swaps(context: &Context) -> Vec<(String, String)> {
    let (config, identity) = (&context.config, &context.identity);
    let token = context.layout.webhook_token().display().to_string();
    vec![
        (
            config.webhook_address(),
            format!("http://127.0.0.1:{}", identity.webhook),
        ),
        (
            config.alertmanager_address(),
            format!("http://127.0.0.1:{}", identity.alertmanager),
        ),
        (Webhook::TOKEN_FILE.to_owned(), token),
    ]
}

fn prometheus_config(context: &Context) -> Json {
    let identity = &context.identity;
    let every = format!("{}s", context.config.local.scrape_seconds);
    let here = |port: u16| json!([{"targets": [format!("127.0.0.1:{port}")]}]);
    let job = |name: &str, port: u16| json!({"job_name": name, "static_configs": here(port)});
    json!({
        "global": {"scrape_interval": every, "evaluation_interval": every},
        "rule_files": ["rules.yml"],
        "alerting": {"alertmanagers": [{"static_configs": here(identity.alertmanager)}]},
        "scrape_configs": [
            {"job_name": "pods", "file_sd_configs": [{"files": ["targets.json"]}], "relabel_configs": [
                {"source_labels": ["container"], "target_label": "job"},
            ]},
            {"job_name": "supervisor", "honor_labels": true, "static_configs": here(identity.exporter)},
            job("prometheus", identity.prometheus),
            job("alertmanager", identity.alertmanager),
        ],
    })
}

/// The pods that can be asked, as Prometheus' file discovery has it.
fn targets(state: &StackState, namespace: &str) -> Json {
    let pods = state
        .workloads
        .iter()
        .flat_map(|(name, workload)| workload.pods.iter().map(move |pod| (name, pod)));
    let running = pods.filter(|(_, pod)| pod.phase == PodPhase::Running);
    let target = running.filter_map(|(workload, pod)| {
        let port = pod.ports.get(METRICS)?;
        Some(json!({
            "targets": [format!("127.0.0.1:{port}")],
            "labels": {"namespace": namespace, "pod": pod.name, "container": workload},
        }))
    });
    target.collect()
}

/// Writes the list of pods whenever one comes or goes, for ever.
pub(crate) async fn keep_targets(context: Arc<Context>) {
    let mut board = context.board.watch();
    let path = context.layout.data("prometheus").join("targets.json");
    let mut written = None;
    loop {
        let now = context
            .board
            .read(|state| targets(state, &context.config.namespace));
        if written.as_ref() != Some(&now) {
            match write_json(&path, &now) {
                Ok(()) => written = Some(now),
                Err(error) => tracing::error!(%error, "targets"),
            }
        }
        if board.changed().await.is_err() {
            return;
        }
    }
}

/// Program and arguments of one of the two.
pub(crate) fn command(context: &Context, name: &str) -> Option<(PathBuf, Vec<OsString>)> {
    let programs = context.programs.monitoring.as_ref()?;
    let data = context.layout.data(name);
    let file = |name: &str| data.join(name).display().to_string();
    let identity = &context.identity;
    let here = |port: u16| format!("127.0.0.1:{port}");
    let (program, args) = if name == "prometheus" {
        let keep = context.config.local.retention_hours;
        let args = vec![
            format!("--config.file={}", file("prometheus.yml")),
            format!("--storage.tsdb.path={}", file("tsdb")),
            format!("--storage.tsdb.retention.time={keep}h"),
            format!("--web.listen-address={}", here(identity.prometheus)),
            // Links in messages; without it the name of this machine, which nothing listens on.
            format!("--web.external-url=http://{}", here(identity.prometheus)),
        ];
        (&programs.prometheus, args)
    } else {
        let args = vec![
            format!("--config.file={}", file("alertmanager.yml")),
            format!("--storage.path={}", file("state")),
            format!("--web.listen-address={}", here(identity.alertmanager)),
            format!("--web.external-url=http://{}", here(identity.alertmanager)),
            // It has no peers, and the port of their talk would be open to everybody.
            "--cluster.listen-address=".to_owned(),
        ];
        (&programs.alertmanager, args)
    };
    Some((
        program.clone(),
        args.into_iter().map(OsString::from).collect(),
    ))
}
