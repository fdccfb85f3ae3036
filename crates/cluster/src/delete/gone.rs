//! Waits until one object is gone, and knows what may hold it.
//! Must not remove a finalizer but KEDA's, from an object but ours, and never without saying so.

use std::time::Duration;

use kube::core::params::ListParams;
use serde_json::{Value as Json, json};
use tokio::time::{Instant, sleep};

use super::remove::Pace;
use crate::connect::Cluster;
use crate::error::Error;
use crate::names::KEDA_FINALIZER;
use crate::object::{ObjectRef, condition, items, number, resource_version, text};

/// How long KEDA's operator may take for its finalizer, whatever the patience: it needs a moment, and where it does not
/// do it then, it does not do it at all.
const KEDA_WITHIN: Duration = Duration::from_secs(30);

/// What is waited for.
pub(crate) struct Waiter<'a> {
    pub(crate) cluster: &'a Cluster,
    pub(crate) object: &'a ObjectRef,
    pub(crate) uid: &'a str,
    pub(crate) pace: Pace,
}

/// So long may finalizers of others stand unchanged before a run that has to go on gives up: their controllers act within seconds.
pub(crate) const HELD: Duration = Duration::from_secs(15);

/// Returns once the object of that UID is gone; with a note where its finalizer had to be removed.
pub(crate) async fn wait_gone(it: &Waiter<'_>) -> Result<Option<String>, Error> {
    let start = Instant::now();
    let mut pause = Duration::from_millis(50);
    let mut note = None;
    let mut others: Option<(String, Instant)> = None;
    loop {
        let live = it.cluster.get(it.object).await?;
        let Some(live) = live.filter(|live| text(live, "/metadata/uid") == it.uid) else {
            return Ok(note);
        };
        let waited = start.elapsed();
        let held = note.is_none() && held_by_keda(it.object, &live);
        if held {
            note = release(it, &live, waited).await?;
        }
        others = held_by_others(it.object, &live).map(|by| match others.take() {
            Some((known, since)) if known == by => (known, since),
            _ => (by, Instant::now()),
        });
        let lasts = others.as_ref().map(|(_, since)| since.elapsed());
        let hopeless = it.pace.held.zip(lasts).is_some_and(|(most, it)| it >= most);
        if hopeless || waited >= limit(it.pace.patience, held && note.is_none()) {
            return Err(stuck(it.object, &live, waited));
        }
        sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(500));
    }
}

/// How long an object may take to go.
fn limit(patience: Duration, held_by_keda: bool) -> Duration {
    if held_by_keda {
        patience.min(KEDA_WITHIN)
    } else {
        patience
    }
}

fn held_by_keda(object: &ObjectRef, live: &Json) -> bool {
    let deleted = !text(live, "/metadata/deletionTimestamp").is_empty();
    let held = items(live, "/metadata/finalizers")
        .iter()
        .any(|it| it == KEDA_FINALIZER);
    object.group() == "keda.sh" && deleted && held
}

/// Finalizers that neither Kubernetes nor KEDA removes, on the object or, as a namespace says, on what is left in it.
fn held_by_others(object: &ObjectRef, live: &Json) -> Option<String> {
    let names = if object.kind == "Namespace" {
        let condition = condition(live, "NamespaceFinalizersRemaining")?;
        let said = text(condition, "/message");
        let (_, names) = said.split_once("remaining: ")?;
        (text(condition, "/status") == "True").then(|| names.to_owned())?
    } else {
        let all = items(live, "/metadata/finalizers").iter();
        all.filter_map(Json::as_str).collect::<Vec<_>>().join(", ")
    };
    let passing = [
        "kubernetes.io/",
        "foregroundDeletion",
        "orphan",
        KEDA_FINALIZER,
    ];
    (!names.is_empty() && !passing.iter().any(|it| names.contains(it))).then_some(names)
}

