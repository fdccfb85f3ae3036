//! Rules for Redis by Bitnami's chart, and for Bitnami's images wherever they are.
//! Judges what is rendered, and what the chart says where it renders nothing.

use serde_json::{Value, json};

use crate::image::Image;
use crate::object::{images, title};
use crate::rule::rules;
use crate::{Around, Finding, Outcome, Release};

rules! {
    NODE_PORT "KC0201" "the first install of this chart makes no pods",
        why "With Sentinels behind a NodePort the chart waits for port numbers that only a running Service has: it asks for a second install, and has nothing until then.",
        issues "bitnami/charts#17806, bitnami/charts#36094";
    PASSWORD "KC0202" "each rendering draws another password",
        why "The password that an install draws is in the cluster alone: every upgrade asks for it or changes it, and clients cannot know it.",
        issues "bitnami/charts#4369, bitnami/charts#9075, bitnami/charts#2465";
    RETIRED "KC0203" "an image is at a place that is closed",
        why "Bitnami's images with a version left docker.io/bitnami in August 2025; the last free ones are in docker.io/bitnamilegacy, and get no updates.",
        issues "bitnami/containers#83267, bitnami/charts#35164, bitnami/charts#36313";
    SUBSTITUTED "KC0204" "the chart refuses images from another place",
        why "It compares registries and repositories with its own list, and ends helm where one is not on it.",
        issues "bitnami/charts#30850";
    OFFICIAL "KC0205" "the chart's scripts are not in this image",
        why "It starts Redis by scripts that only Bitnami's image has; an official image ends at once.",
        issues "bitnami/charts#27188";
}

pub(super) fn check(releases: &[Release], around: &Around, out: &mut Vec<Finding>) {
    for release in releases {
        match &release.outcome {
            Outcome::Refused(said) => substituted(release, said, out),
            Outcome::Objects(_) => {
                retired(release, out);
                official(release, out);
                if release.chart == "redis" && is_bitnami(release) {
                    node_port(release, out);
                    password(release, around, out);
                }
            }
        }
    }
}

/// The chart of that name has many makers; Bitnami's carries its library.
fn is_bitnami(release: &Release) -> bool {
    release.parts.contains_key("common")
}

fn node_port(release: &Release, out: &mut Vec<Finding>) {
    let sentinels = release.has(&["sentinel", "enabled"]);
    let port = release.given(&["sentinel", "service", "type"]);
    let pods = release
        .objects()
        .iter()
        .any(|it| it["kind"] == "StatefulSet");
    if sentinels && port.is_some_and(|it| it == "NodePort") && !pods {
        let values = json!({"sentinel": {"service": {"type": "ClusterIP"}}});
        let message = "no StatefulSet is among its objects";
        out.push(Finding::values(NODE_PORT, &release.name, message, &values));
    }
}

fn password(release: &Release, around: &Around, out: &mut Vec<Finding>) {
    let off = release
        .given(&["auth", "enabled"])
        .is_some_and(|it| it == false);
    let known = [
        &["auth", "existingSecret"][..],
        &["auth", "password"],
        &["global", "redis", "password"],
    ];
    if off || known.iter().any(|path| release.has(path)) {
        return;
    }
    let (name, key) = around
        .redis_secret
        .clone()
        .unwrap_or_else(|| ("redis".to_owned(), "redis-password".to_owned()));
    let values = json!({"auth": {"existingSecret": name, "existingSecretPasswordKey": key}});
    let message = "neither auth.existingSecret nor auth.password is given";
    out.push(Finding::values(PASSWORD, &release.name, message, &values));
}

/// Where the chart of Redis takes each image from, by the last part of the image's name.
const PLACES: [(&str, &[&str]); 5] = [
    ("redis", &["image"]),
    ("redis-sentinel", &["sentinel", "image"]),
    ("redis-exporter", &["metrics", "image"]),
    ("kubectl", &["kubectl", "image"]),
    ("os-shell", &["volumePermissions", "image"]),
];

fn retired(release: &Release, out: &mut Vec<Finding>) {
    let mut seen: Vec<&str> = Vec::new();
    for (image, _, object) in images(release.objects()) {
        let versioned = image.version().is_some();
        if !image.on_docker_hub("bitnami/") || !versioned || seen.contains(&image.repository) {
            continue;
        }
        seen.push(image.repository);
        let message = format!("{}: {}:{}", title(object), image.repository, image.tag);
        let values = legacy(release, &image);
        match values {
            Some(values) => out.push(Finding::values(RETIRED, &release.name, message, &values)),
            None => out.push(Finding::new(RETIRED, &release.name, message, Value::Null)),
        }
    }
}

fn legacy(release: &Release, image: &Image<'_>) -> Option<Value> {
    let name = image.repository.rsplit('/').next()?;
    let (_, path) = PLACES.iter().find(|(known, _)| *known == name)?;
    if release.chart != "redis" {
        return None;
    }
    let mut values =
        crate::finding::at(path, json!({"repository": format!("bitnamilegacy/{name}")}));
    values["global"] = json!({"security": {"allowInsecureImages": true}});
    Some(values)
}

fn substituted(release: &Release, said: &str, out: &mut Vec<Finding>) {
    let words = [
        "allowInsecureImages",
        "Unrecognized images",
        "Original containers",
    ];
    if words.iter().any(|it| said.contains(it)) {
        let values = json!({"global": {"security": {"allowInsecureImages": true}}});
        let message = "global.security.allowInsecureImages is not set";
        out.push(Finding::values(
            SUBSTITUTED,
            &release.name,
            message,
            &values,
        ));
    }
}

fn official(release: &Release, out: &mut Vec<Finding>) {
    let mut known = false;
    for (image, container, object) in images(release.objects()) {
        let parts = [&container["command"], &container["args"]];
        let scripts = parts
            .iter()
            .any(|it| it.to_string().contains("/opt/bitnami/"));
        let own = image.repository.contains("bitnami");
        let name = image.repository.rsplit('/').next().unwrap_or_default();
        if known || !scripts || own || !matches!(name, "redis" | "valkey") {
            continue;
        }
        known = true;
        let message = format!("{}: {}:{}", title(object), image.repository, image.tag);
        let values = json!({
            "global": {"security": {"allowInsecureImages": true}},
            "image": {"registry": "docker.io", "repository": "bitnamilegacy/redis", "tag": "8.2.1-debian-12-r0"},
        });
        out.push(Finding::values(OFFICIAL, &release.name, message, &values));
    }
}
