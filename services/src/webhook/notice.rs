//! Words of our own for those who operate this: what was dropped, and which chat takes nothing.
//!
//! It must not flood them: one of a kind in ten minutes.

use kedactl_alerts::Key;
use kedactl_alerts::telegram::Chat;
use kedactl_outbox::{Entry, State as Shown};

use super::state::State;
use crate::api::Problem;

/// So long is one word enough.
const ONCE_IN_US: u64 = 600_000_000;

/// A post that Alertmanager will not send again.
#[derive(Debug)]
pub(super) struct Dropped<'r> {
    /// `None`: it came for one that is not there.
    pub(super) route: Option<&'r str>,
    pub(super) why: &'static str,
    /// Of its body, where that is known.
    pub(super) bytes: Option<u64>,
}

/// Tells the operators, and hands back the answer; where they cannot be told, the answer is one after which it is sent again.
pub(super) async fn dropped(state: &State, dropped: &Dropped<'_>, problem: Problem) -> Problem {
    let (why, bytes) = (dropped.why, dropped.bytes);
    let size = bytes.map_or_else(String::new, |it| format!(" of {it} bytes"));
    let route = dropped.route;
    let of_route = route.map_or_else(String::new, |it| format!(" for the route {it}"));
    let text = format!("⚠️ a notification{size}{of_route} was dropped: {why}");
    tracing::warn!(route, why, bytes, "dropped");
    let about = format!("dropped{of_route} {why}");
    match say(state, &about, text, None).await {
        Ok(()) => problem,
        Err(()) => Problem::unavailable("not-kept", "the operators could not be told"),
    }
}

/// Tells the operators that a chat takes nothing, but not in that chat.
pub(super) async fn closed(state: &State, chat: Chat, words: &str) {
    let text = format!(
        "⚠️ chat {} takes nothing: {words}. What is for it waits.",
        chat.id
    );
    tracing::warn!(chat = chat.id, words, "a chat takes nothing");
    // Whoever looks at the outbox finds it there too.
    let _told = say(state, &format!("closed {}", chat.id), text, Some(chat)).await;
}

/// Tells the operators that a topic is not there: its messages go to the chat itself, which may be theirs.
pub(super) async fn no_topic(state: &State, chat: Chat) {
    let topic = chat.thread.unwrap_or_default();
    let text = format!(
        "⚠️ chat {} has no topic {topic}, or it is closed: its messages go to the chat itself.",
        chat.id
    );
    tracing::warn!(chat = chat.id, topic, "a topic is not there");
    let _told = say(state, &format!("topic {} {topic}", chat.id), text, None).await;
}

/// Tells the operators that nobody hears of pressed buttons.
pub(super) async fn conflict(state: &State, words: &str) {
    let text = format!(
        "⚠️ buttons do nothing: somebody else asks for this bot's updates, or has set a webhook for them ({words})."
    );
    tracing::warn!(words, "somebody else asks for this bot's updates");
    let _told = say(state, "conflict", text, None).await;
}

async fn say(state: &State, about: &str, text: String, not_in: Option<Chat>) -> Result<(), ()> {
    let operators = state.routes.operators();
    let Some(chat) = operators.filter(|chat| not_in.is_none_or(|not| not.id != chat.id)) else {
        return Ok(());
    };
    let now = state.redis.now_us() / ONCE_IN_US;
    let entry = Entry {
        key: Key::of_words(&format!("{about} {now}")),
        route: String::new(),
        group: format!("notice {about} {now}"),
        chats: vec![chat],
        state: Shown::Notice(text),
        stale: false,
    };
    let kept = state.outbox.accept(entry).await;
    state.news.notify_one();
    kept.map(drop).map_err(|error| {
        tracing::warn!(
            error = crate::startup::chain(&error),
            "the operators could not be told"
        );
    })
}
