//! What commands that look at a stack ask for: pods, workloads, releases, autoscalers, events, metrics, changes,
//! logs, rights; and the Secrets that are made once.
//! Must not write anything but such a Secret.

mod follow;
mod health;
mod logs;
mod manifest;
mod metrics;
mod picture;
mod rights;
mod scaling;
mod secret;
mod services;
mod views;
mod watch;
mod workloads;

pub use health::{
    ApiServiceView, ClaimView, LeavingView, SaysView, StorageClassView, api_service, claims,
    leaving, says, storage_classes,
};
pub use logs::{LogLine, LogOptions, follow_logs};
pub use manifest::release_manifest;
pub use metrics::{Clock, controller_flags, external_metric, pod_metrics};
pub use picture::{Picture, picture};
pub use rights::{Granted, Right, may_everything, require, rights};
pub use scaling::{
    AutoscalerView, ConditionView, MetricView, ScalerView, autoscalers, scalers, scalers_everywhere,
};
pub use secret::{Made, Wanted, ensure_secret, read_secret};
pub use services::{ServiceView, service};
pub use views::{ContainerView, EventView, PodView, events, pods};
pub use watch::{Sighting, watch};
pub use workloads::{ReleaseView, WorkloadView, releases, workloads};
