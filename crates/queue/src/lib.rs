//! The task queue on Redis: producers, consumers, schedule, inspection, and the following of fail-overs.
//!
//! Law: the only crate that knows the names and types of the queue's keys; every write to them goes through one function library;
//! only the server's clock counts; nothing that was confirmed with a replica is lost when one node dies.

mod channel;
mod clock;
mod config;
mod connector;
mod consumer;
mod cron;
mod envelope;
mod error;
mod failover;
mod id;
mod inspector;
pub mod keys;
mod lane;
mod library;
mod name;
mod producer;
mod reach;
mod redis_handle;
mod reply;
mod resolve;
mod scheduler;
mod supervisor;
mod survey;
mod task;
mod view;

pub use channel::Channel;
pub use config::{BadHostPort, HostPort, RedisConfig, Secret, Tls, Topology};
pub use consumer::{
    Claimed, Consumer, ConsumerCounters, ConsumerOptions, Fate, Outcome, Retry, Ticket, Verdict,
};
pub use cron::{BadSchedule, CronEntry, Schedule};
pub use envelope::Task;
pub use error::{EnqueueError, QueueError};
pub use failover::{Failover, FailoverError, fail_over};
pub use id::{BadTaskId, TaskId};
pub use inspector::Inspector;
pub use library::Library;
pub use name::{BadQueueName, QueueName};
pub use producer::{Accepted, Producer, ProducerOptions};
pub use reach::{AddressMap, OutOfReach};
pub use redis_handle::{Generation, Redis};
pub use scheduler::{Scheduler, SchedulerOptions};
pub use survey::{MasterView, ReplicaView, SentinelView, Survey, survey};
pub use task::{
    AuditTag, Backoff, BadAuditTag, Durability, InvalidTask, NewTask, Priority, When, run_fits,
};
pub use view::{AuditPage, Cancel, QueueStats, RateLimit, TaskState, TaskView};
