//! Where notifications go: the file of routes.
//!
//! It must not hold a secret: in a cluster it is a `ConfigMap`.

use std::collections::{BTreeMap, BTreeSet};

use kedactl_alerts::telegram::Chat;
use kedactl_alerts::{Template, TemplateTexts};
use serde::Deserialize;

/// The file as it is written.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Document {
    routes: BTreeMap<String, Entry>,
    /// Where words of our own go: what was dropped, which chat takes nothing.
    operators: Option<Chat>,
    /// Who may press buttons, by Telegram's numbers of users; nobody where nothing is said.
    #[serde(default)]
    users: BTreeSet<i64>,
    /// Whether there are buttons under what fires. They need this bot's updates, which one program alone can ask for.
    #[serde(default = "yes")]
    buttons: bool,
}

fn yes() -> bool {
    true
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Entry {
    chats: Vec<Chat>,
    #[serde(default)]
    template: TemplateTexts,
}

/// One route, checked.
#[derive(Debug)]
pub struct Route {
    pub chats: Vec<Chat>,
    pub template: Template,
}

/// Every route.
#[derive(Debug)]
pub struct Routes {
    all: BTreeMap<String, Route>,
    built_in: Template,
    operators: Option<Chat>,
    users: BTreeSet<i64>,
    buttons: bool,
}

impl Routes {
    /// Reads the file; an error says what is wrong with which route.
    pub fn read(text: &str) -> Result<Self, String> {
        let document: Document = serde_json::from_str(text).map_err(|error| error.to_string())?;
        if document.routes.is_empty() {
            return Err("it has no route".to_owned());
        }
        let mut all = BTreeMap::new();
        for (name, entry) in document.routes {
            let plain = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
            if name.is_empty() || name.len() > 64 || !name.chars().all(plain) {
                return Err(format!(
                    "route `{name}`: a name has up to 64 letters, digits, `-` and `_`"
                ));
            }
            if entry.chats.is_empty() || entry.chats.iter().any(|chat| chat.id == 0) {
                return Err(format!(
                    "route `{name}`: it needs `chats`, each with its `id`"
                ));
            }
            let template = Template::new(&entry.template)
                .map_err(|error| format!("route `{name}`: template: {error}"))?;
            let chats = entry.chats;
            all.insert(name, Route { chats, template });
        }
        Ok(Self {
            all,
            built_in: Template::built_in(),
            operators: document.operators,
            users: document.users,
            buttons: document.buttons,
        })
    }

    /// The route of a name.
    pub fn get(&self, name: &str) -> Option<&Route> {
        self.all.get(name)
    }

    /// The template of a route. One that is gone from the configuration leaves what was accepted for it.
    pub fn template(&self, name: &str) -> &Template {
        self.get(name).map_or(&self.built_in, |it| &it.template)
    }

    /// Who may press buttons, by Telegram's numbers.
    pub fn users(&self) -> &BTreeSet<i64> {
        &self.users
    }

    /// Whether there are buttons under what fires.
    pub fn buttons(&self) -> bool {
        self.buttons
    }

    /// Where words of our own go; the first chat of the first route where nothing is said.
    pub fn operators(&self) -> Option<Chat> {
        let first = || self.all.values().next()?.chats.first().copied();
        self.operators.or_else(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_routes_is_read_and_its_mistakes_are_told() {
        let text = r#"{"routes": {"default": {"chats": [{"id": -100, "thread": 3}], "template": {"head": "{{title}}"}}}}"#;
        let routes = Routes::read(text).unwrap();
        let chat = Chat {
            id: -100,
            thread: Some(3),
        };
        assert_eq!(routes.get("default").unwrap().chats, [chat]);
        assert_eq!(routes.operators(), Some(chat));
        assert!(routes.get("other").is_none());
        assert!(routes.buttons() && routes.users().is_empty());
        let text =
            r#"{"routes": {"a": {"chats": [{"id": 1}]}}, "users": [7, 8], "buttons": false}"#;
        let routes = Routes::read(text).unwrap();
        assert!(!routes.buttons() && routes.users().contains(&8));
        for (text, told) in [
            ("{}", "missing field `routes`"),
            (r#"{"routes": {}}"#, "no route"),
            (
                r#"{"routes": {"a b": {"chats": [{"id": 1}]}}}"#,
                "route `a b`: a name",
            ),
            (
                r#"{"routes": {"a": {"chats": []}}}"#,
                "route `a`: it needs `chats`",
            ),
            (
                r#"{"routes": {"a": {"chats": [{"id": 1}]}}, "users": ["@ann"]}"#,
                "expected i64",
            ),
            (
                r#"{"routes": {"a": {"chats": [{"id": 1}], "colour": 1}}}"#,
                "unknown field `colour`",
            ),
            (
                r#"{"routes": {"a": {"chats": [{"id": 1}], "template": {"alert": "{{#if"}}}}"#,
                "route `a`: template: alert: ",
            ),
        ] {
            let error = Routes::read(text).unwrap_err();
            assert!(error.contains(told), "{error}");
        }
    }
}
