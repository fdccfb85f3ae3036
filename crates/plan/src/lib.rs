//! The event stream of a long job, and the seam through which it leaves.
//!
//! Law: no I/O and no knowledge of what is being done; a job says what happens to a [`Sink`],
//! and the readers (bars, plain lines, JSON lines) live in the program that prints.

mod event;
mod sink;

pub use event::{Event, Kind, StepId};
pub use sink::{Channel, Collect, Discard, Sink, Step, channel};
