//! Server-side apply of a set of objects: ordered, owned, written down, reported one by one.
//! Must not wait for readiness: that is another part's.

mod conflict;
mod cover;
mod established;
mod live;
mod namespace;
mod owner;
mod path;
mod prepare;
mod report;
mod run;
mod write;

pub use conflict::Conflict;
pub(crate) use conflict::read as read_conflicts;
pub(crate) use live::{Live, fetched, read_live};
pub use owner::Adopt;
pub(crate) use owner::{Owner, owner};
pub(crate) use prepare::Prepared;
pub use report::{Applied, Change};
pub(crate) use run::prepare_for;
pub use run::{Options, Run, apply};
pub(crate) use write::{settled, webhook_race as is_webhook_race};
