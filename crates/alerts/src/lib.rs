//! Alertmanager's notifications and Telegram's messages: what came, whether it came before, and what a chat is shown of it.
//!
//! Law: pure, no clock, no I/O; whatever an alert holds, what comes out is HTML that Telegram takes, in at most 4,096 characters;
//! no alert is dropped without being counted.

pub mod html;
mod incident;
mod key;
mod marks;
mod message;
mod notification;
pub mod telegram;

pub use incident::Fire;
pub use key::Key;
pub use marks::{Acknowledgement, Marks, Silence};
pub use message::{BadTemplate, Rendered, Template, TemplateTexts};
pub use notification::{Alert, Labels, Notification, Status, Unreadable};
