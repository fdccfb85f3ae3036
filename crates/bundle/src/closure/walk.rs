//! The walk through one object: pods at any depth, then everything else that could name an image.
//! Must not know one chart or operator by its name; the kinds of fields are enough.

use kedactl_images::Requested;
use serde_json::{Map, Value as Json};

use super::words::{self, Hint};
use super::{Certainty, Closure, Found, Place, Reason, Unreadable};

/// Lists of containers, in a pod or wherever a pod's template is embedded.
const CONTAINERS: [(&str, Reason); 3] = [
    ("containers", Reason::Container),
    ("initContainers", Reason::InitContainer),
    ("ephemeralContainers", Reason::EphemeralContainer),
];

pub(super) struct Walk<'a> {
    source: &'a str,
    object: String,
    /// Whether its fields are those of an operator, and not Kubernetes' own.
    custom: bool,
    config_map: bool,
    closure: &'a mut Closure,
}

impl<'a> Walk<'a> {
    pub(super) fn new(source: &'a str, object: &Json, closure: &'a mut Closure) -> Self {
        let text = |value: &Json| value.as_str().unwrap_or_default().to_owned();
        let meta = &object["metadata"];
        let (kind, name, namespace) = (
            text(&object["kind"]),
            text(&meta["name"]),
            text(&meta["namespace"]),
        );
        let api_version = text(&object["apiVersion"]);
        let group = api_version.split_once('/').map_or("", |(group, _)| group);
        Self {
            source,
            custom: group.contains('.') && !group.ends_with(".k8s.io"),
            config_map: kind == "ConfigMap" && group.is_empty(),
            object: if namespace.is_empty() {
                format!("{kind} {name}")
            } else {
                format!("{kind} {namespace}/{name}")
            },
            closure,
        }
    }

    pub(super) fn object(&mut self, object: &Json) {
        let Json::Object(fields) = object else { return };
        for (key, value) in fields {
            match (key.as_str(), value) {
                ("apiVersion" | "kind" | "status", _) => {}
                ("metadata", meta) => self.annotations(meta, "metadata"),
                ("data", Json::Object(entries)) if self.config_map => self.entries(entries),
                _ => self.value(value, key, key),
            }
        }
    }

    fn value(&mut self, value: &Json, key: &str, path: &str) {
        match value {
            Json::Object(map) => self.map(map, key, path),
            Json::Array(items) => {
                for (at, item) in items.iter().enumerate() {
                    self.value(item, key, &format!("{path}[{at}]"));
                }
            }
            Json::String(text) => self.text(text, key, path),
            _ => {}
        }
    }

    fn map(&mut self, map: &Map<String, Json>, key: &str, path: &str) {
        if self.custom {
            self.fields(map, key, path);
        }
        for (key, value) in map {
            let path = below(path, key);
            let containers = CONTAINERS.iter().find(|(name, _)| name == key);
            match (containers, key.as_str(), value) {
                (Some((_, reason)), _, Json::Array(items)) => {
                    for (at, item) in items.iter().enumerate() {
                        self.container(item, *reason, &format!("{path}[{at}]"));
                    }
                }
                (_, "volumes", Json::Array(items)) => {
                    for (at, item) in items.iter().enumerate() {
                        self.volume(item, &format!("{path}[{at}]"));
                    }
                }
                // Annotations of a pod's template.
                (_, "metadata", meta) => self.annotations(meta, &path),
                _ => self.value(value, key, &path),
            }
        }
    }

    fn container(&mut self, item: &Json, reason: Reason, path: &str) {
        let Json::Object(container) = item else {
            return self.value(item, "", path);
        };
        for (key, value) in container {
            let path = format!("{path}.{key}");
            match (key.as_str(), value) {
                ("image", Json::String(text)) => {
                    let policy = &container.get("imagePullPolicy");
                    let policy = policy.and_then(Json::as_str);
                    self.certain(text, &path, reason, policy);
                }
                ("args" | "command", Json::Array(words)) => self.arguments(words, &path),
                ("env", Json::Array(variables)) => self.variables(variables, &path),
                _ => self.value(value, key, &path),
            }
        }
    }

    fn volume(&mut self, volume: &Json, path: &str) {
        let image = &volume["image"];
        match image["reference"].as_str() {
            Some(text) => {
                let path = format!("{path}.image.reference");
                self.certain(text, &path, Reason::Volume, image["pullPolicy"].as_str());
            }
            None => self.value(volume, "", path),
        }
    }

    /// Arguments: a flag may stand before its value, in one word or in two.
    fn arguments(&mut self, words: &[Json], path: &str) {
        let mut flag = String::new();
        for (at, word) in words.iter().enumerate() {
            let Some(word) = word.as_str() else { continue };
            let path = format!("{path}[{at}]");
            let before = std::mem::take(&mut flag);
            let parts = words::parts(word);
            if parts.is_empty() {
                word.clone_into(&mut flag);
            }
            for (place, (key, value)) in parts.iter().enumerate() {
                let key = if place == 0 && key.is_empty() {
                    &before
                } else {
                    key
                };
                if let Some(image) = words::image(value, words::hint(key)) {
                    self.probable(image, &path, Reason::Argument);
                }
            }
        }
    }

    fn variables(&mut self, variables: &[Json], path: &str) {
        for (at, variable) in variables.iter().enumerate() {
            let (name, value) = (variable["name"].as_str(), variable["value"].as_str());
            if let (Some(name), Some(value)) = (name, value)
                && let Some(image) = words::image(value.trim(), words::hint(name))
            {
                self.probable(image, &format!("{path}[{at}].value"), Reason::Variable);
            }
        }
    }

