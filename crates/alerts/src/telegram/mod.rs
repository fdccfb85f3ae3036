//! The Bot API as far as alerts need it: what is asked, and what an answer means for the message and its chat.
//! Must not send anything.
//!
//! Source: core.telegram.org/bots/api; texts of errors as tdlib/telegram-bot-api writes them.

mod answer;
mod button;
mod call;
mod update;

pub use answer::{Answer, Why};
pub use button::{Wish, buttons};
pub use call::{Call, Chat, Method};
pub use update::{Heard, Person, Press, Update};
