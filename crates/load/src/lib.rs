//! Open-loop load: a schedule computed from the index, senders that never hide a request, an audit of every promise.
//!
//! Law: request i is due at a time that depends on i alone, and latency counts from there.
//! Law: every intended request is in exactly one class of the result, and the sums are checked.
//! It must not print, spawn processes, know the cluster, or know Redis: it sees HTTP and what an [`Observe`] tells it.

mod audit;
mod clock;
mod collector;
mod histogram;
mod http;
mod lane;
mod machine;
mod observe;
mod options;
mod pacer;
mod progress;
mod proof;
mod result;
mod run;
mod schedule;
mod sender;
mod slo;
mod target;
mod verdict;

/// The stop signal of [`Hooks`].
pub use tokio_util::sync::CancellationToken;

pub use audit::{AuditPage, AuditRecord, AuditSource, AuditSummary};
pub use observe::{NoObserver, Observe, Replicas, Sample, Scaling, TimelinePoint};
pub use options::{AuditOptions, ClientOptions, Options, RunId, RunIdError};
pub use progress::{Phase, Progress};
pub use proof::{Fault, Proof, Proven, prove};
pub use result::{
    Abort, Accounting, Generator, Latency, Machine, Percentiles, RunResult, SCHEMA, Second, Setup,
};
pub use run::{Hooks, LoadError, run, run_with};
pub use schedule::{Arrivals, Cursor, Schedule, ScheduleError, Shard, Stage, StageError};
pub use sender::{Answer, Connect, ConnectFailed, Exchange, Stamp};
pub use slo::{
    Check, Comparison, Count, Figure, Metric, Share, Slo, SloError, Span, Time, parse_slos,
};
pub use target::{Expect, Target, TargetError, TaskTemplate};
pub use verdict::{Outcome, Verdict, verdict};
