//! YAML in and out, the only place that touches a YAML library.
//! Knows no configuration: trees, places and text.

mod read;
mod write;

pub use read::{Limits, documents};
pub(crate) use read::{parse, scalar};
pub use write::{scalar_text, to_yaml};
