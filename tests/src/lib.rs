//! The hermetic context of terminal tests: own folders, fixed width, no colour, no variables of the user.
//!
//! Law: a test sees what a user sees (exit code, stdout, stderr) and leaves nothing behind, also when it fails.

mod charts;
mod context;
mod filter;

pub use charts::chart_of;
pub use context::{Context, Outcome};
pub use filter::filtered;
