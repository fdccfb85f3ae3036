//! What rules ask of rendered objects: pods, containers, texts of configurations.
//! Judges nothing.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;

use crate::image::Image;

/// `StatefulSet redis-node`.
pub(crate) fn title(object: &Value) -> String {
    format!(
        "{} {}",
        text(&object["kind"]),
        text(&object["metadata"]["name"])
    )
}

pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The pod template of a workload, or the pod itself; tests of charts are left out, as `helm test` alone runs them.
pub(crate) fn pod(object: &Value) -> Option<&Value> {
    let hook = text(&object["metadata"]["annotations"]["helm.sh/hook"]);
    if hook.contains("test") {
        return None;
    }
    let spec = match text(&object["kind"]) {
        "Pod" => &object["spec"],
        "CronJob" => &object["spec"]["jobTemplate"]["spec"]["template"]["spec"],
        _ => &object["spec"]["template"]["spec"],
    };
    spec["containers"].is_array().then_some(spec)
}

/// The containers of a pod, those before it included.
pub(crate) fn containers(pod: &Value) -> impl Iterator<Item = &Value> {
    let lists = ["initContainers", "containers"];
    let lists = lists.into_iter().map(|key| &pod[key]);
    lists.flat_map(|list| list.as_array().into_iter().flatten())
}

/// Every image of these objects, with its container and its object.
pub(crate) fn images(objects: &[Value]) -> impl Iterator<Item = (Image<'_>, &Value, &Value)> {
    objects.iter().flat_map(|object| {
        let containers = pod(object).into_iter().flat_map(containers);
        containers.map(move |it| (Image::of(text(&it["image"])), it, object))
    })
}

/// The texts of a `ConfigMap` or a Secret, by key; those in base64 are decoded.
pub(crate) fn texts(object: &Value) -> Vec<(String, String)> {
    let secret = object["kind"] == "Secret";
    let mut all = Vec::new();
    for section in ["data", "stringData"] {
        let entries = object[section].as_object().into_iter().flatten();
        for (key, value) in entries {
            let value = text(value);
            let plain = if secret && section == "data" {
                let bytes = BASE64_STANDARD.decode(value).unwrap_or_default();
                String::from_utf8(bytes).ok()
            } else {
                Some(value.to_owned())
            };
            all.extend(plain.map(|plain| (key.clone(), plain)));
        }
    }
    all
}

/// The first document of a YAML text; `null` where it is none.
pub(crate) fn yaml(text: &str) -> Value {
    let documents = kedactl_config::documents(text).unwrap_or_default();
    documents.into_iter().next().unwrap_or_default()
}
