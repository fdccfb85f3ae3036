//! One object in its surroundings: ready, on its way, or failing for a reason that lasts.
//! Must be a pure function of one look at the cluster: no clock, no requests.

use std::time::Duration;

use serde_json::Value as Json;

use super::failure::Failure;
use super::pods::{Trouble, brief, scheduling_cure, trouble, unschedulable};
use super::status::{Status, status};
use super::storage::claim_trouble;
use super::world::{World, event_time};
use crate::kinds::runs_pods;
use crate::object::{ObjectRef, condition_is, items, text};

/// When a Service of type `LoadBalancer` is ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LoadBalancer {
    /// At once: the tunnel gives it its address later.
    #[default]
    Tunnel,
    /// At once.
    Ignore,
    /// When it has an address from outside.
    Require,
}

/// What counts as ready, and when a state is beyond hope.
#[derive(Debug, Clone, Copy)]
pub struct Policy {
    /// Services of type `LoadBalancer`.
    pub load_balancer: LoadBalancer,
    /// For how long a pod may find no node. `None`: for ever, because nodes are added on demand.
    pub unschedulable_after: Option<Duration>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            load_balancer: LoadBalancer::Tunnel,
            unschedulable_after: Some(Duration::from_secs(10)),
        }
    }
}

/// The judgement over one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is as it should be.
    Ready(String),
    /// It is on its way.
    Waiting(String),
    /// Something is wrong that must last for `settle` before it counts.
    Failing {
        /// What.
        failure: Box<Failure>,
        /// For how long it must be seen.
        settle: Duration,
    },
}

const LASTS: Duration = Duration::from_secs(8);

/// Judges one object.
pub(crate) fn judge(object: &ObjectRef, world: &World, policy: Policy) -> Verdict {
    let Some(live) = world.object(object) else {
        return Verdict::Waiting("it does not exist yet".into());
    };
    let why = match status(live) {
        Status::Ready(note) => return surroundings(object, live, note, world, policy),
        Status::Terminating => "it is being deleted".to_owned(),
        Status::InProgress(why) => why,
        Status::Failed(why) => return failed(object, live, &why, world),
    };
    if !world.deep {
        return Verdict::Waiting(why);
    }
    let found = if runs_pods(object.group(), &object.kind) {
        pods(object, live, world, policy)
    } else if object.kind == "PersistentVolumeClaim" {
        return claim(object, live, &why, world);
    } else {
        None
    };
    match found {
        Some(it) => Verdict::Failing {
            failure: Box::new(with_event(it.failure, live, world)),
            settle: it.settle,
        },
        None => Verdict::Waiting(why),
    }
}

/// What an object that calls itself ready still needs around it.
fn surroundings(
    object: &ObjectRef,
    live: &Json,
    note: String,
    world: &World,
    policy: Policy,
) -> Verdict {
    match object.kind.as_str() {
        "Service" if text(live, "/spec/type") == "LoadBalancer" => {
            let addressed = !items(live, "/status/loadBalancer/ingress").is_empty();
            if policy.load_balancer == LoadBalancer::Require && !addressed {
                return Verdict::Waiting("its load balancer has no address yet".into());
            }
        }
        "ScaledObject" if note != "paused" => {
            let named = text(live, "/status/hpaName");
            let default = format!("keda-hpa-{}", object.name);
            let name = if named.is_empty() { &default } else { named };
            if world.deep && !world.has_autoscaler(object.namespace.as_deref(), name) {
                return Verdict::Waiting(format!("its autoscaler {name} does not exist yet"));
            }
            if let Some(service) = &world.external_metrics
                && !condition_is(service, "Available", "True")
            {
                return Verdict::Waiting("KEDA's metrics API is not available yet".into());
            }
        }
        _ => {}
    }
    Verdict::Ready(note)
}

fn failed(object: &ObjectRef, live: &Json, why: &str, world: &World) -> Verdict {
    let (reason, detail) = why.split_once(": ").unwrap_or((why, ""));
    // A pod tells more than the deadline of its Deployment.
    if let Some(it) = world
        .pods_of(live)
        .iter()
        .find_map(|pod| trouble(object, pod))
    {
        return Verdict::Failing {
            failure: Box::new(with_event(it.failure, live, world)),
            settle: it.settle,
        };
    }
    let failure = Failure::new(object, reason, brief(detail)).cured_by(creation_cure(why));
    Verdict::Failing {
        failure: Box::new(with_event(failure, live, world)),
        // The controller's own words may be of the moment before.
        settle: Duration::from_secs(2),
    }
}

