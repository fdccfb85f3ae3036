//! Two objects beside each other, field by field.
//! Must not know kinds: what is no change at all is taken out before.

use serde::Serialize;
use serde_json::Value as Json;

use crate::object::text;

/// One field that differs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FieldChange {
    /// `.spec.template.spec.containers[name="api"].image`.
    pub path: String,
    /// The value that is there; absent where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Json>,
    /// The value that will be there; absent where there will be none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Json>,
}

/// Every field that differs, in order of path.
pub(crate) fn changes(before: &Json, after: &Json) -> Vec<FieldChange> {
    let mut all = Vec::new();
    walk(Some(before), Some(after), &mut String::new(), &mut all);
    all
}

fn walk(
    before: Option<&Json>,
    after: Option<&Json>,
    path: &mut String,
    out: &mut Vec<FieldChange>,
) {
    match (before, after) {
        (Some(Json::Object(old)), Some(Json::Object(new))) => {
            let mut keys: Vec<&String> = old.keys().chain(new.keys()).collect();
            keys.sort();
            keys.dedup();
            for key in keys {
                step(path, &format!(".{key}"), |path| {
                    walk(old.get(key), new.get(key), path, out);
                });
            }
        }
        (Some(Json::Array(old)), Some(Json::Array(new))) => lists(old, new, path, out),
        (old, new) if old.filter(|it| !it.is_null()) == new.filter(|it| !it.is_null()) => {}
        (old, new) => out.push(FieldChange {
            path: path.clone(),
            before: old.cloned(),
            after: new.cloned(),
        }),
    }
}

/// Lists of named things are compared by name; others by place.
fn lists(old: &[Json], new: &[Json], path: &mut String, out: &mut Vec<FieldChange>) {
    let named = |list: &[Json]| list.iter().all(|it| !text(it, "/name").is_empty());
    if !(named(old) && named(new)) {
        for at in 0..old.len().max(new.len()) {
            step(path, &format!("[{at}]"), |path| {
                walk(old.get(at), new.get(at), path, out);
            });
        }
        return;
    }
    let find = |list: &'_ [Json], name: &str| list.iter().position(|it| text(it, "/name") == name);
    let mut names: Vec<&str> = Vec::new();
    for item in old.iter().chain(new) {
        let name = text(item, "/name");
        if !names.contains(&name) {
            names.push(name);
        }
    }
    for name in names {
        let (old, new) = (
            find(old, name).map(|at| &old[at]),
            find(new, name).map(|at| &new[at]),
        );
        step(path, &format!("[name={name:?}]"), |path| {
            walk(old, new, path, out);
        });
    }
}

fn step(path: &mut String, part: &str, then: impl FnOnce(&mut String)) {
    let length = path.len();
    path.push_str(part);
    then(path);
    path.truncate(length);
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn fields_are_found_by_name_where_lists_have_names() {
        let before = json!({"a": 1, "c": [{"name": "x", "v": 1}, {"name": "y", "v": 1}], "l": [1, 2], "gone": null});
        let after = json!({"a": 2, "c": [{"name": "y", "v": 2}, {"name": "z", "v": 1}], "l": [1]});
        let all: Vec<String> = changes(&before, &after)
            .iter()
            .map(|it| {
                format!(
                    "{} {:?} {:?}",
                    it.path,
                    it.before.as_ref().map(Json::to_string),
                    it.after.as_ref().map(Json::to_string)
                )
            })
            .collect();
        insta::assert_snapshot!(all.join("\n"), @r#"
        .a Some("1") Some("2")
        .c[name="x"] Some("{\"name\":\"x\",\"v\":1}") None
        .c[name="y"].v Some("1") Some("2")
        .c[name="z"] None Some("{\"name\":\"z\",\"v\":1}")
        .l[1] Some("2") None
        "#);
        assert_eq!(changes(&before, &before), []);
    }
}
