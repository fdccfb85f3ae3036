//! `ScaledObject`s and what belongs to them: triggers, fallback, authentications.
//! What holds for every autoscaler is `autoscaling`'s, what workers lose by it `scale_in`'s.

use crate::finding::Findings;
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
