//! Groups K to M: the operator's steps, `ScaledJob` strategies and the fallback.

use std::collections::BTreeMap;

use kedactl_autoscale::Timestamp;
use kedactl_autoscale::api::{Fallback, JobStrategy, ScaledObject, ScalingStrategy, Trigger};
use kedactl_autoscale::keda::{KedaLoop, KedaOptions, KedaState, PollInput, Reading};
use kedactl_autoscale::scaled_job::effective_max;

use crate::case::{Case, NOW};

pub(crate) fn request_scale(case: &Case) -> Result<(), String> {
    let mut object = object(5);
    object.spec.min_replica_count = Some(case.num("min"));
    object.spec.idle_replica_count = case.text("idle").parse().ok();
    if let Some(replicas) = case.get("fallback") {
        let replicas = replicas.parse().unwrap();
        object.spec.fallback = Some(Fallback {
            failure_threshold: 3,
            replicas,
            behavior: None,
        });
    }
    if let Some(name) = case.get("annotation") {
        let pair = (format!("autoscaling.keda.sh/{name}"), "true".to_owned());
        object.metadata.annotations = Some(BTreeMap::from([pair]));
    }
    let last = case
        .get("last")
        .map(|seconds| NOW.plus_secs(seconds.parse().unwrap()));
    let state = KedaState {
        last_active: last,
        ..KedaState::default()
    };
    let mut readings = vec![Reading::count(0, u64::from(case.text("active") == "yes"))];
    if case.get("error").is_some() {
        object.spec.triggers.push(trigger("second", 5));
        readings.push(Reading::failed(1, "no connection"));
    }
    let current: i32 = case.num("current");
    let options = KedaOptions {
        created: Timestamp::from_secs(0),
        ..KedaOptions::default()
    };
    let mut machine = KedaLoop::restore(&object, options, state).map_err(|e| e.to_string())?;
    let input = PollInput {
        current_replicas: current,
        ready_replicas: current,
        readings,
    };
    let outcome = machine.poll(NOW, &input);
    case.want("replicas", outcome.action.map_or(current, |scale| scale.to))?;
    case.want(
        "touched",
        if outcome.last_active == Some(NOW) {
            "yes"
        } else {
            "no"
        },
    )
}

pub(crate) fn jobs(case: &Case) -> Result<(), String> {
    let strategy = ScalingStrategy {
        strategy: Some(match case.text("strategy") {
            "default" => JobStrategy::Default,
            "custom" => JobStrategy::Custom,
            "accurate" => JobStrategy::Accurate,
            "eager" => JobStrategy::Eager,
            other => return Err(format!("unknown strategy {other}")),
        }),
        custom_scaling_queue_length_deduction: case.get("deduction").map(|n| n.parse().unwrap()),
        custom_scaling_running_job_percentage: case.get("share").map(str::to_owned),
        ..ScalingStrategy::default()
    };
    let (running, pending) = (case.num("running"), case.num("pending"));
    let found = effective_max(
        &strategy,
        case.num("max-scale"),
        running,
        pending,
        case.num("max"),
    );
    case.want("effective", found)
}

pub(crate) fn fallback(case: &Case) -> Result<(), String> {
    let mut object = object(case.num("target"));
    let (failure_threshold, replicas) = (case.num("threshold"), case.num("static"));
    object.spec.fallback = Some(Fallback {
        failure_threshold,
        replicas,
        behavior: None,
    });
    let failures = BTreeMap::from([("s0-redis-first".to_owned(), case.num("failures"))]);
    let state = KedaState {
        failures,
        ..KedaState::default()
    };
    let mut machine =
        KedaLoop::restore(&object, KedaOptions::default(), state).map_err(|e| e.to_string())?;
    let readings = vec![Reading::failed(0, "no connection")];
    let input = PollInput {
        current_replicas: 1,
        ready_replicas: 1,
        readings,
    };
    let outcome = machine.poll(NOW, &input);
    let view = &outcome.triggers[0];
    case.want("failures", view.failures)?;
    case.want("value", view.milli.unwrap_or(0) / 1000)?;
    case.want("active", if view.active { "yes" } else { "no" })
}

fn object(target: i64) -> ScaledObject {
    let mut object = ScaledObject::default();
    object.metadata.name = Some("worker".to_owned());
    "worker".clone_into(&mut object.spec.scale_target_ref.name);
    object.spec.triggers = vec![trigger("first", target)];
    object
}

fn trigger(list: &str, target: i64) -> Trigger {
    let metadata = [
        ("listName", list.to_owned()),
        ("listLength", target.to_string()),
    ];
    Trigger {
        kind: "redis".to_owned(),
        metadata: metadata.map(|(key, value)| (key.to_owned(), value)).into(),
        ..Trigger::default()
    }
}
