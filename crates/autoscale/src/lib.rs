//! The algorithms of the KEDA operator and of the Kubernetes HPA controller, step by step and bit for bit.
//!
//! Law: pure. No clock, no I/O, no random numbers: time and every reading are arguments, every decision is a
//! value that can be written down and computed again. Nothing here knows processes, Redis or a cluster.
//!
//! Two machines share one target. [`keda::KedaLoop`] polls the triggers and takes the steps between zero and
//! the minimum; [`hpa::Hpa`] syncs on the metrics that the loop serves and takes all others.
//! [`hpa_render::render_hpa`] is the link: the HPA that KEDA creates for a `ScaledObject`. An HPA without
//! `behavior` follows the *legacy* path, which scales up towards proposals that are minutes old; one with
//! `behavior`, even an empty one, does not. [`shadow`] holds both machines against what real controllers did.

pub mod api;
pub mod calculators;
pub mod formula;
pub mod hpa;
pub mod hpa_render;
pub mod journal;
pub mod keda;
pub mod quantity;
pub mod scaled_job;
pub mod shadow;
mod time;

pub use hpa_render::render_hpa;
pub use time::Timestamp;
