//! What the programs export: every metric with its type, its labels and what it says, as the registries themselves have it.
//!
//! It must not list what is not registered, nor leave out what is: the reference in `docs/` is generated from it.

use std::time::Duration;

use http::{Method, StatusCode};

use crate::api::{ApiMetrics, RefusedLabel};
use crate::metrics::{QueueReading, render};
use crate::webhook::metrics::WebhookMetrics;
use crate::worker::WorkerMetrics;

/// One metric of one of the programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exported {
    /// `api`, `worker` or `webhook`.
    pub program: &'static str,
    /// As Prometheus stores it: with `_total` where it is a counter, without `_bucket` where it is a histogram.
    pub name: String,
    /// `counter`, `gauge` or `histogram`.
    pub kind: String,
    pub labels: Vec<String>,
    pub meaning: String,
}

/// Every metric, in the order of the registries.
pub fn exported() -> Vec<Exported> {
    let mut all = read("api", &api());
    all.extend(read("worker", &worker()));
    all.extend(read("webhook", &webhook()));
    all
}

/// What a program answers on `/metrics`, with one series of each metric; empty for one that is not known.
pub fn example(program: &str) -> String {
    match program {
        "api" => api(),
        "worker" => worker(),
        "webhook" => webhook(),
        _ => String::new(),
    }
}

fn api() -> String {
    let metrics = ApiMetrics::default();
    let took = Duration::ZERO;
    metrics.answered(&Method::GET, "/v1/queues", StatusCode::OK, took);
    metrics.sent.add("default", 1);
    let refused = RefusedLabel { error_type: "full" };
    metrics.refused.get_or_create(&refused).inc();
    metrics.redis.touch();
    metrics.queues.set(&[QueueReading {
        queue: "default".to_owned(),
        ..QueueReading::default()
    }]);
    render(&metrics.registry)
}

fn worker() -> String {
    let metrics = WorkerMetrics::default();
    metrics.started("default");
    metrics.ended("default", "echo", "done", Duration::ZERO);
    render(&metrics.registry)
}

fn webhook() -> String {
    let metrics = WebhookMetrics::default();
    metrics.touch();
    render(&metrics.registry)
}

/// Reads an exposition: `# HELP`, `# TYPE`, and the labels of the first series.
fn read(program: &'static str, text: &str) -> Vec<Exported> {
    let mut all: Vec<Exported> = Vec::new();
    for line in text.lines() {
        if let Some((name, meaning)) = described(line, "# HELP ") {
            all.push(Exported {
                program,
                name: name.to_owned(),
                kind: String::new(),
                labels: Vec::new(),
                meaning: meaning.trim_end_matches('.').to_owned(),
            });
        } else if let (Some((_, kind)), Some(last)) = (described(line, "# TYPE "), all.last_mut()) {
            kind.clone_into(&mut last.kind);
            if kind == "counter" {
                last.name.push_str("_total");
            }
        } else if let Some(last) = all.last_mut()
            && last.labels.is_empty()
        {
            last.labels = labels(line);
        }
    }
    all
}

fn described<'l>(line: &'l str, what: &str) -> Option<(&'l str, &'l str)> {
    line.strip_prefix(what)?.split_once(' ')
}

/// Names of the labels of a series, but for a histogram's own.
fn labels(line: &str) -> Vec<String> {
    let inside = line
        .split_once('{')
        .and_then(|(_, rest)| rest.split_once('}'));
    let pairs = inside.map_or("", |(inside, _)| inside).split("\",");
    let names = pairs.filter_map(|pair| Some(pair.split_once('=')?.0.to_owned()));
    names.filter(|name| name != "le").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_and_labels_are_read_from_the_registries() {
        let all = exported();
        let find = |name: &str| all.iter().find(|it| it.name == name).unwrap();
        let requests = find("http_server_request_duration_seconds");
        assert_eq!(requests.kind, "histogram");
        assert_eq!(
            requests.labels,
            [
                "http_request_method",
                "http_route",
                "http_response_status_code"
            ]
        );
        assert_eq!(requests.meaning, "Time to answer");
        let processed = find("asynq_tasks_processed_total");
        assert_eq!(
            (processed.kind.as_str(), processed.labels.as_slice()),
            ("counter", &["queue".to_owned()][..])
        );
        assert_eq!(find("asynq_tasks_enqueued_total").kind, "gauge");
        assert_eq!(find("kedactl_worker_slots").labels, [""; 0]);
    }

    /// A metric without a series here would be listed without its labels.
    #[test]
    fn every_family_has_a_series() {
        for text in [api(), worker(), webhook()] {
            let mut described_last: Option<&str> = None;
            for line in text.lines() {
                if let Some((name, _)) = described(line, "# HELP ") {
                    assert_eq!(described_last, None, "give it a series above");
                    described_last = Some(name);
                } else if !line.starts_with('#') {
                    described_last = None;
                }
            }
            assert_eq!(described_last, None, "give it a series above");
        }
    }
}
