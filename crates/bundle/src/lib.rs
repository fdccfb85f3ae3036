//! Everything that a stack needs, in one OCI layout: charts, images, values and templates, for places without a network.
//!
//! Law: no network but to create; what is looked at comes from the bundle alone, an image counts only by its digest, and the
//! same inputs give the same bytes.

mod chart;
mod closure;
mod collect;
mod contents;
mod create;
mod error;
mod open;
mod rendered;
mod settled;
mod verify;
mod write;

pub use closure::{Certainty, Closure, Found, Place, Reason, Sourced, Unreadable};
pub use contents::{ChartEntry, Contents, ImageEntry, Origin};
pub use create::{Built, Create, Created, Part, create};
pub use error::BundleError;
pub use open::Bundle;
pub use rendered::rendered;
pub use verify::{Problem, Verified, outside, verify};
