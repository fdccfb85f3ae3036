//! From the API server's JSON to facts.
//!
//! Must not drop an object silently: what cannot be read is a fact, too.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::jiff;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;

use super::fact::{Fact, SeenPod, SeenSample, Target};
use crate::hpa::{Pod, PodPhase, Readiness};
use crate::quantity;
use crate::time::Timestamp;

impl Fact {
    /// Reads an object of one of the kinds that are recorded: `HorizontalPodAutoscaler`, `ScaledObject`,
    /// `Deployment`, `Pod`. An object of another kind, or one that cannot be read, becomes [`Fact::Unread`].
    pub fn of(kind: &str, object: &Json) -> Self {
        let read = match kind {
            "HorizontalPodAutoscaler" => bare(object, true).map(|object| Self::Hpa { object }),
            "ScaledObject" => bare(object, false).map(|object| Self::ScaledObject { object }),
            "Deployment" => target(object).map(|target| Self::Target { target }),
            "Pod" => pod(object).map(|pod| Self::Pod { pod }),
            _ => Err("the kind is not recorded".to_owned()),
        };
        read.unwrap_or_else(|problem| Self::Unread {
            kind: kind.to_owned(),
            name: text(object, "/metadata/name").to_owned(),
            problem,
        })
    }

    /// Reads a `PodMetricsList`.
    pub fn samples(list: &Json) -> Self {
        let items = items(list, "/items").iter();
        let samples = items.filter_map(|it| {
            let name = text(it, "/metadata/name").to_owned();
            Some((name, sample(it)?))
        });
        Self::Samples {
            samples: samples.collect(),
        }
    }

    /// Reads an `ExternalMetricValueList`; several values are added up, as the HPA controller adds them.
    pub fn external(scaled_object: &str, metric: &str, list: &Json) -> Self {
        let values: Result<Vec<i64>, String> = items(list, "/items")
            .iter()
            .map(|it| quantity::parse_milli(text(it, "/value")).map_err(|error| error.to_string()))
            .collect();
        match values {
            Ok(values) if !values.is_empty() => {
                Self::reading(scaled_object, metric, values.iter().sum())
            }
            Ok(_) => Self::failed_reading(scaled_object, metric, "no value".to_owned()),
            Err(error) => Self::failed_reading(scaled_object, metric, error),
        }
    }
}

/// Takes away what only makes a journal long, and reads the rest.
fn bare<T: DeserializeOwned>(object: &Json, annotations: bool) -> Result<T, String> {
    let mut object = object.clone();
    if let Some(metadata) = object.get_mut("metadata").and_then(Json::as_object_mut) {
        metadata.remove("managedFields");
        metadata.remove("selfLink");
        match metadata
            .get_mut("annotations")
            .and_then(Json::as_object_mut)
        {
            Some(_) if annotations => drop(metadata.remove("annotations")),
            Some(rest) => drop(rest.remove("kubectl.kubernetes.io/last-applied-configuration")),
            None => {}
        }
    }
    serde_json::from_value(object).map_err(|error| error.to_string())
}

fn target(object: &Json) -> Result<Target, String> {
    let count = |at: &str, default: i64| {
        let count = object.pointer(at).and_then(Json::as_i64).unwrap_or(default);
        i32::try_from(count).map_err(|error| error.to_string())
    };
    let selector: LabelSelector = serde_json::from_value(
        object
            .pointer("/spec/selector")
            .cloned()
            .unwrap_or_default(),
    )
    .map_err(|error| error.to_string())?;
    Ok(Target {
        name: text(object, "/metadata/name").to_owned(),
        spec_replicas: count("/spec/replicas", 1)?,
        status_replicas: count("/status/replicas", 0)?,
        ready_replicas: count("/status/readyReplicas", 0)?,
        selector,
        writer: writer(object),
    })
}

/// The field manager that owns `spec.replicas`; the last one where several do.
fn writer(object: &Json) -> Option<String> {
    let owns = |it: &&Json| it.pointer("/fieldsV1/f:spec/f:replicas").is_some();
    let mut owners: Vec<&Json> = items(object, "/metadata/managedFields")
        .iter()
        .filter(owns)
        .collect();
    owners.sort_by_key(|it| text(it, "/time"));
    owners
        .last()
        .map(|owner| text(owner, "/manager").to_owned())
}

