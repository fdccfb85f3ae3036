//! A notification as the message that a chat is shown.
//! Must not fail for anything that an alert holds: where a template of the user's cannot take it, the built-in one does.

mod compose;
mod context;
mod template;
#[cfg(test)]
mod tests;

pub use template::{BadTemplate, Template, TemplateTexts};

use crate::html::Html;

/// A message, and what was wrong with the user's template on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    pub html: Html,
    /// Alerts that had no room.
    pub left_out: usize,
    /// Why the built-in template was taken.
    pub warning: Option<String>,
}
