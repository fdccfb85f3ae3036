//! What the Bot API answers to a question for updates: who pressed which button.
//! Must not stop at an update that it does not understand: its number has to be passed all the same.

use std::time::Duration;

use serde_json::Value as Json;

use super::answer::Answer;

/// Characters of a name that are kept.
const NAME: usize = 64;

/// Somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    pub id: i64,
    /// `@name`, else what they call themselves, else the number.
    pub name: String,
}

/// A button that was pressed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Press {
    /// For the answer to it.
    pub id: String,
    pub by: Person,
    pub data: String,
}

/// One update; `None` where it is no press.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Update {
    /// Each has a higher one than those before.
    pub number: i64,
    pub press: Option<Press>,
}

/// What an answer to a question for updates means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    Updates(Vec<Update>),
    /// Somebody else asks for this bot's updates, or has set a webhook for them.
    Conflict(String),
    /// Not before so long.
    Later(Duration),
    Failed(String),
}

impl Heard {
    /// Reads the status and the body of an answer.
    pub fn read(status: u16, body: &[u8]) -> Self {
        let document: Json = serde_json::from_slice(body).unwrap_or_default();
        if document["ok"] == true
            && let Some(updates) = document["result"].as_array()
        {
            return Self::Updates(updates.iter().filter_map(update).collect());
        }
        if document["error_code"] == 409 {
            let words = document["description"].as_str().unwrap_or_default();
            return Self::Conflict(words.chars().take(200).collect());
        }
        match Answer::read(status, body) {
            Answer::Later(time) => Self::Later(time),
            Answer::Failed(words) | Answer::Refused(words) | Answer::Closed(_, words) => {
                Self::Failed(words)
            }
            _ => Self::Failed(format!("HTTP {status}, and no list of updates")),
        }
    }
}

fn update(document: &Json) -> Option<Update> {
    Some(Update {
        number: document["update_id"].as_i64()?,
        press: press(&document["callback_query"]),
    })
}

fn press(document: &Json) -> Option<Press> {
    Some(Press {
        id: document["id"].as_str()?.to_owned(),
        by: person(&document["from"])?,
        data: document["data"].as_str().unwrap_or_default().to_owned(),
    })
}

fn person(document: &Json) -> Option<Person> {
    let id = document["id"].as_i64()?;
    let text = |name: &str| document[name].as_str().unwrap_or_default().trim();
    let name = match (text("username"), text("first_name"), text("last_name")) {
        ("", first, last) => format!("{first} {last}").trim().to_owned(),
        (username, _, _) => format!("@{username}"),
    };
    let name: String = name
        .chars()
        .filter(|c| !c.is_control())
        .take(NAME)
        .collect();
    Some(Person {
        name: if name.is_empty() {
            id.to_string()
        } else {
            name
        },
        id,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn heard(document: &Json) -> Heard {
        Heard::read(200, document.to_string().as_bytes())
    }

    #[test]
    fn a_press_says_who_and_what() {
        let from = |more: &Json| {
            let mut from = json!({"id": 5, "is_bot": false});
            from.as_object_mut()
                .unwrap()
                .extend(more.as_object().unwrap().clone());
            let query =
                json!({"id": "77", "from": from, "data": "a:x", "message": {"message_id": 3}});
            let document = json!({"ok": true, "result": [
                {"update_id": 10, "message": {"text": "hello"}},
                {"update_id": 11, "callback_query": query},
                {"strange": 1},
            ]});
            let Heard::Updates(updates) = heard(&document) else {
                panic!("no updates");
            };
            assert_eq!(
                (updates.len(), updates[0].number, &updates[0].press),
                (2, 10, &None)
            );
            updates[1].press.clone().unwrap()
        };
        let press = from(&json!({"username": "ann", "first_name": "Ann"}));
        assert_eq!(
            (press.by.name.as_str(), press.data.as_str()),
            ("@ann", "a:x")
        );
        let named = from(&json!({"first_name": "Ann\u{7}", "last_name": "Lee"}));
        assert_eq!(named.by.name, "Ann Lee");
        assert_eq!(from(&json!({})).by.name, "5");
    }

    #[test]
    fn what_is_no_list_says_why() {
        let refused = |code: u16, words: &str, parameters: Json| {
            heard(
                &json!({"ok": false, "error_code": code, "description": words, "parameters": parameters}),
            )
        };
        let words = "Conflict: terminated by other getUpdates request";
        assert_eq!(
            refused(409, words, Json::Null),
            Heard::Conflict(words.to_owned())
        );
        assert_eq!(
            refused(429, "Too Many Requests", json!({"retry_after": 3})),
            Heard::Later(Duration::from_secs(3))
        );
        for code in [400, 401, 403, 404, 500, 502] {
            assert!(
                matches!(refused(code, "no", Json::Null), Heard::Failed(_)),
                "{code}"
            );
        }
        assert!(matches!(
            heard(&json!({"ok": true, "result": true})),
            Heard::Failed(_)
        ));
        assert!(matches!(Heard::read(502, b"<html>"), Heard::Failed(_)));
    }

    proptest! {
        #[test]
        fn no_answer_makes_it_panic(status in 100_u16..600, body in "\\PC{0,80}") {
            let _heard = Heard::read(status, body.as_bytes());
        }
    }
}
