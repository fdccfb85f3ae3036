//! `broken.txt` read, and its changes made to our own manifests.
//! Asserts nothing.

use std::sync::LazyLock;

use kedactl_lint::{Object, parse};
use serde_json::Value as Json;

use crate::support::rendered;

static OWN: LazyLock<Vec<Object>> = LazyLock::new(|| {
    let text = rendered("cloud", &["ingress.host=tasks.example.com"]);
    parse("own.yaml", &text).expect("it is YAML")
});

/// Every kind of object that we render.
pub(crate) fn own() -> Vec<Object> {
    OWN.clone()
}

/// Changes, and the rule that they break.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) rule: String,
    pub(crate) line: usize,
    changes: Vec<String>,
}

/// The cases of `broken.txt`; a line that starts with blanks goes on with the case above it.
pub(crate) fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for (at, line) in include_str!("../broken.txt").lines().enumerate() {
        let pod = "/spec/template/spec";
        let line = line
            .replace(" BOX", &format!(" {pod}/containers/0"))
            .replace(" POD", &format!(" {pod}"));
        match (line.split_once("  "), cases.last_mut()) {
            _ if line.is_empty() || line.starts_with('#') => {}
            (Some(("", change)), Some(case)) => case.changes.push(change.trim().to_owned()),
            (Some((rule, change)), _) => cases.push(Case {
                rule: rule.to_owned(),
                line: at + 1,
                changes: vec![change.to_owned()],
            }),
            _ => panic!("line {} is no case", at + 1),
        }
    }
    cases
}

impl Case {
    pub(crate) fn apply(&self, objects: &mut Vec<Object>) {
        for change in &self.changes {
            let (word, rest) = change.split_once(' ').expect("a word");
            let mut words = rest.splitn(3, ' ');
            let mut next = || words.next().unwrap_or_default();
            match word {
                "more" => objects.extend(parse("more.yaml", rest).expect("it is YAML")),
                "set" => {
                    let (object, pointer) = (next(), next());
                    let value: Json = serde_json::from_str(next()).expect("JSON");
                    edit(objects, object, |json| *place(json, pointer) = value);
                }
                "remove" => remove(objects, next(), next()),
                other => panic!("line {}: {other} is no change", self.line),
            }
        }
    }
}

fn title(object: &Object) -> String {
    format!("{}/{}", object.kind(), object.name())
}

fn edit(objects: &mut [Object], object: &str, edit: impl FnOnce(&mut Json)) {
    let found = objects
        .iter_mut()
        .find(|it| title(it) == object)
        .expect("the object is there");
    let mut json = found.json().clone();
    edit(&mut json);
    *found = Object::new("own.yaml".into(), 1, json);
}

/// Removes a value that is there; without a pointer, the object.
fn remove(objects: &mut Vec<Object>, object: &str, pointer: &str) {
    let Some((above, key)) = pointer.rsplit_once('/') else {
        return objects.retain(|it| title(it) != object);
    };
    edit(objects, object, |json| {
        let above = json
            .pointer_mut(above)
            .and_then(Json::as_object_mut)
            .expect("a map");
        above.remove(&key.replace("~1", "/")).expect("it was there");
    });
}

/// The value at a pointer; maps, and one more entry of a list, are made where they are missing.
fn place<'a>(json: &'a mut Json, pointer: &str) -> &'a mut Json {
    let mut at = json;
    for key in pointer.split('/').skip(1) {
        let key = key.replace("~1", "/");
        if at.is_null() {
            *at = Json::Object(serde_json::Map::new());
        }
        at = match at {
            Json::Array(items) => {
                let place: usize = key.parse().expect("a number");
                items.resize(items.len().max(place + 1), Json::Null);
                &mut items[place]
            }
            other => other
                .as_object_mut()
                .expect("a map")
                .entry(key)
                .or_insert(Json::Null),
        };
    }
    at
}
