//! The seam between the generator and the network: connections that carry one request after another.
//!
//! It must not count or time: what comes of a request is told, and the lane keeps the books.

use std::cell::Cell;

use crate::clock::Clock;

/// Makes connections. One clone goes to each sender thread.
pub trait Connect: Clone + Send + 'static {
    type Connection: Exchange;

    fn connect(&self) -> impl Future<Output = Result<Self::Connection, ConnectFailed>>;
}

/// No connection came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectFailed;

/// One connection.
pub trait Exchange: 'static {
    /// Sends the request of `index` and reads its answer to the end. Calls [`Stamp::sent`] right before the first
    /// byte goes out, and only then.
    fn exchange(&mut self, index: u64, stamp: &Stamp) -> impl Future<Output = Answer>;

    /// Ends when the other side has closed an idle connection. May be dropped and called again.
    fn closed(&mut self) -> impl Future<Output = ()>;

    /// Whether another request may follow.
    fn reusable(&self) -> bool;
}

/// What came of a request on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    Status(u16),
    /// The connection died after the first byte of the request.
    Reset,
    /// The connection turned out to be closed before any byte went out: another one can carry the request.
    NotSent,
}

/// Remembers when the first byte went out.
#[derive(Debug)]
pub struct Stamp {
    clock: Clock,
    at_ns: Cell<Option<u64>>,
}

impl Stamp {
    pub(crate) fn new(clock: Clock) -> Self {
        Self {
            clock,
            at_ns: Cell::new(None),
        }
    }

    /// Notes the time; later calls change nothing.
    pub fn sent(&self) {
        if self.at_ns.get().is_none() {
            self.at_ns.set(Some(self.clock.now_ns()));
        }
    }

    pub fn is_sent(&self) -> bool {
        self.at_ns.get().is_some()
    }

    pub(crate) fn at_ns(&self) -> Option<u64> {
        self.at_ns.get()
    }

    pub(crate) fn clear(&self) {
        self.at_ns.set(None);
    }
}
