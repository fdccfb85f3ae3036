//! Updates: buttons that people press, and who asks for them.
//!
//! It must not give an update to two that ask at a time: the first of them is told that there is another.

use std::collections::{BTreeSet, VecDeque};
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::{Value as Json, json};
use tokio::time::Instant;

use super::refusal::Refusal;
use super::{Shared, Telegram, TelegramAnswer};

/// Longest wait for updates that Telegram allows.
const LONGEST: u64 = 50;

#[derive(Debug, Default)]
pub(super) struct Presses {
    waiting: VecDeque<Json>,
    last: i64,
    /// Counts those that asked: whoever is not the last one is told.
    asked: u64,
    /// Presses that have no answer yet.
    open: BTreeSet<String>,
    answers: Vec<TelegramAnswer>,
}

impl Telegram {
    /// Presses a button as a person does, by its label; the press's id.
    ///
    /// # Panics
    /// If the message is not there, or has no such button.
    pub fn press(&self, chat: i64, message: i64, label: &str, user: (i64, &str)) -> String {
        let mut state = self.lock();
        let messages = state.messages.get(&chat);
        let shown = messages.and_then(|all| all.iter().find(|it| it.id == message));
        let shown = shown.expect("the message is there");
        let button = shown.buttons.iter().find(|it| it.0 == label);
        let (_, data) = button
            .unwrap_or_else(|| panic!("no button {label}: {shown:?}"))
            .clone();
        let id = state.press(chat, message, &data, user);
        drop(state);
        self.shared.changed.notify_all();
        id
    }

    /// Sends data as a changed client can, whatever buttons there are.
    pub fn press_data(&self, chat: i64, message: i64, data: &str, user: (i64, &str)) -> String {
        let id = self.lock().press(chat, message, data, user);
        self.shared.changed.notify_all();
        id
    }

    /// What people were told who pressed.
    pub fn answers(&self) -> Vec<TelegramAnswer> {
        self.lock().presses.answers.clone()
    }

    /// Waits until whoever pressed is told something.
    ///
    /// # Panics
    /// If he is not within the time.
    pub fn until_answered(&self, press: &str, within: Duration) -> TelegramAnswer {
        let deadline = Instant::now() + within;
        let mut state = self.lock();
        loop {
            if let Some(answer) = state.presses.answers.iter().find(|it| it.press == press) {
                return answer.clone();
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(
                !left.is_zero(),
                "no answer to press {press} within {within:?}"
            );
            let waited = self.shared.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl super::State {
    fn press(&mut self, chat: i64, message: i64, data: &str, (user, name): (i64, &str)) -> String {
        let presses = &mut self.presses;
        presses.last += 1;
        let (number, id) = (presses.last, format!("{}", 9_000_000 + presses.last));
        let from = json!({"id": user, "is_bot": false, "first_name": name, "username": name});
        presses.waiting.push_back(json!({
            "update_id": number,
            "callback_query": {
                "id": id, "from": from, "data": data, "chat_instance": "1",
                "message": {"message_id": message, "chat": {"id": chat}},
            },
        }));
        presses.open.insert(id.clone());
        id
    }

    fn answer(&mut self, body: &Json) -> Result<Json, Refusal> {
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        let (press, said) = (text("callback_query_id"), text("text"));
        if said.chars().count() > 200 {
            return Err(Refusal::new(400, "Bad Request: MESSAGE_TOO_LONG"));
        }
        if !self.presses.open.remove(&press) {
            let words =
                "Bad Request: query is too old and response timeout expired or query ID is invalid";
            return Err(Refusal::new(400, words));
        }
        self.presses.answers.push(TelegramAnswer {
            press,
            text: said,
            loud: body["show_alert"] == true,
        });
        Ok(true.into())
    }
}

impl Shared {
    /// Carries out a call about presses; nothing where it is another.
    pub(super) fn asked_for_presses(
        &self,
        method: &str,
        body: &Json,
    ) -> Option<Result<Json, Refusal>> {
        match method {
            "getUpdates" => Some(self.updates(body)),
            "answerCallbackQuery" => Some(self.lock().answer(body)),
            _ => None,
        }
    }

    fn updates(&self, body: &Json) -> Result<Json, Refusal> {
        let from = body["offset"].as_i64().unwrap_or_default();
        let most = body["limit"].as_u64().unwrap_or(100).min(100) as usize;
        let seconds = body["timeout"].as_u64().unwrap_or_default().min(LONGEST);
        let deadline = Instant::now() + Duration::from_secs(seconds);
        let mut state = self.lock();
        state.presses.asked += 1;
        let asked = state.presses.asked;
        // Whoever waits hears of us.
        self.changed.notify_all();
        state.presses.waiting.retain(|it| {
            it["update_id"]
                .as_i64()
                .is_some_and(|number| number >= from)
        });
        loop {
            if state.presses.asked != asked {
                let words = "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running";
                return Err(Refusal::new(409, words));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let gone = self.over.load(Ordering::SeqCst) || self.down.load(Ordering::SeqCst);
            if !state.presses.waiting.is_empty() || left.is_zero() || gone {
                // Nobody waits any more.
                state.presses.asked += 1;
                let updates: Vec<Json> = state.presses.waiting.iter().take(most).cloned().collect();
                return Ok(updates.into());
            }
            let waited = self
                .changed
                .wait_timeout(state, left.min(super::LOOK_EVERY));
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}
