//! What an answer of the Bot API means: done, again later, another way, or never.
//! Must not keep a body that it does not understand: a proxy's page may hold the address, and in it the token.

use std::time::Duration;

use serde_json::Value as Json;

/// How long a chat is left alone that wants to be, and does not say how long.
const UNSAID: Duration = Duration::from_secs(5);
/// Longer than any wait that Telegram is known to ask for.
const LONGEST: Duration = Duration::from_hours(1);
/// Characters of Telegram's words that are kept.
const WORDS: usize = 200;

/// What an answer means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The message is there.
    Done { message: i64 },
    /// It has that text already, which is what was wanted.
    Unchanged,
    /// The message that was to be changed is gone, or too old: a new one takes its place.
    Gone,
    /// Nothing for this chat before so long.
    Later(Duration),
    /// The chat has another id from now on.
    Moved { to: i64 },
    /// The HTML was not taken: the same without tags may be.
    NotHtml(String),
    /// Nothing gets into this chat until somebody does something about it.
    Closed(Why, String),
    /// It will be refused again.
    Refused(String),
    /// It may work the next time: the server's own trouble, or no answer of the Bot API at all.
    Failed(String),
}

/// Why nothing gets into a chat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// The bot was taken out of it, or blocked by the person.
    Expelled,
    /// There is no such chat, or the bot never saw it.
    NoChat,
    /// The topic was deleted or closed.
    NoTopic,
    /// The bot may not write here.
    NoRight,
    /// The token is not a bot's: no chat can be reached.
    NoBot,
}

/// Words of a refusal, and what they mean; the first that fits counts. Telegram has no codes for them.
const CLOSED: [(&str, Why); 16] = [
    ("bot was kicked", Why::Expelled),
    ("bot was blocked", Why::Expelled),
    ("bot is not a member", Why::Expelled),
    ("user is deactivated", Why::Expelled),
    ("group chat was deleted", Why::Expelled),
    ("message thread not found", Why::NoTopic),
    ("topic_closed", Why::NoTopic),
    ("topic_deleted", Why::NoTopic),
    ("chat not found", Why::NoChat),
    ("peer_id_invalid", Why::NoChat),
    ("can't initiate conversation", Why::NoChat),
    ("can't send messages to bots", Why::NoChat),
    ("not enough rights", Why::NoRight),
    ("have no rights", Why::NoRight),
    ("chat_write_forbidden", Why::NoRight),
    ("need administrator rights", Why::NoRight),
];

impl Answer {
    /// Reads the status and the body of an answer.
    pub fn read(status: u16, body: &[u8]) -> Self {
        let Ok(document) = serde_json::from_slice::<Json>(body) else {
            return Self::Failed(format!("HTTP {status}, and no answer of the Bot API"));
        };
        if document["ok"] == true {
            // `editMessageText` answers `true` for messages of others.
            return match document["result"]["message_id"].as_i64() {
                Some(message) => Self::Done { message },
                None => Self::Unchanged,
            };
        }
        let Some(code) = document["error_code"].as_u64() else {
            return Self::Failed(format!("HTTP {status}, and no answer of the Bot API"));
        };
        let words = document["description"].as_str().unwrap_or_default();
        let words: String = words
            .chars()
            .filter(|c| !c.is_control())
            .take(WORDS)
            .collect();
        let parameters = &document["parameters"];
        if let Some(to) = parameters["migrate_to_chat_id"].as_i64() {
            return Self::Moved { to };
        }
        Self::refusal(code, words, parameters["retry_after"].as_u64())
    }

