//! A tree against the schema: every unknown key, wrong type and value out of range, all at once, at its place.
//! Looks at one value at a time; what values say about each other is `cross`'s.

use serde_json::{Map, Value as Json};

use crate::error::Problem;
use crate::format;
use crate::free;
use crate::near::nearest;
use crate::schema::{Rule, nullable};
use crate::source::Origin;
use crate::tree::{Entry, Kind, Node, Scalar, Value, join};

/// Checks one layer, in which any key may be missing and `null` deletes.
pub(crate) fn layer(node: &Node) -> Vec<Problem> {
    let mut check = Check {
        problems: Vec::new(),
        complete: false,
    };
    check.value(node, &Rule::root(), "");
    check.problems
}

/// Checks the merged tree and returns it as JSON of the types that the schema asks for.
pub(crate) fn merged(node: &Node) -> (Json, Vec<Problem>) {
    let mut check = Check {
        problems: Vec::new(),
        complete: true,
    };
    let json = check.value(node, &Rule::root(), "");
    (json, check.problems)
}

struct Check {
    problems: Vec<Problem>,
    /// Set for the merged tree: what is missing is then a problem.
    complete: bool,
}

impl Check {
    fn value(&mut self, node: &Node, rule: &Rule, path: &str) -> Json {
        match (rule.kind(), &node.value) {
            ("object", Value::Map(_)) if rule.is_free() => {
                free::json(node, path, &mut self.problems)
            }
            ("object", Value::Map(entries)) => self.map(node, entries, rule, path),
            ("object", Value::Null) if path.is_empty() => Json::Object(Map::new()),
            ("array", Value::List(items)) => self.list(node, items, rule, path),
            ("string", Value::Scalar(scalar)) => self.text(node, scalar, rule, path),
            (
                "integer",
                Value::Scalar(Scalar {
                    kind: Kind::Int(number),
                    ..
                }),
            ) => self.integer(node, *number, rule, path),
            (
                "boolean",
                Value::Scalar(Scalar {
                    kind: Kind::Bool(value),
                    ..
                }),
            ) => Json::from(*value),
            (kind, found) => {
                let expected = expected(kind, rule);
                self.wrong(
                    node,
                    path,
                    format!("expected {expected}, found {}", found.found()),
                    None,
                )
            }
        }
    }

    fn map(&mut self, node: &Node, entries: &[Entry], rule: &Rule, path: &str) -> Json {
        let known = rule.get("properties").and_then(Json::as_object);
        let others = rule
            .get("additionalProperties")
            .filter(|others| others.is_object());
        let mut json = Map::new();
        for entry in entries {
            let inner = join(path, &entry.key);
            let own = known.and_then(|known| known.get(&entry.key));
            let Some(schema) = own.or(others) else {
                self.unknown_key(entry, known, path);
                continue;
            };
            self.key(entry, rule, &inner);
            if entry.node.value != Value::Null {
                json.insert(
                    entry.key.clone(),
                    self.value(&entry.node, &Rule::of(schema), &inner),
                );
            } else if own.is_none() && nullable(schema) {
                json.insert(entry.key.clone(), Json::Null);
            }
        }
        if let (true, Some(Json::Array(required))) = (self.complete, rule.get("required")) {
            for key in required.iter().filter_map(Json::as_str) {
                if !json.contains_key(key) {
                    let deleted = entries.iter().find(|entry| entry.key == key);
                    self.missing(node, &join(path, key), deleted);
                }
            }
        }
        Json::Object(json)
    }

    /// The form of a free key, such as a variable's name.
    fn key(&mut self, entry: &Entry, rule: &Rule, path: &str) {
        let Some(format) = rule.text("x-keys").and_then(format::format) else {
            return;
        };
        if !(format.holds)(&entry.key) {
            let message = format!("the key `{}` is not {}", entry.key, format.accepted);
            self.at(&entry.origin, path, message, None);
        }
    }

    fn unknown_key(
        &mut self,
        entry: &Entry,
        known: Option<&'static Map<String, Json>>,
        path: &str,
    ) {
        let names: Vec<&str> = known
            .iter()
            .flat_map(|known| known.keys().map(String::as_str))
            .collect();
        let near = nearest(&entry.key, names.iter().copied());
        let meant = near
            .map(|near| format!(", did you mean `{near}`?"))
            .unwrap_or_default();
        let place = if path.is_empty() {
            "here".into()
        } else {
            format!("in `{path}`")
        };
        let hint = format!("keys {place}: {}", names.join(", "));
        let message = format!("unknown key `{}`{meant}", entry.key);
        self.at(&entry.origin, path, message, Some(hint));
    }

    fn missing(&mut self, node: &Node, path: &str, deleted: Option<&Entry>) {
        let (origin, message) = match deleted.map(|entry| &entry.node) {
            Some(Node {
                value: Value::Null,
                origin,
            }) => (origin, "a value is needed, and `null` deletes it here"),
            Some(_) => return,
            None => (&node.origin, "a value is needed, and no layer has one"),
        };
        self.at(&origin.clone(), path, message.into(), None);
    }

