//! Answers as Telegram writes them.
//!
//! It must not decide which one is given.

use serde_json::{Value as Json, json};

/// What is answered.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) body: String,
    /// Bytes of it that are sent, where not all are.
    pub(super) only: Option<usize>,
}

impl Reply {
    pub(super) fn of(done: Result<Json, Refusal>) -> Self {
        match done {
            Ok(result) => Self {
                status: 200,
                body: json!({"ok": true, "result": result}).to_string(),
                only: None,
            },
            Err(refusal) => refusal.reply(),
        }
    }
}

/// A refusal, as Telegram writes one.
#[derive(Debug, Clone)]
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) words: String,
    pub(super) parameters: Json,
    pub(super) page: bool,
}

impl Refusal {
    pub(super) fn new(status: u16, words: &str) -> Self {
        Self {
            status,
            words: words.to_owned(),
            parameters: Json::Null,
            page: false,
        }
    }

    pub(super) fn too_many(seconds: u64) -> Self {
        Self {
            parameters: json!({"retry_after": seconds}),
            ..Self::new(429, &format!("Too Many Requests: retry after {seconds}"))
        }
    }

    pub(super) fn moved(to: i64) -> Self {
        Self {
            parameters: json!({"migrate_to_chat_id": to}),
            ..Self::new(
                400,
                "Bad Request: group chat was upgraded to a supergroup chat",
            )
        }
    }

    fn reply(&self) -> Reply {
        let mut body = json!({"ok": false, "error_code": self.status, "description": self.words});
        if !self.parameters.is_null() {
            body["parameters"] = self.parameters.clone();
        }
        Reply {
            status: self.status,
            body: if self.page {
                "<html><body>502 Bad Gateway</body></html>".to_owned()
            } else {
                body.to_string()
            },
            only: None,
        }
    }
}
