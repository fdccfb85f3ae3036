//! What is asked of the Bot API.
//! Must not hold the bot's token: that is part of the address, which whoever sends puts together.

use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use crate::html::Html;

/// Updates that are asked for at a time: each is acted upon before the next.
const UPDATES: u32 = 20;
/// Most characters of an answer to a press.
const ANSWER: usize = 200;

/// Where a message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Chat {
    /// Positive for a person, negative for a group or a channel; at most 52 bits.
    pub id: i64,
    /// The topic of a forum; `None` where the chat has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thread: Option<i64>,
}

impl Chat {
    /// Whether Telegram counts twenty messages a minute here, not only one a second.
    pub fn is_group(self) -> bool {
        self.id < 0
    }
}

/// A method of the Bot API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    SendMessage,
    EditMessageText,
    GetUpdates,
    AnswerCallbackQuery,
}

impl Method {
    /// As it stands in the address.
    pub fn name(self) -> &'static str {
        match self {
            Self::SendMessage => "sendMessage",
            Self::EditMessageText => "editMessageText",
            Self::GetUpdates => "getUpdates",
            Self::AnswerCallbackQuery => "answerCallbackQuery",
        }
    }
}

/// A call, and the body that it has.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    pub method: Method,
    pub body: Json,
}

impl Call {
    /// A new message; `silent` does not ring.
    pub fn send(chat: Chat, html: &Html, silent: bool) -> Self {
        let mut body = shown(chat, html);
        if silent {
            body["disable_notification"] = true.into();
        }
        if let Some(thread) = chat.thread {
            body["message_thread_id"] = thread.into();
        }
        Self {
            method: Method::SendMessage,
            body,
        }
    }

    /// Another text for a message that is there.
    pub fn edit(chat: Chat, message: i64, html: &Html) -> Self {
        let mut body = shown(chat, html);
        body["message_id"] = message.into();
        Self {
            method: Method::EditMessageText,
            body,
        }
    }

    /// Waits up to so many seconds for presses from this number on; those before it are forgotten.
    pub fn updates(from: i64, seconds: u64) -> Self {
        Self {
            method: Method::GetUpdates,
            body: json!({
                "offset": from, "timeout": seconds, "limit": UPDATES, "allowed_updates": ["callback_query"],
            }),
        }
    }

    /// Tells whoever pressed a button; in a window that has to be closed where that is to be `loud`.
    pub fn answer(press: &str, text: &str, loud: bool) -> Self {
        let text: String = text.chars().take(ANSWER).collect();
        Self {
            method: Method::AnswerCallbackQuery,
            body: json!({"callback_query_id": press, "text": text, "show_alert": loud}),
        }
    }

    /// The same without tags, for HTML that was not taken.
    #[must_use]
    pub fn plain(mut self, html: &Html) -> Self {
        if let Json::Object(body) = &mut self.body {
            body.remove("parse_mode");
            body.insert("text".to_owned(), html.plain().into());
        }
        self
    }

    /// The same with buttons below the message: rows of (text, what comes back when it is pressed; at most 64 bytes).
    #[must_use]
    pub fn with_buttons(mut self, rows: &[Vec<(String, String)>]) -> Self {
        let button = |(text, data): &(String, String)| json!({"text": text, "callback_data": data});
        let rows: Vec<Vec<Json>> = rows
            .iter()
            .map(|row| row.iter().map(button).collect())
            .collect();
        self.body["reply_markup"] = json!({"inline_keyboard": rows});
        self
    }
}

fn shown(chat: Chat, html: &Html) -> Json {
    json!({
        "chat_id": chat.id,
        "text": html.text(),
        "parse_mode": "HTML",
        "link_preview_options": {"is_disabled": true},
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_says_what_telegram_wants() {
        let chat = Chat {
            id: -100,
            thread: Some(7),
        };
        let html = Html::read("<b>a</b> &lt; b").unwrap();
        let send = Call::send(chat, &html, true);
        assert_eq!(send.method.name(), "sendMessage");
        assert_eq!(
            send.body,
            json!({
                "chat_id": -100, "message_thread_id": 7, "text": "<b>a</b> &lt; b", "parse_mode": "HTML",
                "disable_notification": true, "link_preview_options": {"is_disabled": true},
            })
        );
        let edit = Call::edit(chat, 5, &html).plain(&html);
        assert_eq!(edit.method.name(), "editMessageText");
        assert_eq!(
            edit.body,
            json!({
                "chat_id": -100, "message_id": 5, "text": "a < b", "link_preview_options": {"is_disabled": true},
            })
        );
        let buttons = [vec![("Silence 1 h".to_owned(), "s1:abc".to_owned())]];
        let pressed = Call::send(chat, &html, false).with_buttons(&buttons);
        let keyboard = json!([[{"text": "Silence 1 h", "callback_data": "s1:abc"}]]);
        assert_eq!(pressed.body["reply_markup"]["inline_keyboard"], keyboard);
        let answer = Call::answer("77", &"x".repeat(300), true);
        assert_eq!(answer.method.name(), "answerCallbackQuery");
        assert_eq!(
            answer.body,
            json!({"callback_query_id": "77", "text": "x".repeat(200), "show_alert": true})
        );
        let updates = Call::updates(12, 9);
        assert_eq!(updates.method.name(), "getUpdates");
        assert_eq!(
            updates.body,
            json!({"offset": 12, "timeout": 9, "limit": 20, "allowed_updates": ["callback_query"]})
        );
        assert!(
            chat.is_group()
                && !Chat {
                    id: 1,
                    thread: None
                }
                .is_group()
        );
    }
}
