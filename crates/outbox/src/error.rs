//! What can go wrong between a notification and the outbox.
//! Must not be told to Alertmanager as anything that it would not try again.

use kedactl_queue::QueueError;

/// A call that did not come to its end.
#[derive(Debug, Clone, thiserror::Error)]
pub enum OutboxError {
    /// Redis did not do it, or its answer was lost: whether it was done is unknown.
    #[error("redis did not take it")]
    Redis(#[from] QueueError),
    /// The master has it, and no replica said in time that it has it too.
    #[error("no replica confirmed it in time")]
    NotReplicated,
    /// Too much is on its way already.
    #[error("redis is behind")]
    Full,
}