fn pod(object: &Json) -> Result<SeenPod, String> {
    let labels = object.pointer("/metadata/labels").cloned();
    let ready = items(object, "/status/conditions")
        .iter()
        .find(|it| text(it, "/type") == "Ready");
    let pod = Pod {
        name: text(object, "/metadata/name").to_owned(),
        phase: match text(object, "/status/phase") {
            "Pending" => PodPhase::Pending,
            "Succeeded" => PodPhase::Succeeded,
            "Failed" => PodPhase::Failed,
            "Unknown" => PodPhase::Unknown,
            _ => PodPhase::Running,
        },
        deleting: object.pointer("/metadata/deletionTimestamp").is_some(),
        ready: ready.and_then(|it| {
            Some(Readiness {
                ready: text(it, "/status") == "True",
                since: time(text(it, "/lastTransitionTime"))?,
            })
        }),
        start_time: time(text(object, "/status/startTime")),
        requests: requests(object),
    };
    let labels = labels.map_or_else(|| Ok(BTreeMap::new()), serde_json::from_value);
    Ok(SeenPod {
        pod,
        labels: labels.map_err(|error| error.to_string())?,
    })
}

/// Requests by resource and by `container/resource`. A resource that one container does not ask for has no sum,
/// unless the pod as a whole asks for it.
fn requests(pod: &Json) -> BTreeMap<String, i64> {
    let sidecar = |it: &&Json| text(it, "/restartPolicy") == "Always";
    let containers: Vec<&Json> = items(pod, "/spec/containers")
        .iter()
        .chain(items(pod, "/spec/initContainers").iter().filter(sidecar))
        .collect();
    let mut requests = BTreeMap::new();
    for resource in ["cpu", "memory"] {
        let milli = |it: &Json| {
            let asked = it.pointer("/resources/requests")?.get(resource)?.as_str()?;
            quantity::parse_milli(asked).ok()
        };
        let mut sum = Some(0_i64);
        for container in &containers {
            let own = milli(container);
            if let Some(own) = own {
                requests.insert(format!("{}/{resource}", text(container, "/name")), own);
            }
            sum = sum.and_then(|sum| Some(sum.saturating_add(own?)));
        }
        let whole = pod.pointer("/spec").and_then(milli);
        if let Some(sum) = whole.or(sum) {
            requests.insert(resource.to_owned(), sum);
        }
    }
    requests
}

/// A pod whose containers do not all have a resource has no sample of it, as in the controller's own client.
fn sample(it: &Json) -> Option<SeenSample> {
    let containers = items(it, "/containers");
    let mut usage = BTreeMap::new();
    for resource in ["cpu", "memory"] {
        let milli =
            |it: &Json| quantity::parse_milli(it.pointer("/usage")?.get(resource)?.as_str()?).ok();
        let mut sum = (!containers.is_empty()).then_some(0_i64);
        for container in containers {
            let own = milli(container);
            if let Some(own) = own {
                usage.insert(format!("{}/{resource}", text(container, "/name")), own);
            }
            sum = sum.and_then(|sum| Some(sum.saturating_add(own?)));
        }
        if let Some(sum) = sum {
            usage.insert(resource.to_owned(), sum);
        }
    }
    Some(SeenSample {
        at: time(text(it, "/timestamp"))?,
        window_micros: duration_micros(text(it, "/window"))?,
        usage,
    })
}

/// RFC 3339 to microseconds since the epoch.
pub(super) fn time(text: &str) -> Option<Timestamp> {
    let time: jiff::Timestamp = text.parse().ok()?;
    Some(Timestamp::from_micros(time.as_microsecond()))
}

/// Go's way to write a duration, such as `15.024s`, `1m0s` or `10ms`, to microseconds.
fn duration_micros(text: &str) -> Option<i64> {
    let mut rest = text;
    let mut total = 0.0_f64;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..end].parse().ok()?;
        let unit = &rest[end..];
        let length = unit
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(unit.len());
        total += number
            * match &unit[..length] {
                "h" => 3.6e9,
                "m" => 6e7,
                "s" => 1e6,
                "ms" => 1e3,
                "us" | "µs" => 1.0,
                "ns" => 1e-3,
                _ => return None,
            };
        rest = &unit[length..];
    }
    Some(total.round() as i64)
}

fn text<'a>(object: &'a Json, pointer: &str) -> &'a str {
    object
        .pointer(pointer)
        .and_then(Json::as_str)
        .unwrap_or_default()
}

fn items<'a>(object: &'a Json, pointer: &str) -> &'a [Json] {
    object
        .pointer(pointer)
        .and_then(Json::as_array)
        .map_or(&[], Vec::as_slice)
}

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;
