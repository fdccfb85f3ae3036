//! SPDY/3.1 as the port-forward of Kubernetes speaks it: two streams of one connection, one for data and one for errors.
//! Must not speak more of the protocol than that, and must not hold more of a connection than one buffer each way.
//!
//! Every API server and container runtime speaks it, and unlike the WebSocket channels it can say that one side has
//! ended while the other goes on.

mod frame;
mod session;

pub use session::Session;

#[cfg(test)]
mod tests;
