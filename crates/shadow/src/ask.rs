//! What no watch tells: samples of pods, and what the triggers read.
//!
//! Must not ask KEDA again after a failure before KEDA itself had an answer: each failed question counts towards a
//! fallback, whoever asked.

use std::collections::BTreeMap;
use std::time::Duration;

use kedactl_autoscale::api::{OWNER, ScaledObject};
use kedactl_autoscale::keda::{COMPOSITE_METRIC, TriggerSpec};
use kedactl_autoscale::shadow::Fact;
use kedactl_cluster::Cluster;
use tokio::time::{MissedTickBehavior, interval};

use crate::log::Log;

/// Reads the resource metrics of a namespace's pods again and again, and writes down what differs.
pub(crate) async fn samples(cluster: Cluster, namespace: String, every: Duration, log: Log) {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last = None;
    loop {
        ticks.tick().await;
        match kedactl_cluster::pod_metrics(&cluster, &namespace).await {
            Ok(list) => {
                let fact = Fact::samples(&list);
                if last.as_ref() != Some(&fact) {
                    last = Some(fact.clone());
                    log.add(fact);
                }
            }
            Err(error) => tracing::debug!(%error, "samples"),
        }
    }
}

/// Asks for the external metrics of every `ScaledObject` again and again.
pub(crate) async fn readings(cluster: Cluster, namespace: String, every: Duration, log: Log) {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // Status of the object when a question about it failed.
    let mut failed: BTreeMap<String, Option<serde_json::Value>> = BTreeMap::new();
    loop {
        ticks.tick().await;
        for object in log.scaled_objects() {
            let name = object.name();
            if failed
                .get(name)
                .is_some_and(|then| !answers(&object, then.as_ref()))
            {
                continue;
            }
            failed.remove(name);
            for metric in metrics(&object) {
                let owner = (OWNER, name);
                let asked = kedactl_cluster::external_metric(&cluster, &namespace, &metric, owner);
                match asked.await {
                    Ok(list) => log.add(Fact::external(name, &metric, &list)),
                    Err(error) => {
                        if object.spec.fallback.is_some() {
                            failed.insert(name.to_owned(), object.status.clone());
                        }
                        let words = chain(&error);
                        log.add(Fact::failed_reading(name, &metric, words));
                    }
                }
            }
        }
    }
}

/// The names under which an object's triggers are served; a formula is asked for as a whole.
fn metrics(object: &ScaledObject) -> Vec<String> {
    if object.pause().full {
        return Vec::new();
    }
    let triggers = object.spec.triggers.iter().enumerate();
    let external = triggers
        .filter_map(|(index, trigger)| TriggerSpec::new(index, trigger).ok())
        .filter_map(|trigger| trigger.metric().map(str::to_owned));
    let external: Vec<String> = external.collect();
    if object.spec.modifiers().is_some() && !external.is_empty() {
        return vec![COMPOSITE_METRIC.to_owned()];
    }
    external
}

/// Whether the operator itself had an answer since the status was as it was `then`.
fn answers(object: &ScaledObject, then: Option<&serde_json::Value>) -> bool {
    let health = object.status.as_ref().and_then(|it| it.get("health"));
    let mut health = health.and_then(|it| it.as_object()).into_iter().flatten();
    let well = health.all(|(_, it)| it.get("numberOfFailures").is_some_and(|count| count == 0));
    object.status.as_ref() != then && well
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text.push_str(": ");
        text.push_str(&source.to_string());
        next = source.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn object(spec: &serde_json::Value) -> ScaledObject {
        serde_json::from_value(
            json!({"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject",
            "metadata": {"name": "worker"}, "spec": spec}),
        )
        .unwrap()
    }

    #[test]
    fn after_a_failure_the_operator_must_have_an_answer_first() {
        let health = |failures: i32| {
            let mut it = object(&json!({"scaleTargetRef": {"name": "worker"}, "triggers": []}));
            it.status = Some(json!({"health": {"s0-redis-tasks": {"numberOfFailures": failures}}}));
            it
        };
        let then = health(0).status;
        assert!(
            !answers(&health(0), then.as_ref()),
            "it was not counted yet"
        );
        assert!(!answers(&health(1), then.as_ref()));
        assert!(answers(&health(0), health(1).status.as_ref()));
    }

    #[test]
    fn only_what_keda_serves_is_asked_for() {
        let redis = json!({"type": "redis", "name": "q", "metadata": {"listName": "tasks"}});
        let cpu = json!({"type": "cpu", "metricType": "Utilization", "metadata": {"value": "50"}});
        let target = json!({"name": "worker"});
        let plain = object(&json!({"scaleTargetRef": target, "triggers": [cpu, redis]}));
        assert_eq!(metrics(&plain), ["s1-redis-tasks"]);
        let formula = json!({"scalingModifiers": {"formula": "q + 1", "target": "2"}});
        let composite =
            object(&json!({"scaleTargetRef": target, "triggers": [redis], "advanced": formula}));
        assert_eq!(metrics(&composite), [COMPOSITE_METRIC]);
        let mut paused = plain.clone();
        let pause = [("autoscaling.keda.sh/paused".to_owned(), "true".to_owned())];
        paused.metadata.annotations = Some(pause.into());
        assert!(metrics(&paused).is_empty());
    }
}
