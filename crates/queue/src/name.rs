//! `QueueName`: what may name a queue.
//!
//! It must not normalise: a name is taken as it is or refused.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The name of a queue: 1 to 64 of `A-Z a-z 0-9 _ - .`, so that it fits into a key, a path and a metric label unquoted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct QueueName(Arc<str>);

/// Why a text is no queue name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("queue name must be 1 to 64 characters of A-Z a-z 0-9 _ - ., not {0:?}")]
pub struct BadQueueName(pub String);

impl QueueName {
    /// Takes the name as it is.
    pub fn new(name: &str) -> Result<Self, BadQueueName> {
        let fits = (1..=64).contains(&name.len());
        if fits
            && name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
        {
            Ok(Self(name.into()))
        } else {
            Err(BadQueueName(name.chars().take(80).collect()))
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for QueueName {
    /// The queue `default`.
    fn default() -> Self {
        Self("default".into())
    }
}

impl fmt::Display for QueueName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for QueueName {
    type Err = BadQueueName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::new(text)
    }
}

impl TryFrom<String> for QueueName {
    type Error = BadQueueName;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::new(&text)
    }
}

impl From<QueueName> for String {
    fn from(name: QueueName) -> Self {
        name.0.as_ref().into()
    }
}
