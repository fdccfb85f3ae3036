//! The names of every Redis key that the queue uses; the only place where they are spelled.
//!
//! It must not talk to Redis.

use crate::name::QueueName;

/// The set of the names of all queues that a producer or a consumer has used.
pub const QUEUES: &str = "kq:queues";

/// Nothing is ever stored under this name: deleting it tells whether a server takes writes.
pub(crate) const NOTHING: &str = "kq:nothing";

/// `kq:{<queue>}:<part>`; the braces keep all keys of a queue in one cluster slot.
pub fn part(queue: &QueueName, part: &str) -> String {
    format!("kq:{{{queue}}}:{part}")
}

/// The hash of every task that waits or runs: its HLEN is the number that KEDA scales on.
pub fn live(queue: &QueueName) -> String {
    part(queue, "live")
}

/// The list on which idle workers wait for a token.
pub fn wake(queue: &QueueName) -> String {
    part(queue, "wake")
}

/// The list on which one worker instance receives the ids of running tasks to cancel.
pub fn cancel_inbox(queue: &QueueName, worker: &str) -> String {
    part(queue, &format!("c:{worker}"))
}

/// The stream of finished executions of one audited run.
pub fn audit(queue: &QueueName, run: &str) -> String {
    part(queue, &format!("audit:{run}"))
}