    fn refusal(code: u64, words: String, retry_after: Option<u64>) -> Self {
        let lower = words.to_lowercase();
        let says = |text: &str| lower.contains(text);
        match code {
            429 => Self::Later(retry_after.map_or(UNSAID, Duration::from_secs).min(LONGEST)),
            401 | 404 => Self::Closed(Why::NoBot, words),
            400 if says("message is not modified") => Self::Unchanged,
            400 if says("message to edit not found") || says("message can't be edited") => {
                Self::Gone
            }
            400 if says("message_id_invalid") => Self::Gone,
            400 if says("can't parse entities") => Self::NotHtml(words),
            400 | 403 => match CLOSED.iter().find(|(text, _)| says(text)) {
                Some((_, why)) => Self::Closed(*why, words),
                None if code == 403 => Self::Closed(Why::NoRight, words),
                None => Self::Refused(words),
            },
            // Two that ask for updates at a time: no matter of this message.
            409 => Self::Failed(words),
            402..500 => Self::Refused(words),
            _ => Self::Failed(words),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn refused(code: u16, words: &str) -> Answer {
        let body = json!({"ok": false, "error_code": code, "description": words});
        Answer::read(code, body.to_string().as_bytes())
    }

    #[test]
    fn a_message_that_is_there_has_its_number() {
        let body = json!({"ok": true, "result": {"message_id": 42, "chat": {"id": -1}}});
        assert_eq!(
            Answer::read(200, body.to_string().as_bytes()),
            Answer::Done { message: 42 }
        );
        assert_eq!(
            Answer::read(200, br#"{"ok":true,"result":true}"#),
            Answer::Unchanged
        );
    }

    #[test]
    fn each_refusal_has_its_way_out() {
        assert_eq!(
            refused(
                400,
                "Bad Request: message is not modified: specified new message content and reply markup are the same"
            ),
            Answer::Unchanged
        );
        for words in [
            "Bad Request: message to edit not found",
            "Bad Request: message can't be edited",
            "Bad Request: MESSAGE_ID_INVALID",
        ] {
            assert_eq!(refused(400, words), Answer::Gone);
        }
        let words = "Bad Request: can't parse entities: Unsupported start tag \"br\"";
        assert_eq!(refused(400, words), Answer::NotHtml(words.to_owned()));
        for (code, words, why) in [
            (
                403,
                "Forbidden: bot was kicked from the supergroup chat",
                Why::Expelled,
            ),
            (403, "Forbidden: bot was blocked by the user", Why::Expelled),
            (400, "Bad Request: chat not found", Why::NoChat),
            (400, "Bad Request: message thread not found", Why::NoTopic),
            (400, "Bad Request: TOPIC_CLOSED", Why::NoTopic),
            (
                400,
                "Bad Request: not enough rights to send text messages to the chat",
                Why::NoRight,
            ),
            (403, "Forbidden: something new", Why::NoRight),
            (401, "Unauthorized", Why::NoBot),
            (404, "Not Found", Why::NoBot),
        ] {
            assert_eq!(refused(code, words), Answer::Closed(why, words.to_owned()));
        }
        let words = "Bad Request: message text is empty";
        assert_eq!(refused(400, words), Answer::Refused(words.to_owned()));
        assert!(matches!(
            refused(500, "Internal Server Error"),
            Answer::Failed(_)
        ));
        assert!(matches!(
            refused(409, "Conflict: terminated by other getUpdates request"),
            Answer::Failed(_)
        ));
    }

    #[test]
    fn a_chat_that_wants_to_be_left_alone_is() {
        let asked = |parameters: Json| {
            let body = json!({"ok": false, "error_code": 429, "description": "Too Many Requests", "parameters": parameters});
            Answer::read(429, body.to_string().as_bytes())
        };
        let after = |seconds| Answer::Later(Duration::from_secs(seconds));
        assert_eq!(asked(json!({"retry_after": 20})), after(20));
        assert_eq!(asked(json!(null)), after(5));
        assert_eq!(asked(json!({"retry_after": 999_999})), after(3600));
    }

    #[test]
    fn a_group_that_became_a_supergroup_tells_its_new_number() {
        let body = json!({
            "ok": false, "error_code": 400, "description": "Bad Request: group chat was upgraded to a supergroup chat",
            "parameters": {"migrate_to_chat_id": -1_001_234_567_890_i64},
        });
        assert_eq!(
            Answer::read(400, body.to_string().as_bytes()),
            Answer::Moved {
                to: -1_001_234_567_890
            }
        );
    }

    #[test]
    fn a_page_of_a_proxy_is_not_repeated() {
        let page = b"<html>Bad gateway: https://api.telegram.org/bot1:TOKEN/sendMessage</html>";
        let answer = Answer::read(502, page);
        assert_eq!(
            answer,
            Answer::Failed("HTTP 502, and no answer of the Bot API".to_owned())
        );
    }

    proptest! {
        #[test]
        fn no_answer_makes_it_panic(status in 100_u16..600, body in "\\PC{0,80}") {
            let _answer = Answer::read(status, body.as_bytes());
        }
    }
}