fn creation_cure(said: &str) -> &'static str {
    if said.contains("exceeded quota") {
        "raise the ResourceQuota, or lower replicas or requests"
    } else if said.contains("PodSecurity") {
        "make the pod comply with the namespace's Pod Security level: kedactl lint names each field"
    } else if said.contains("forbidden") {
        "see what forbids it: quota, limit range, Pod Security or an admission webhook"
    } else {
        "see `kubectl describe` of the object"
    }
}

fn pods(object: &ObjectRef, live: &Json, world: &World, policy: Policy) -> Option<Trouble> {
    let pods = world.pods_of(live);
    let found = pods
        .iter()
        .find_map(|pod| one_pod(object, pod, world, policy));
    found.or_else(|| creation(object, world.maker(live), world))
}

fn one_pod(object: &ObjectRef, pod: &Json, world: &World, policy: Policy) -> Option<Trouble> {
    if let Some(found) = trouble(object, pod) {
        return Some(found);
    }
    let name = text(pod, "/metadata/name");
    let in_pod = |mut it: Trouble| {
        it.failure.pod = Some(name.to_owned());
        it
    };
    let claims = world.claims_of(pod);
    if let Some(found) = claims
        .iter()
        .find_map(|it| claim_trouble(object, it, world))
    {
        return Some(in_pod(found));
    }
    if let Some(message) = unschedulable(pod) {
        let growing = world
            .events_of(pod)
            .iter()
            .any(|it| text(it, "/reason") == "TriggeredScaleUp");
        let settle = policy.unschedulable_after.filter(|_| !growing)?;
        let failure = Failure::new(object, "Unschedulable", brief(message));
        return Some(in_pod(Trouble {
            failure: failure.cured_by(scheduling_cure(message)),
            settle,
        }));
    }
    mount(object, pod, world).map(in_pod)
}

/// A volume whose Secret or `ConfigMap` is missing: the pod waits without a word in its status.
fn mount(object: &ObjectRef, pod: &Json, world: &World) -> Option<Trouble> {
    let starting = items(pod, "/status/containerStatuses")
        .iter()
        .any(|it| text(it, "/state/waiting/reason") == "ContainerCreating");
    let event = world.last_warning(pod).filter(|_| starting)?;
    let message = text(event, "/message");
    if text(event, "/reason") != "FailedMount" || !message.contains("not found") {
        return None;
    }
    Some(Trouble {
        failure: Failure::new(object, "FailedMount", brief(message))
            .cured_by("create what it names, or correct the reference"),
        settle: LASTS,
    })
}

/// Pods that cannot even be made: the controller's last word was a refusal.
fn creation(object: &ObjectRef, maker: &Json, world: &World) -> Option<Trouble> {
    let events = world.events_of(maker);
    let last = |reason: &str| {
        let mut found = events.iter().rev();
        found.find(|it| text(it, "/reason") == reason).copied()
    };
    let refused = last("FailedCreate")?;
    if last("SuccessfulCreate").is_some_and(|it| event_time(it) > event_time(refused)) {
        return None;
    }
    let message = text(refused, "/message");
    let failure = Failure::new(object, "FailedCreate", brief(message));
    Some(Trouble {
        failure: failure.cured_by(creation_cure(message)),
        settle: Duration::from_secs(2),
    })
}

fn claim(object: &ObjectRef, live: &Json, why: &str, world: &World) -> Verdict {
    if let Some(it) = claim_trouble(object, live, world) {
        return Verdict::Failing {
            failure: Box::new(with_event(it.failure, live, world)),
            settle: it.settle,
        };
    }
    let first_consumer = world
        .events_of(live)
        .iter()
        .any(|it| text(it, "/reason") == "WaitForFirstConsumer");
    if first_consumer {
        return Verdict::Ready("it binds with its first pod".into());
    }
    Verdict::Waiting(why.to_owned())
}

/// Puts the last warning beside a failure: of its pod, else of its object.
fn with_event(mut failure: Failure, live: &Json, world: &World) -> Failure {
    let pod = failure.pod.as_deref();
    let pod = world
        .pods
        .iter()
        .find(|it| Some(text(it, "/metadata/name")) == pod);
    let event = pod
        .and_then(|it| world.last_warning(it))
        .or_else(|| world.last_warning(world.maker(live)))
        .or_else(|| world.last_warning(live));
    failure.event =
        event.map(|it| format!("{}: {}", text(it, "/reason"), brief(text(it, "/message"))));
    failure
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;
