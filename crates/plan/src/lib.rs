//! A long job: its nodes, the order in which they run, and the event stream through which they speak.
//!
//! Law: no I/O, and no knowledge of what is being done; it orders and polls the work that is handed in, and what happens
//! goes to a [`Sink`]. The readers (bars, plain lines, JSON lines) live in the program that prints.

mod event;
mod graph;
mod report;
mod run;
mod schedule;
mod shape;
mod sink;

pub use event::{Event, Kind, StepId, schema};
pub use graph::{Done, Graph, Handle};
pub use report::{Outcome, Report};
pub use run::{Control, Run};
pub use shape::{GraphError, Shape, ShapeNode};
pub use sink::{Channel, Collect, Discard, Sink, Step, channel};
