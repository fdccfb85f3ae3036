//! `ScaledObject`s and what belongs to them: triggers, fallback, authentications, workers that stop in time.
//! What holds for every autoscaler is `autoscaling`'s.

use crate::finding::Findings;
use crate::pod::{Container, Pod};
use crate::rule::rules;
use crate::rules::secrets::{is_secret, literal};
use crate::set::{Scaler, Set};
use crate::view::At;

rules! {
    NO_FALLBACK "KL0821" Warning "a ScaledObject does not say what happens while its trigger cannot be read",
        why "While Redis or the network is away, KEDA holds what runs, and from zero nothing starts, however long the queue is.",
        cure "set `fallback: {failureThreshold: 3, replicas: 1, behavior: currentReplicasIfHigher}`",
        peers "";
    NOT_TEXT "KL0822" Error "a value of a trigger's metadata is not text",
        why "The metadata of a trigger is a map of texts: the API server refuses `listLength: 5`.",
        cure "write it in quotes: `listLength: \"5\"`",
        peers "";
    BAD_NUMBERS "KL0823" Error "numbers of a ScaledObject contradict each other",
        why "KEDA refuses the object, or scales to a number that nobody meant.",
        cure "keep idleReplicaCount below minReplicaCount, pollingInterval from 1, and at least one trigger",
        peers "";
    NO_AUTHENTICATION "KL0824" Error "a trigger names an authentication that is not there",
        why "The scaler cannot be built; the ScaledObject is not ready and nothing scales.",
        cure "name a TriggerAuthentication of the namespace",
        peers "";
    SECRET_IN_TRIGGER "KL0825" Error "a trigger's metadata holds a secret",
        why "Everyone who may read ScaledObjects reads it.",
        cure "name the Secret in a TriggerAuthentication",
        peers "";
    LOSES_TASKS "KL0826" Error "a worker loses its tasks at every scale-in",
        why "Huey takes SIGTERM for an immediate stop and SIGINT for a graceful one; Kubernetes sends SIGTERM, whatever the grace period is.",
        cure "add `lifecycle.preStop.exec.command: [kill, -INT, '1']`, or `lifecycle.stopSignal: SIGINT`, or an image with STOPSIGNAL SIGINT and say so at the object",
        peers "";
    SHORT_GRACE "KL0827" Note "a scaled worker has Kubernetes' default of 30 s to finish its tasks",
        why "Every scale-in stops workers; a task that takes longer than the grace period is cut off and starts again from the beginning, if its queue keeps it at all.",
        cure "set `terminationGracePeriodSeconds` to more than the longest task takes",
        peers "";
}

pub(super) fn check(set: &Set<'_>, out: &mut Findings<'_>) {
    for scaler in set.scalers.iter().filter(|scaler| scaler.keda) {
        numbers(scaler, out);
        let triggers = scaler.spec.key("triggers").items();
        for trigger in &triggers {
            self::trigger(set, scaler, trigger, out);
        }
        let fallback = scaler.spec.key("fallback");
        let external =
            |it: &At<'_>| !matches!(it.key("type").text(), Some("cpu" | "memory" | "cron"));
        if !fallback.exists() && triggers.iter().any(external) {
            out.add(NO_FALLBACK, scaler.at, &fallback, "it is missing");
        }
        for pod in set.pods.iter().filter(|pod| scaler.targets(pod.owner)) {
            stops_in_time(pod, out);
        }
    }
}

fn numbers(scaler: &Scaler<'_>, out: &mut Findings<'_>) {
    let spec = &scaler.spec;
    let idle = spec.key("idleReplicaCount");
    if let Some(count) = idle.whole()
        && count >= scaler.least()
    {
        let message = format!("{count} is not below minReplicaCount, {}", scaler.least());
        out.add(BAD_NUMBERS, scaler.at, &idle, message);
    }
    let interval = spec.key("pollingInterval");
    if interval.whole().is_some_and(|seconds| seconds < 1) {
        out.add(
            BAD_NUMBERS,
            scaler.at,
            &interval,
            "it is less than a second",
        );
    }
    let triggers = spec.key("triggers");
    if triggers.items().is_empty() {
        out.add(BAD_NUMBERS, scaler.at, &triggers, "there is no trigger");
    }
}

fn trigger(set: &Set<'_>, scaler: &Scaler<'_>, trigger: &At<'_>, out: &mut Findings<'_>) {
    for (key, value) in trigger.key("metadata").entries() {
        if value.text().is_none() {
            let message = format!("`{key}: {}` is a number or a switch", value.shown());
            out.add(NOT_TEXT, scaler.at, &value, message);
        } else if is_secret(key) && literal(&value.shown()) {
            out.add(
                SECRET_IN_TRIGGER,
                scaler.at,
                &value,
                format!("`{key}` is written out"),
            );
        }
    }
    let reference = trigger.key("authenticationRef");
    let kind = reference
        .key("kind")
        .text()
        .unwrap_or("TriggerAuthentication");
    let Some(name) = reference.key("name").text() else {
        return;
    };
    let known = set.of_kind("keda.sh", kind).any(|(_, it)| {
        it.name() == name && (kind != "TriggerAuthentication" || it.beside(scaler.object))
    });
    if !known {
        let message = format!("there is no {kind} `{name}` among these objects");
        out.add(
            NO_AUTHENTICATION,
            scaler.at,
            &reference.key("name"),
            message,
        );
    }
}

fn stops_in_time(pod: &Pod<'_>, out: &mut Findings<'_>) {
    let grace = pod.spec.key("terminationGracePeriodSeconds");
    if !grace.exists() {
        out.add(SHORT_GRACE, pod.at, &grace, "it is not set");
    }
    for container in pod.regular().filter(|it| is_huey(it)) {
        let lifecycle = container.spec.key("lifecycle");
        let hook = lifecycle.dig("preStop.exec.command").value.to_string();
        let signal = lifecycle.key("stopSignal");
        let interrupts = ["-INT", "SIGINT", "-2"]
            .iter()
            .any(|word| hook.contains(word));
        if !interrupts && signal.text() != Some("SIGINT") {
            let message = format!(
                "container `{}` runs Huey and is stopped by SIGTERM",
                container.name()
            );
            out.add(LOSES_TASKS, pod.at, &lifecycle, message);
        }
    }
}

/// Whether a container runs Huey's consumer, as far as its command or its image says.
fn is_huey(container: &Container<'_>) -> bool {
    let command = container
        .argv()
        .iter()
        .any(|word| word.shown().contains("huey_consumer"));
    let image = container.spec.key("image").text().unwrap_or_default();
    let name = image.rsplit('/').next().unwrap_or_default();
    command
        || name
            .split([':', '@'])
            .next()
            .unwrap_or_default()
            .contains("huey")
}
