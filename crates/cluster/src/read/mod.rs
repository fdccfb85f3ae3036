//! What commands that look at a stack ask for: pods, events, autoscalers, logs; and the Secrets that are made once.
//! Must not write anything but such a Secret.

mod follow;
mod logs;
mod secret;
mod views;

pub use logs::{LogLine, LogOptions, follow_logs};
pub use secret::{Made, Wanted, ensure_secret, read_secret};
pub use views::{
    AutoscalerView, ContainerView, EventView, PodView, ScalerView, autoscalers, events, pods,
    scalers, scalers_everywhere,
};