    fn list(&mut self, node: &Node, items: &[Node], rule: &Rule, path: &str) -> Json {
        let (least, most) = (rule.number("minItems"), rule.number("maxItems"));
        self.length(node, items.len(), (least, most), "entries", path);
        let item_rule = rule.get("items").map(Rule::of);
        let form = rule.text("x-items").and_then(format::format);
        let mut json = Vec::new();
        for (at, item) in items.iter().enumerate() {
            let path = format!("{path}[{at}]");
            if let Some(rule) = &item_rule {
                json.push(self.value(item, rule, &path));
            }
            if let (Some(form), Value::Scalar(scalar)) = (form, &item.value) {
                self.form(item, scalar, form, &path);
            }
        }
        Json::Array(json)
    }

    fn text(&mut self, node: &Node, scalar: &Scalar, rule: &Rule, path: &str) -> Json {
        let spelt = rule.get("x-text").is_some();
        if scalar.kind != Kind::Text && !spelt {
            let message = format!(
                "expected {}, found {}",
                expected("string", rule),
                node.value.found()
            );
            let quoted = format!("write it in quotes: \"{}\"", scalar.text);
            let hint = rule.words().is_empty().then_some(quoted);
            return self.wrong(node, path, message, hint);
        }
        let words = rule.words();
        if !words.is_empty() && !words.contains(&scalar.text.as_str()) {
            let near = nearest(&scalar.text, words.iter().copied());
            let meant = near
                .map(|near| format!(", did you mean `{near}`?"))
                .unwrap_or_default();
            let message = format!(
                "expected {}, found {}{meant}",
                expected("string", rule),
                node.value.found()
            );
            return self.wrong(node, path, message, None);
        }
        let bounds = (rule.number("minLength"), rule.number("maxLength"));
        self.length(
            node,
            scalar.text.chars().count(),
            bounds,
            "characters",
            path,
        );
        if scalar.text.contains('\0') {
            return self.wrong(
                node,
                path,
                "the character U+0000 is not accepted".into(),
                None,
            );
        }
        if let Some(form) = rule.text("format").and_then(format::format) {
            self.form(node, scalar, form, path);
        }
        Json::from(scalar.text.as_str())
    }

    fn form(&mut self, node: &Node, scalar: &Scalar, form: &format::Format, path: &str) {
        if !(form.holds)(&scalar.text) {
            let message = format!("expected {}, found {}", form.accepted, node.value.found());
            self.at(&node.origin, path, message, None);
        }
    }

    fn integer(&mut self, node: &Node, number: i128, rule: &Rule, path: &str) -> Json {
        let least = rule.number("minimum").unwrap_or(i128::from(i64::MIN));
        let most = rule.number("maximum").unwrap_or(i128::from(i64::MAX));
        match i64::try_from(number) {
            Ok(value) if (least..=most).contains(&number) => Json::from(value),
            _ => {
                let expected = expected("integer", rule);
                self.wrong(
                    node,
                    path,
                    format!("expected {expected}, found {}", node.value.found()),
                    None,
                )
            }
        }
    }

    fn length(
        &mut self,
        node: &Node,
        length: usize,
        bounds: (Option<i128>, Option<i128>),
        unit: &str,
        path: &str,
    ) {
        let (least, most) = (bounds.0.unwrap_or(0), bounds.1.unwrap_or(i128::MAX));
        if !(least..=most).contains(&(length as i128)) {
            let message = match bounds {
                (_, None) => format!("expected at least {least} {unit}, found {length}"),
                _ => format!("expected {least} to {most} {unit}, found {length}"),
            };
            self.at(&node.origin, path, message, None);
        }
    }

    fn wrong(&mut self, node: &Node, path: &str, message: String, hint: Option<String>) -> Json {
        self.at(&node.origin, path, message, hint);
        Json::Null
    }

    fn at(&mut self, origin: &Origin, path: &str, message: String, hint: Option<String>) {
        let origin = Some(origin.clone());
        self.problems.push(Problem {
            origin,
            path: path.to_owned(),
            message,
            hint,
        });
    }
}

/// What a rule accepts, in words.
fn expected(kind: &str, rule: &Rule) -> String {
    match kind {
        "object" => "a map".into(),
        "array" => "a list".into(),
        "boolean" => "`true` or `false`".into(),
        "integer" => match (rule.number("minimum"), rule.number("maximum")) {
            (Some(least), Some(most)) if least == most => format!("{least}"),
            (Some(least), Some(most)) => format!("a whole number from {least} to {most}"),
            (Some(least), None) => format!("a whole number from {least}"),
            _ => "a whole number".into(),
        },
        _ => match rule.words().as_slice() {
            [] => "text".into(),
            words => format!("one of {}", backticked(words)),
        },
    }
}

fn backticked(words: &[&str]) -> String {
    words
        .iter()
        .map(|word| format!("`{word}`"))
        .collect::<Vec<_>>()
        .join(", ")
}
