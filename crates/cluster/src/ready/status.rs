//! The state of one object from its own fields: the rules of kstatus, without their traps.
//! Must stay a pure function of the object: what other objects say is judged elsewhere.

use serde::Serialize;
use serde_json::Value as Json;

use crate::object::{condition, condition_is, items, number, text};

/// What an object says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "status", content = "why", rename_all = "snake_case")]
pub enum Status {
    /// It is as it should be. The note says more where there is more to say: "idle at 0 replicas".
    Ready(String),
    /// It is on its way.
    InProgress(String),
    /// It will not get there by itself.
    Failed(String),
    /// It is being deleted.
    Terminating,
}

impl Status {
    /// Whether it is as it should be.
    pub fn is_ready(&self) -> bool {
        matches!(self, Self::Ready(_))
    }
}

fn ready() -> Status {
    Status::Ready(String::new())
}

fn wait(why: impl Into<String>) -> Status {
    Status::InProgress(why.into())
}

/// Reads the state of an object.
pub fn status(object: &Json) -> Status {
    if !text(object, "/metadata/deletionTimestamp").is_empty() {
        return Status::Terminating;
    }
    let generation = number(object, "/metadata/generation");
    // Some controllers write it as text; what is no number is not compared.
    let observed = number(object, "/status/observedGeneration");
    if let (Some(generation), Some(observed)) = (generation, observed)
        && observed < generation
    {
        return wait("its controller has not seen the last change yet");
    }
    if condition_is(object, "Stalled", "True") {
        return Status::Failed(said(object, "Stalled"));
    }
    if condition_is(object, "Reconciling", "True") {
        return wait(said(object, "Reconciling"));
    }
    let group = text(object, "/apiVersion")
        .split_once('/')
        .map_or("", |(group, _)| group);
    match (group, text(object, "/kind")) {
        ("apps", "Deployment") => deployment(object),
        ("apps", "StatefulSet") => stateful_set(object),
        ("apps", "DaemonSet") => daemon_set(object),
        ("apps", "ReplicaSet") => replica_set(object),
        ("batch", "Job") => job(object),
        ("", "Pod") => pod(object),
        ("", "PersistentVolumeClaim") => claim(object),
        ("", "Namespace") => by_phase(object, "Active"),
        ("", "Service") => service(object),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => by_condition(object, "Established"),
        ("apiregistration.k8s.io", "APIService") => by_condition(object, "Available"),
        ("keda.sh", "ScaledObject" | "ScaledJob") => scaler(object),
        (
            "" | "autoscaling" | "policy" | "batch" | "networking.k8s.io" | "coordination.k8s.io",
            _,
        ) => ready(),
        _ => custom(object),
    }
}

/// Reason and message of a condition.
fn said(object: &Json, kind: &str) -> String {
    let Some(it) = condition(object, kind) else {
        return format!("condition {kind} is not there yet");
    };
    match (text(it, "/reason"), text(it, "/message")) {
        ("", "") => format!("condition {kind} is {}", text(it, "/status")),
        (reason, "") => reason.to_owned(),
        ("", message) => message.to_owned(),
        (reason, message) => format!("{reason}: {message}"),
    }
}

fn by_condition(object: &Json, kind: &str) -> Status {
    if condition_is(object, kind, "True") {
        ready()
    } else {
        wait(said(object, kind))
    }
}

fn by_phase(object: &Json, good: &str) -> Status {
    match text(object, "/status/phase") {
        phase if phase == good => ready(),
        "" => wait("it has no phase yet"),
        phase => wait(format!("it is {phase}")),
    }
}

fn count(object: &Json, field: &str) -> i64 {
    number(object, &format!("/status/{field}")).unwrap_or(0)
}

/// Controllers that make pods report the refusal of their making.
fn replica_failure(object: &Json) -> Option<Status> {
    let failed = condition_is(object, "ReplicaFailure", "True");
    failed.then(|| Status::Failed(said(object, "ReplicaFailure")))
}

fn unobserved(object: &Json) -> bool {
    object
        .get("status")
        .is_none_or(|it| it.as_object().is_none_or(serde_json::Map::is_empty))
}

fn deployment(object: &Json) -> Status {
    let wanted = number(object, "/spec/replicas").unwrap_or(1);
    if unobserved(object) {
        return wait("its controller has not seen it yet");
    }
    if let Some(failed) = replica_failure(object) {
        return failed;
    }
    if let Some(progress) = condition(object, "Progressing")
        && text(progress, "/reason") == "ProgressDeadlineExceeded"
    {
        return Status::Failed(said(object, "Progressing"));
    }
    let (all, updated) = (count(object, "replicas"), count(object, "updatedReplicas"));
    if wanted == 0 {
        return Status::Ready("idle at 0 replicas".into());
    }
    let (available, ready_now) = (
        count(object, "availableReplicas"),
        count(object, "readyReplicas"),
    );
    if updated < wanted {
        return wait(format!("{updated} of {wanted} pods are of the new version"));
    }
    if all > updated {
        return wait(format!(
            "{} pods of the old version are still there",
            all - updated
        ));
    }
    if ready_now < wanted || available < wanted {
        return wait(format!(
            "{} of {wanted} pods are available",
            available.min(ready_now)
        ));
    }
    if condition_is(object, "Available", "False") {
        return wait(said(object, "Available"));
    }
    Status::Ready(format!("{wanted} of {wanted}"))
}

