//! The platform beside the load: what an observer reports once a second, and what scaling can be read from it.
//!
//! It must not fetch anything itself; the observer is handed in.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

mod scaling;

pub(crate) use scaling::Timeline;

/// Looks at the platform. `None` means "not readable now" and leaves a gap.
pub trait Observe: Send + Sync + 'static {
    fn sample(&self) -> impl Future<Output = Option<Sample>> + Send;
}

/// An observer for targets that are nothing but a URL.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoObserver;

impl Observe for NoObserver {
    async fn sample(&self) -> Option<Sample> {
        None
    }
}

/// What the platform looks like at one moment.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Sample {
    /// Tasks that wait.
    pub backlog: u64,
    /// Tasks that run.
    pub running: u64,
    /// Tasks that wait for their time.
    pub delayed: u64,
    pub workers: Replicas,
    pub api: Replicas,
    /// Scaling decisions since the sample before, in the autoscaler's words.
    pub reasons: Vec<String>,
}

/// Replicas of one scale target.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Replicas {
    pub desired: u32,
    pub ready: u32,
}

/// A sample with its time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TimelinePoint {
    /// Seconds since the start of the schedule.
    pub at_s: f64,
    #[serde(flatten)]
    pub sample: Sample,
}

/// How the platform scaled, read from the timeline. Times are seconds from the start of the schedule unless the
/// name says otherwise; absent means it did not happen while the run watched.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Scaling {
    pub workers_at_start: u32,
    pub workers_peak: u32,
    pub api_peak: u32,
    /// First sample with a ready worker.
    pub first_worker_s: Option<f64>,
    /// First samples with 10, 50 and 90 % of the rise to the peak.
    pub t10_s: Option<f64>,
    pub t50_s: Option<f64>,
    pub t90_s: Option<f64>,
    pub backlog_peak: u64,
    pub backlog_peak_at_s: Option<f64>,
    /// From the end of the schedule until nothing waited or ran.
    pub drain_s: Option<f64>,
    /// From the moment nothing waited or ran until no worker was left.
    pub to_zero_s: Option<f64>,
    pub worker_pod_seconds: f64,
    pub api_pod_seconds: f64,
}
