//! Beside the autoscalers of a live cluster: what they saw and did, recorded; what they must have done, computed.
//!
//! Law: it writes nothing to the cluster, and asks KEDA nothing that KEDA counts as a failure of its own: after a
//! question that failed it waits until the operator itself had an answer. What is equal and what is not is decided in
//! `kedactl_autoscale::shadow`; here only facts are collected.
//!
//! ```no_run
//! # async fn example(cluster: &kedactl_cluster::Cluster) -> Result<(), kedactl_cluster::Error> {
//! use kedactl_shadow::{Options, Recorder};
//! let recorder = Recorder::start(cluster, "keda-stack", Options::default()).await?;
//! // … load runs …
//! let recording = recorder.stop().await;
//! let report = recording.compare();
//! assert!(report.holds(), "{report}");
//! # Ok(())
//! # }
//! ```

mod ask;
mod flags;
mod log;
mod recorder;

pub use flags::options_of;
pub use kedactl_autoscale::hpa::HpaOptions;
pub use kedactl_autoscale::shadow::{
    Cause, Change, Comparison, Controller, Counts, Recording, RecordingError, Report, Step, Verdict,
};
pub use recorder::{Options, Recorder};