fn stateful_set(object: &Json) -> Status {
    let wanted = number(object, "/spec/replicas").unwrap_or(1);
    if unobserved(object) {
        return wait("its controller has not seen it yet");
    }
    let ready_now = count(object, "readyReplicas");
    if ready_now < wanted {
        return wait(format!("{ready_now} of {wanted} pods are ready"));
    }
    if count(object, "replicas") > wanted {
        return wait("pods beyond the wanted number are still there");
    }
    let on_delete = text(object, "/spec/updateStrategy/type") == "OnDelete";
    let partition = number(object, "/spec/updateStrategy/rollingUpdate/partition").unwrap_or(0);
    if !on_delete && wanted > 0 {
        let updated = count(object, "updatedReplicas");
        if updated < (wanted - partition).max(0) {
            return wait(format!("{updated} of {wanted} pods are of the new version"));
        }
        let (current, update) = (
            text(object, "/status/currentRevision"),
            text(object, "/status/updateRevision"),
        );
        if partition == 0 && current != update {
            return wait("its roll-out is not finished");
        }
    }
    Status::Ready(format!("{ready_now} of {wanted}"))
}

fn daemon_set(object: &Json) -> Status {
    if number(object, "/status/desiredNumberScheduled").is_none() {
        return wait("its controller has not seen it yet");
    }
    let wanted = count(object, "desiredNumberScheduled");
    for (field, what) in [
        ("currentNumberScheduled", "scheduled"),
        ("updatedNumberScheduled", "of the new version"),
        ("numberAvailable", "available"),
        ("numberReady", "ready"),
    ] {
        if count(object, field) < wanted {
            return wait(format!(
                "{} of {wanted} pods are {what}",
                count(object, field)
            ));
        }
    }
    Status::Ready(format!("{wanted} of {wanted}"))
}

fn replica_set(object: &Json) -> Status {
    if let Some(failed) = replica_failure(object) {
        return failed;
    }
    let wanted = number(object, "/spec/replicas").unwrap_or(1);
    let available = count(object, "availableReplicas");
    if available < wanted || count(object, "replicas") > wanted {
        return wait(format!("{available} of {wanted} pods are available"));
    }
    ready()
}

/// A Job is ready when it is done, not when it began.
fn job(object: &Json) -> Status {
    if condition_is(object, "Failed", "True") {
        return Status::Failed(said(object, "Failed"));
    }
    if condition_is(object, "Complete", "True") {
        return Status::Ready("complete".into());
    }
    if object.pointer("/spec/suspend") == Some(&Json::Bool(true)) {
        return wait("it is suspended");
    }
    wait(format!(
        "{} pods run, {} failed",
        count(object, "active"),
        count(object, "failed")
    ))
}

fn pod(object: &Json) -> Status {
    match text(object, "/status/phase") {
        "Succeeded" => Status::Ready("complete".into()),
        "Failed" => {
            let why = [
                text(object, "/status/reason"),
                text(object, "/status/message"),
            ];
            Status::Failed(why.join(" ").trim().to_owned())
        }
        _ if condition_is(object, "Ready", "True") => ready(),
        "" => wait("it has no phase yet"),
        phase => wait(format!("it is {phase}")),
    }
}

fn claim(object: &Json) -> Status {
    match text(object, "/status/phase") {
        "Bound" => ready(),
        "Lost" => Status::Failed("its volume is lost".into()),
        _ => wait("it is not bound"),
    }
}

fn service(object: &Json) -> Status {
    let kind = text(object, "/spec/type");
    if kind == "ExternalName" || !text(object, "/spec/clusterIP").is_empty() {
        ready()
    } else {
        wait("it has no cluster address yet")
    }
}

/// KEDA's conditions: `Ready` says that the HPA was made and the triggers answer.
fn scaler(object: &Json) -> Status {
    if condition_is(object, "Paused", "True") {
        return Status::Ready("paused".into());
    }
    by_condition(object, "Ready")
}

/// A custom resource is ready by its `Ready` condition; one that has none has nothing to say.
fn custom(object: &Json) -> Status {
    if condition(object, "Ready").is_none() {
        return ready();
    }
    if items(object, "/status/conditions").is_empty() {
        return ready();
    }
    by_condition(object, "Ready")
}

#[cfg(test)]
#[path = "status_tests.rs"]
mod tests;
