//! Taking things away: in an order that cannot hang, and never more than is ours.
//! Must not delete data without being told to purge.

mod gone;
mod record;
mod remove;
mod select;
mod teardown;

pub(crate) use gone::{HELD, Waiter, wait_gone};
pub use record::forget_interrupted;
pub use remove::{Outcome, Removed};
pub(crate) use remove::{Pace, remove};
pub(crate) use select::select;
pub use teardown::{Data, DownOptions, Teardown, down, release_settled};