/// The escape hatch: KEDA alone removes this finalizer, and where KEDA is gone nobody does.
async fn release(it: &Waiter<'_>, live: &Json, waited: Duration) -> Result<Option<String>, Error> {
    let why = if it.pace.release_finalizers {
        "as was asked for"
    } else if waited >= it.pace.orphaned && !operator_runs(it.cluster).await {
        "no KEDA operator is there to do it"
    } else {
        return Ok(None);
    };
    let rest: Vec<&Json> = items(live, "/metadata/finalizers")
        .iter()
        .filter(|it| *it != KEDA_FINALIZER)
        .collect();
    let body = json!({"metadata": {"finalizers": rest, "resourceVersion": resource_version(live)}});
    match it.cluster.merge(it.object, &body).await {
        Ok(_) => {
            let note = format!("{KEDA_FINALIZER} was removed: {why}");
            tracing::warn!(object = %it.object, "{note}");
            Ok(Some(note))
        }
        // It went or changed meanwhile: the next look decides.
        Err(Error::Api { source, .. }) if source.is_not_found() || source.is_conflict() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether a KEDA operator runs anywhere. Where we may not look, it is taken to run.
pub(crate) async fn operator_runs(cluster: &Cluster) -> bool {
    let by_name = ListParams::default().fields("metadata.name=keda-operator");
    let by_label = ListParams::default().labels("app.kubernetes.io/name=keda-operator");
    for query in [by_name, by_label] {
        match cluster.list_by("apps/v1", "Deployment", None, query).await {
            Ok(found) => {
                let available = |it: &Json| number(it, "/status/availableReplicas").unwrap_or(0);
                if found.iter().any(|it| available(it) > 0) {
                    return true;
                }
            }
            Err(_) => return true,
        }
    }
    false
}

fn stuck(object: &ObjectRef, live: &Json, waited: Duration) -> Error {
    let finalizers: Vec<&str> = items(live, "/metadata/finalizers")
        .iter()
        .filter_map(Json::as_str)
        .collect();
    // A namespace says what is left in it.
    let remains: Vec<&str> = items(live, "/status/conditions")
        .iter()
        .filter(|it| text(it, "/status") == "True")
        .map(|it| text(it, "/message"))
        .filter(|it| !it.is_empty())
        .collect();
    let (reason, cure) = if finalizers.contains(&KEDA_FINALIZER) {
        (
            format!("{KEDA_FINALIZER} is not removed by the KEDA operator"),
            "look at the operator's log (kubectl logs -A -l app.kubernetes.io/name=keda-operator); \
             to go on without it: kedactl down --release-finalizers"
                .to_owned(),
        )
    } else if let Some(names) = held_by_others(object, live) {
        let reason = if remains.is_empty() {
            format!("it waits for finalizer {names}")
        } else {
            remains.join("; ")
        };
        let cure = "let the controllers of these finalizers finish; where one is gone, take its finalizer off \
                    (kubectl edit, metadata.finalizers)";
        (reason, cure.to_owned())
    } else if !remains.is_empty() {
        (
            remains.join("; "),
            "delete what is left in it, or let its controllers finish".to_owned(),
        )
    } else if !finalizers.is_empty() {
        (
            format!("it waits for finalizer {}", finalizers.join(", ")),
            "see whether the controller of that finalizer runs".to_owned(),
        )
    } else {
        (
            "its pods are still stopping".to_owned(),
            "run the command again, or see what its pods wait for".to_owned(),
        )
    };
    Error::Stuck {
        object: Box::new(object.clone()),
        reason,
        waited,
        cure,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[test]
    fn only_a_deleted_keda_object_is_held_by_keda() {
        let scaler = ObjectRef::new("keda.sh/v1alpha1", "ScaledObject", Some("n"), "w");
        let map = ObjectRef::new("v1", "ConfigMap", Some("n"), "w");
        let held = json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": [KEDA_FINALIZER]}});
        let living = json!({"metadata": {"finalizers": [KEDA_FINALIZER]}});
        let other =
            json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["x"]}});
        assert!(held_by_keda(&scaler, &held));
        assert!(
            !held_by_keda(&map, &held)
                && !held_by_keda(&scaler, &living)
                && !held_by_keda(&scaler, &other)
        );
    }

    #[test]
    fn what_holds_an_object_is_named() {
        let namespace = ObjectRef::new("v1", "Namespace", None, "keda");
        let live = json!({"status": {"conditions": [
            {"type": "NamespaceContentRemaining", "status": "True", "message": "scaledobjects.keda.sh has 1 resource instances"},
            {"type": "NamespaceDeletionContentFailure", "status": "False", "message": "fine"}]}});
        insta::assert_snapshot!(stuck(&namespace, &live, Duration::from_mins(1)),
            @"Namespace keda is still there 60 s after its deletion: scaledobjects.keda.sh has 1 resource instances");
        let live = json!({"metadata": {"finalizers": [KEDA_FINALIZER]}});
        assert!(
            stuck(&namespace, &live, Duration::from_secs(1))
                .hint()
                .unwrap()
                .contains("--release-finalizers")
        );
    }

    #[test]
    fn finalizers_that_kubernetes_or_keda_remove_pass_by_themselves() {
        let namespace = ObjectRef::new("v1", "Namespace", None, "keda");
        let said = |names: &str| {
            let message =
                format!("Some content in the namespace has finalizers remaining: {names}");
            json!({"status": {"conditions": [
                {"type": "NamespaceFinalizersRemaining", "status": "True", "message": message}]}})
        };
        let held = said("example.org/held in 1 resource instances");
        let by = held_by_others(&namespace, &held).unwrap();
        assert_eq!(by, "example.org/held in 1 resource instances");
        for passing in [
            "kubernetes.io/pvc-protection in 3 resource instances",
            KEDA_FINALIZER,
        ] {
            assert_eq!(held_by_others(&namespace, &said(passing)), None);
        }
        let map = ObjectRef::new("v1", "ConfigMap", Some("keda"), "held");
        let live = json!({"metadata": {"finalizers": ["example.org/held"]}});
        assert_eq!(held_by_others(&map, &live).unwrap(), "example.org/held");
        assert_eq!(held_by_others(&map, &json!({})), None);
        let hint = stuck(&map, &live, Duration::from_secs(15)).hint().unwrap();
        assert!(hint.contains("take its finalizer off"), "{hint}");
    }

    /// An API server with one `ScaledObject` that is being deleted, and with or without an operator.
    fn api_server(operator: bool) -> (Cluster, Arc<Mutex<Vec<String>>>) {
        let released = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&released);
        let service = tower::service_fn(move |request: http::Request<kube::client::Body>| {
            let log = Arc::clone(&log);
            async move {
                let path = request.uri().path().to_owned();
                let mut log = log.lock().unwrap();
                let body = if path.ends_with("/deployments") {
                    let count = u8::from(operator);
                    json!({"items": [{"metadata": {"name": "keda-operator"}, "status": {"availableReplicas": count}}]})
                } else if request.method() == http::Method::PATCH {
                    log.push(path);
                    json!({})
                } else if log.is_empty() {
                    json!({"metadata": {"uid": "u", "resourceVersion": "7", "deletionTimestamp": "2026-01-01T00:00:00Z",
                        "finalizers": [KEDA_FINALIZER]}})
                } else {
                    let gone = json!({"kind": "Status", "status": "Failure", "reason": "NotFound", "code": 404});
                    let answer = http::Response::builder().status(404);
                    return answer.body(kube::client::Body::from(gone.to_string().into_bytes()));
                };
                http::Response::builder()
                    .body(kube::client::Body::from(body.to_string().into_bytes()))
            }
        });
        let cluster = Cluster::over(kube::Client::new(service, "default"));
        (cluster, released)
    }

    async fn wait(cluster: &Cluster, release_finalizers: bool) -> Result<Option<String>, Error> {
        let pace = Pace {
            patience: Duration::from_secs(2),
            orphaned: Duration::from_millis(300),
            held: None,
            release_finalizers,
        };
        let object = &ObjectRef::new("keda.sh/v1alpha1", "ScaledObject", Some("n"), "w");
        wait_gone(&Waiter {
            cluster,
            object,
            uid: "u",
            pace,
        })
        .await
    }

    #[tokio::test]
    async fn without_an_operator_the_finalizer_goes_after_a_while_and_it_is_said() {
        let (cluster, released) = api_server(false);
        let start = Instant::now();
        let note = wait(&cluster, false).await.unwrap().unwrap();
        assert!(note.contains("no KEDA operator is there"), "{note}");
        assert!(
            start.elapsed() >= Duration::from_millis(300),
            "{:?}",
            start.elapsed()
        );
        assert_eq!(released.lock().unwrap().len(), 1);
    }

    #[test]
    fn an_operator_that_does_not_let_go_is_told_long_before_the_patience_ends() {
        let patient = Duration::from_mins(3);
        assert_eq!(limit(patient, true), KEDA_WITHIN);
        assert_eq!(limit(patient, false), patient);
        assert_eq!(limit(Duration::from_secs(2), true), Duration::from_secs(2));
    }

    #[tokio::test]
    async fn with_an_operator_the_finalizer_stays_and_the_wait_is_bounded() {
        let (cluster, released) = api_server(true);
        let error = wait(&cluster, false).await.unwrap_err();
        assert!(
            error
                .to_string()
                .contains("is not removed by the KEDA operator"),
            "{error}"
        );
        assert!(released.lock().unwrap().is_empty());
        assert!(
            wait(&cluster, true)
                .await
                .unwrap()
                .unwrap()
                .contains("as was asked for")
        );
    }
}
