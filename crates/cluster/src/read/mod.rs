//! What commands that look at a stack ask for: pods, events, autoscalers, metrics, changes, logs; and the Secrets that are made once.
//! Must not write anything but such a Secret.

mod follow;
mod logs;
mod metrics;
mod secret;
mod views;
mod watch;

pub use logs::{LogLine, LogOptions, follow_logs};
pub use metrics::{Clock, controller_flags, external_metric, pod_metrics};
pub use secret::{Made, Wanted, ensure_secret, read_secret};
pub use views::{
    AutoscalerView, ContainerView, EventView, PodView, ScalerView, autoscalers, events, pods,
    scalers,
};
pub use watch::{Sighting, watch};
