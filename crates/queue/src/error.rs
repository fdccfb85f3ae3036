//! What can go wrong between a caller and the queue.
//!
//! It must not hold retry logic: an error says whether and when to try again, the caller does it.

use std::time::Duration;

use crate::task::InvalidTask;

/// A call to Redis that did not work.
#[derive(Debug, Clone, thiserror::Error)]
pub enum QueueError {
    /// No master answers now, or the call's answer was lost: whether it was carried out is unknown.
    #[error("redis is unavailable: {reason}")]
    Unavailable {
        reason: String,
        retry_after: Duration,
    },
    /// Redis refused the call itself.
    #[error("redis refused the call")]
    Refused(#[source] redis::RedisError),
    /// An answer that this version does not understand.
    #[error("unexpected answer from redis: {0}")]
    Answer(&'static str),
    /// Settings that cannot work, e.g. a certificate file that is not there.
    #[error("{what}")]
    Config { what: String },
    /// An argument that cannot be taken.
    #[error("{0}")]
    Invalid(String),
}

impl QueueError {
    /// How long to wait before the next try, where one makes sense.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Unavailable { retry_after, .. } => Some(*retry_after),
            _ => None,
        }
    }
}

/// A task that was not accepted.
#[derive(Debug, Clone, thiserror::Error)]
pub enum EnqueueError {
    /// No master answered in time. The task may or may not be stored: resend it with the same idempotency key.
    #[error("redis is unavailable: {reason}")]
    Unavailable {
        reason: String,
        retry_after: Duration,
    },
    /// Stored on the master, but too few replicas confirmed in time. Resend with the same idempotency key.
    #[error("{got} of {need} replicas confirmed the task in time")]
    ShortReplication {
        need: usize,
        got: usize,
        retry_after: Duration,
    },
    /// The idempotency key was used for another task.
    #[error("the idempotency key was used with another task")]
    KeyConflict,
    /// The task itself cannot be taken.
    #[error(transparent)]
    Invalid(#[from] InvalidTask),
}

impl EnqueueError {
    /// How long to wait before the next try, where one makes sense.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Unavailable { retry_after, .. } | Self::ShortReplication { retry_after, .. } => {
                Some(*retry_after)
            }
            Self::KeyConflict | Self::Invalid(_) => None,
        }
    }
}