    fn annotations(&mut self, meta: &Json, path: &str) {
        let Some(annotations) = meta["annotations"].as_object() else {
            return;
        };
        for (key, value) in annotations {
            let hint = words::hint(key.rsplit('/').next().unwrap_or_default());
            if let Some(image) = value
                .as_str()
                .and_then(|text| words::image(text.trim(), hint))
            {
                self.probable(
                    image,
                    &below(&format!("{path}.annotations"), key),
                    Reason::Annotation,
                );
            }
        }
    }

    /// A `ConfigMap`: an entry that is an image's name, or lines `image: NAME` in one.
    fn entries(&mut self, entries: &Map<String, Json>) {
        for (key, value) in entries {
            let Some(text) = value.as_str() else { continue };
            let path = below("data", key);
            if let Some(image) = words::image(text.trim(), words::hint(key)) {
                self.probable(image, &path, Reason::ConfigMap);
                continue;
            }
            for (at, line) in text.lines().enumerate() {
                let line = line.trim().trim_start_matches("- ");
                let Some((key, value)) = line.split_once(':') else {
                    continue;
                };
                let plain = |text: &str| text.trim().trim_matches(['"', '\'', ',']).to_owned();
                let (key, value) = (plain(key), plain(value));
                let exact = value.contains([':', '@']);
                if let Some(image) = words::image(&value, words::hint(&key)).filter(|_| exact) {
                    self.probable(
                        image,
                        &format!("{path}, line {}", at + 1),
                        Reason::ConfigMap,
                    );
                }
            }
        }
    }

    /// Fields of a custom resource that name an image in parts: `repository` and `tag`, `baseImage` and `version`.
    fn fields(&mut self, map: &Map<String, Json>, key: &str, path: &str) {
        let text = |name: &str| map.get(name).and_then(scalar).filter(|it| !it.is_empty());
        let within = words::hint(key) == Hint::Says;
        let base = text("repository").or_else(|| text("baseImage"));
        let base = base.or_else(|| text("name").filter(|_| within && map.contains_key("tag")));
        let Some(base) = base else { return };
        let tag = text("tag").or_else(|| text("version").filter(|_| map.contains_key("baseImage")));
        let digest = text("digest").or_else(|| text("sha"));
        if tag.is_none() && digest.is_none() && !within {
            return;
        }
        let whole = |text: &str| text.starts_with("sha256:");
        let mut name = text("registry").map_or_else(String::new, |it| format!("{it}/"));
        name += &base;
        name += &tag
            .filter(|_| !base.contains('@'))
            .map_or_else(String::new, |tag| format!(":{tag}"));
        name += &digest.map_or_else(String::new, |it| {
            if whole(&it) {
                format!("@{it}")
            } else {
                format!("@sha256:{it}")
            }
        });
        if let Ok(image) = name.parse() {
            self.probable(image, path, Reason::Fields);
        }
    }

    /// Any other text.
    fn text(&mut self, text: &str, key: &str, path: &str) {
        let text = text.trim();
        if key == "baseImage" && !words::exact(text) {
            // With a tag beside it, it was found with that; without one the operator has its own.
        } else if self.custom && matches!(words::hint(key), Hint::Says) {
            if let Some(image) = words::image(text, Hint::Says) {
                if key == "image" {
                    self.certain(&image.to_string(), path, Reason::Field, None);
                } else {
                    self.probable(image, path, Reason::Field);
                }
            }
        } else if let Some(image) = words::image(text, Hint::None) {
            self.probable(image, path, Reason::Text);
        }
    }

    /// An image that a container runtime will read.
    fn certain(&mut self, text: &str, path: &str, reason: Reason, policy: Option<&str>) {
        let place = self.place(path, reason);
        if text.is_empty() {
            return;
        }
        match text.parse::<Requested>() {
            Ok(image) => {
                // Where nothing is said, Kubernetes asks for `latest` each time.
                let newest = image.digest().is_none() && image.reference().tag() == Some("latest");
                let runs = reason != Reason::Field;
                let always = policy.map_or(newest && runs, |it| it == "Always");
                self.closure.found.push(Found {
                    image,
                    place,
                    certainty: Certainty::Certain,
                    always,
                });
            }
            Err(error) => self.closure.unreadable.push(Unreadable {
                text: text.to_owned(),
                problem: error.to_string(),
                place,
            }),
        }
    }

    fn probable(&mut self, image: Requested, path: &str, reason: Reason) {
        let place = self.place(path, reason);
        self.closure.found.push(Found {
            image,
            place,
            certainty: Certainty::Probable,
            always: false,
        });
    }

    fn place(&self, path: &str, reason: Reason) -> Place {
        Place {
            source: self.source.to_owned(),
            object: self.object.clone(),
            path: path.to_owned(),
            reason,
        }
    }
}

/// The path of a key; one with dots stands in brackets.
fn below(path: &str, key: &str) -> String {
    if key.contains(['.', '/']) {
        format!("{path}[{key}]")
    } else {
        format!("{path}.{key}")
    }
}

/// A text, or a number that somebody forgot to quote.
fn scalar(value: &Json) -> Option<String> {
    match value {
        Json::String(text) => Some(text.clone()),
        Json::Number(number) => Some(number.to_string()),
        _ => None,
    }
}
