//! What is accepted: the newest state of a group, for each chat of its route.
//! Must not look into a state: whoever sends it shows it.

use std::fmt;
use std::str::FromStr;

use kedactl_alerts::telegram::Chat;
use kedactl_alerts::{Key, Notification, Status};
use redis::Cmd;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// What a chat is to be shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// A group of alerts as it is now.
    Alerts(Box<Notification>),
    /// A word of our own to who operates this.
    Notice(String),
}

impl State {
    /// What decides who comes first: a word of our own is as urgent as what fires.
    pub fn status(&self) -> Status {
        match self {
            Self::Alerts(notification) => notification.status,
            Self::Notice(_) => Status::Firing,
        }
    }

    /// Its alerts of a status, with spaces between them.
    fn alerts(&self, status: Status) -> String {
        let Self::Alerts(notification) = self else {
            return String::new();
        };
        let fires = notification.fires(status);
        let fires: Vec<String> = fires.iter().map(ToString::to_string).collect();
        fires.join(" ")
    }
}

/// A state that came, with where it belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Two entries of one key are one.
    pub key: Key,
    pub route: String,
    /// Names the group within its chats.
    pub group: String,
    pub chats: Vec<Chat>,
    pub state: State,
    /// All of it began so long ago that it can only be a replay where the group has ended.
    pub stale: bool,
}

/// A group in one chat.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct GroupId(String);

impl GroupId {
    /// The group of a name in a chat, by the id that the configuration has for it.
    pub fn new(chat: Chat, group: &str) -> Self {
        let digest = Sha256::digest(format!("{} {:?} {group}", chat.id, chat.thread));
        let mut text = String::with_capacity(24);
        for byte in &digest[..12] {
            text += &format!("{byte:02x}");
        }
        Self(text)
    }

    pub(crate) fn known(text: String) -> Self {
        Self(text)
    }

    /// Its text, 24 hexadecimal digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A text that names no group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the id of a group has 24 hexadecimal digits")]
pub struct NoGroupId;

impl FromStr for GroupId {
    type Err = NoGroupId;

    fn from_str(text: &str) -> Result<Self, NoGroupId> {
        let hex = |c: u8| c.is_ascii_digit() || (b'a'..=b'f').contains(&c);
        // An incident that was overtaken has the id of its group and the number of its message.
        let (group, message) = text.split_once(':').unwrap_or((text, "0"));
        let number = !message.is_empty() && message.bytes().all(|c| c.is_ascii_digit());
        let good = group.len() == 24 && group.bytes().all(hex) && number;
        good.then(|| Self(text.to_owned())).ok_or(NoGroupId)
    }
}

impl fmt::Display for GroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What became of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accepted {
    /// One of its key was there.
    pub duplicate: bool,
    /// Groups that have a new state.
    pub updated: usize,
}

/// `f` or `r`.
pub(crate) fn letter(status: Status) -> &'static str {
    match status {
        Status::Firing => "f",
        Status::Resolved => "r",
    }
}

pub(crate) fn status(letter: &str) -> Status {
    if letter == "r" {
        Status::Resolved
    } else {
        Status::Firing
    }
}

impl Entry {
    /// The call's arguments: all but how long things are kept.
    pub(crate) fn add_to(&self, command: &mut Cmd) {
        // A state is written as JSON, which takes any text; serialising one into memory cannot fail.
        let state = serde_json::to_string(&self.state).unwrap_or_default();
        let firing = self.state.alerts(Status::Firing);
        let over = self.state.alerts(Status::Resolved);
        for chat in &self.chats {
            let thread = chat.thread.map(|it| it.to_string()).unwrap_or_default();
            command
                .arg(GroupId::new(*chat, &self.group).as_str())
                .arg(chat.id)
                .arg(thread)
                .arg(&self.route)
                .arg(letter(self.state.status()))
                .arg(u8::from(self.stale))
                .arg(&state)
                .arg(&firing)
                .arg(&over);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_as_they_are_shown() {
        let group = "0123456789abcdef01234567";
        for good in [group.to_owned(), format!("{group}:42")] {
            assert_eq!(good.parse::<GroupId>().map(|it| it.to_string()), Ok(good));
        }
        for bad in ["", "zzz", &format!("{group}:"), &format!("{group}:x")] {
            assert_eq!(bad.parse::<GroupId>(), Err(NoGroupId), "{bad}");
        }
    }
}
