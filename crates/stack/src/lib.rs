//! A stack on a cluster: what belongs to it, in which order it comes and goes, and how it is found again.
//!
//! Law: it composes the crates that do the work and does none itself: no request to an API server, no command line,
//! no Redis key is spelled here. A long job is one graph with one event stream. The only file it writes is the record.

pub mod charts;
mod choose;
mod doctor;
mod down;
mod error;
mod home;
mod images;
mod job;
mod live;
mod look;
mod node_image;
mod pins;
mod place;
mod programs;
mod reach;
mod recipe;
mod record;
mod redis;
mod releases;
mod scale;
mod status;
mod tunnel;
mod up;

pub use choose::{Choice, Other, choose, providers};
pub use doctor::{Check, CheckStatus, doctor};
pub use down::{DownOutcome, DownRequest, down};
pub use error::StackError;
pub use home::Home;
pub use images::build;
pub use live::Live;
pub use look::{Look, look};
pub use place::Way;
pub use place::kind::node_logs;
pub use recipe::spec as recipe_spec;
pub use record::{LastRun, Record};
pub use redis::{Reached, redis};
pub use releases::ReleaseLook;
pub use scale::{ScaleWatch, Size, Sizes};
pub use status::{
    ClusterStatus, LostNode, QueueStatus, Reading, ReleaseStatus, ScalerStatus, Status,
    WorkloadStatus, in_full,
};
pub use up::{Outcome, Request, shape, up};
