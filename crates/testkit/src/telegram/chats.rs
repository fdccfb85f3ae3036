//! What a call does to a chat.
//!
//! It must not be told from which connection it came.

use std::collections::VecDeque;
use std::time::Duration;

use serde_json::{Value as Json, json};

use super::refusal::Refusal;
use super::{State, TelegramFault, TelegramMessage, rules};

impl State {
    pub(super) fn fault(&mut self, chat: i64) -> Option<TelegramFault> {
        let own = self.faults.get_mut(&chat).and_then(VecDeque::pop_front);
        own.or_else(|| self.faults.get_mut(&0).and_then(VecDeque::pop_front))
    }

    pub(super) fn carry_out(
        &mut self,
        at: Duration,
        method: &str,
        chat: i64,
        body: &Json,
        fault: Option<&TelegramFault>,
    ) -> Result<Json, Refusal> {
        match fault {
            Some(TelegramFault::TooMany(seconds)) => return Err(Refusal::too_many(*seconds)),
            Some(TelegramFault::Migrate(to)) => drop(self.moved.insert(chat, *to)),
            Some(TelegramFault::Refuse(status, words)) => {
                return Err(Refusal::new(*status, words));
            }
            Some(TelegramFault::BadGateway) => {
                let mut refusal = Refusal::new(502, "Bad Gateway");
                refusal.page = true;
                return Err(refusal);
            }
            _ => {}
        }
        if let Some(to) = self.moved.get(&chat) {
            return Err(Refusal::moved(*to));
        }
        if let Some((status, words)) = self.closed.get(&chat) {
            return Err(Refusal::new(*status, words));
        }
        if let Some(until) = self.parked.get(&chat).filter(|until| **until > at) {
            return Err(Refusal::too_many(until.saturating_sub(at).as_secs() + 1));
        }
        if let Some(seconds) = self.limits.exceeded(chat, at) {
            return Err(Refusal::too_many(seconds));
        }
        let text = body["text"].as_str().unwrap_or_default();
        let bad = |words: String| Refusal::new(400, &format!("Bad Request: {words}"));
        rules::check(text, body["parse_mode"] == "HTML").map_err(bad)?;
        let buttons = rules::buttons(&body["reply_markup"]).map_err(bad)?;
        match method {
            "sendMessage" => self.send(chat, text, buttons, body),
            "editMessageText" => self.edit(chat, text, buttons, body),
            _ => Err(Refusal::new(404, "Not Found")),
        }
    }

    fn send(
        &mut self,
        chat: i64,
        text: &str,
        buttons: Vec<(String, String)>,
        body: &Json,
    ) -> Result<Json, Refusal> {
        let thread = body["message_thread_id"].as_i64();
        if thread.is_some_and(|it| self.lost_topics.contains(&(chat, it))) {
            return Err(Refusal::new(400, "Bad Request: message thread not found"));
        }
        self.last_id += 1;
        let message = TelegramMessage {
            id: self.last_id,
            thread,
            buttons,
            text: text.to_owned(),
            edits: 0,
            silent: body["disable_notification"] == true,
        };
        self.messages.entry(chat).or_default().push(message);
        Ok(json!({"message_id": self.last_id, "chat": {"id": chat}}))
    }

    /// An edit without buttons takes them away.
    fn edit(
        &mut self,
        chat: i64,
        text: &str,
        buttons: Vec<(String, String)>,
        body: &Json,
    ) -> Result<Json, Refusal> {
        let id = body["message_id"].as_i64().unwrap_or_default();
        let messages = self.messages.entry(chat).or_default();
        let Some(message) = messages.iter_mut().find(|it| it.id == id) else {
            return Err(Refusal::new(400, "Bad Request: message to edit not found"));
        };
        if message.text == text && message.buttons == buttons {
            let words = "Bad Request: message is not modified: specified new message content and reply markup are exactly \
                         the same as a current content and reply markup of the message";
            return Err(Refusal::new(400, words));
        }
        text.clone_into(&mut message.text);
        message.buttons = buttons;
        message.edits += 1;
        Ok(json!({"message_id": id, "chat": {"id": chat}}))
    }
}
