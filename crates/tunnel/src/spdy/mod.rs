//! SPDY/3.1 as the port-forward of Kubernetes speaks it: pairs of streams, one for data and one for errors.
//! Must not speak more of the protocol than that, and must not hold more of a connection than one buffer each way.
//!
//! Every API server and container runtime speaks it, and unlike the WebSocket channels it can say that one side has
//! ended while the other goes on. The runtimes' side of it has no flow control: it puts every stream's frames into shared
//! queues, and a stream that nobody reads there stops the others. So a session has one pair at a time, and carries one
//! connection after the other.

mod answer;
mod carry;
#[cfg(test)]
pub(crate) mod fake;
mod frame;
mod session;

pub(crate) use carry::Ending;
pub(crate) use session::{Pair, Probed, Session};

#[cfg(test)]
mod tests;
