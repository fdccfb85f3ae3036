//! A watch that breaks, a server that only lists, a kind that nobody serves.

use std::sync::{Arc, Mutex};

use super::*;
use serde_json::json;

/// What the API server answers: status, and body by whether it is a watch and how many came before.
type Script = fn(watch: bool, before: usize) -> (u16, String);

fn cluster(script: Script) -> Cluster {
    let asked = Arc::new(Mutex::new([0_usize; 2]));
    let service = tower::service_fn(move |request: http::Request<kube::client::Body>| {
        let asked = Arc::clone(&asked);
        async move {
            let query = request.uri().query().unwrap_or_default();
            let watch = query.contains("watch=true") || query.contains("watch=1");
            let before = {
                let mut asked = asked.lock().unwrap();
                let count = &mut asked[usize::from(watch)];
                *count += 1;
                *count - 1
            };
            let (status, body) = script(watch, before);
            http::Response::builder()
                .status(status)
                .header("content-type", "application/json")
                .body(kube::client::Body::from(body.into_bytes()))
        }
    });
    Cluster::over(kube::Client::new(service, "default"))
}

fn pod(name: &str, version: &str) -> Json {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "resourceVersion": version}})
}

fn list(version: &str, pods: &[Json]) -> String {
    json!({"kind": "PodList", "apiVersion": "v1", "metadata": {"resourceVersion": version}, "items": pods})
        .to_string()
}

fn refusal(code: u16) -> (u16, String) {
    let reason = if code == 403 { "Forbidden" } else { "NotFound" };
    let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": "no", "reason": reason, "code": code});
    (code, status.to_string())
}

/// The first sightings, in words.
async fn seen(cluster: &Cluster, kind: (&str, &str), count: usize) -> Vec<String> {
    let (tell, mut sightings) = mpsc::channel(16);
    let reader = async {
        let mut words = Vec::new();
        while words.len() < count {
            words.push(match sightings.recv().await.unwrap() {
                Sighting::Present(object) => {
                    let version = resource_version(&object);
                    format!("{} {version}", text(&object, "/metadata/name"))
                }
                Sighting::Gone(name) => format!("{name} gone"),
                Sighting::Complete => "complete".to_owned(),
                Sighting::Interrupted(_) => "interrupted".to_owned(),
            });
        }
        drop(sightings);
        words
    };
    let watcher = watch(cluster, kind.0, kind.1, "n", tell);
    let both = async { tokio::join!(watcher, reader) };
    let within = tokio::time::timeout(Duration::from_secs(20), both).await;
    let (outcome, words) = within.expect("the watch tells what happens");
    outcome.unwrap();
    words
}

#[tokio::test]
async fn what_changed_while_the_watch_was_broken_is_told_after_the_interruption() {
    let cluster = cluster(|watch, before| match (watch, before) {
        (false, 0) => (200, list("5", &[pod("a", "1"), pod("b", "2")])),
        (false, _) => (200, list("9", &[pod("a", "1"), pod("c", "8")])),
        (true, 0) => {
            let changed = json!({"type": "MODIFIED", "object": pod("b", "6")});
            let expired = json!({"type": "ERROR", "object": {"kind": "Status", "status": "Failure",
                "message": "too old", "reason": "Expired", "code": 410}});
            (200, format!("{changed}\n{expired}\n"))
        }
        (true, _) => (
            200,
            format!("{}\n", json!({"type": "DELETED", "object": pod("a", "10")})),
        ),
    });
    let words = seen(&cluster, ("v1", "Pod"), 9).await;
    assert_eq!(
        words,
        [
            "a 1",
            "b 2",
            "complete",
            "b 6",
            "interrupted",
            "c 8",
            "b gone",
            "complete",
            "a gone"
        ]
    );
}

#[tokio::test]
async fn where_watching_is_forbidden_it_lists() {
    let cluster = cluster(|watch, before| match (watch, before) {
        (true, _) => refusal(403),
        (false, 0 | 1) => (200, list("5", &[pod("a", "1")])),
        (false, _) => (200, list("9", &[pod("b", "8")])),
    });
    let words = seen(&cluster, ("v1", "Pod"), 4).await;
    assert_eq!(words, ["a 1", "complete", "b 8", "a gone"]);
}

#[tokio::test]
async fn a_kind_that_nobody_serves_has_no_objects() {
    let cluster = cluster(|_, _| refusal(404));
    let words = seen(&cluster, ("example.test/v1", "Nothing"), 1).await;
    assert_eq!(words, ["complete"]);
}
