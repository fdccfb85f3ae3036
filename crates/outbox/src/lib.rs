//! What chats are to be shown, kept in Redis until they are shown it.
//!
//! Law: the only crate that knows the outbox's keys; every write goes through one function library; only the server's clock
//! counts; what was accepted is on a replica where there is one, and is never given up but by an operator's word.

mod accept;
mod error;
mod find;
mod lane;
mod look;
mod outbox;
mod press;
mod reply;
mod send;

pub use accept::{Accepted, Entry, GroupId, NoGroupId, State};
pub use error::OutboxError;
pub use find::Found;
pub use look::{Depth, Kind, Prober, Row};
pub use outbox::{Outbox, OutboxOptions};
pub use press::{Begun, Keeper, Poll, Poller, Unsilenced, Wanted};
pub use send::{Claim, Outcome, Pace, Reported, Sender, Work};
