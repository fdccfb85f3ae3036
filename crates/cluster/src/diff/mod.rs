//! What an apply would change, by the API server's own dry run.
//! Must not write, and must not show a secret.

mod clean;
pub(crate) mod fields;
mod look;

pub(crate) use clean::clean;
pub use fields::FieldChange;
pub use look::{Action, Diff, ObjectDiff, diff};
