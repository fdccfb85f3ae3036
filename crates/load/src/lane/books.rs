//! The books of one sender: every request that ends is entered once, second by second.
//!
//! It must not keep more than the current second: full seconds go to the collector.

use crate::histogram::Distribution;

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Ok,
    Status(u16),
    Timeout,
    Reset,
    ConnectError,
    InFlight,
    NeverSent,
}

/// When the stages of a request were, nanoseconds of the run's clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    pub(crate) due: u64,
    /// A sender had it in hand; `None` if none ever did.
    pub(crate) seen: Option<u64>,
    /// First byte out; `None` if none went.
    pub(crate) sent: Option<u64>,
    pub(crate) ended: u64,
}

/// What one sender did in one second, or any sum of such.
#[derive(Debug, Clone, Default)]
pub(crate) struct Page {
    pub(crate) sent: u64,
    pub(crate) ok: u64,
    pub(crate) status: Vec<(u16, u64)>,
    pub(crate) timeout: u64,
    pub(crate) reset: u64,
    pub(crate) connect_error: u64,
    pub(crate) in_flight_at_end: u64,
    pub(crate) never_sent: u64,
    pub(crate) response: Distribution,
    pub(crate) response_ok: Distribution,
    pub(crate) service: Distribution,
    pub(crate) lag: Distribution,
    pub(crate) connection_wait: Distribution,
}

impl Page {
    pub(crate) fn enter(&mut self, end: End, times: Times) {
        match end {
            End::Ok => self.ok += 1,
            End::Status(code) => self.count_status(code, 1),
            End::Timeout => self.timeout += 1,
            End::Reset => self.reset += 1,
            End::ConnectError => self.connect_error += 1,
            End::InFlight => self.in_flight_at_end += 1,
            End::NeverSent => self.never_sent += 1,
        }
        self.sent += u64::from(end != End::NeverSent);
        let response = times.ended.saturating_sub(times.due);
        self.response.record_ns(response);
        if end == End::Ok {
            self.response_ok.record_ns(response);
        }
        self.lag
            .record_ns(times.seen.unwrap_or(times.ended).saturating_sub(times.due));
        if let (Some(seen), Some(sent)) = (times.seen, times.sent) {
            self.connection_wait.record_ns(sent.saturating_sub(seen));
            self.service.record_ns(times.ended.saturating_sub(sent));
        }
    }

    pub(crate) fn answered(&self) -> u64 {
        self.ok + self.status.iter().map(|(_, n)| n).sum::<u64>()
    }

    /// Ended without the expected answer.
    pub(crate) fn failed(&self) -> u64 {
        self.answered() - self.ok
            + self.timeout
            + self.reset
            + self.connect_error
            + self.in_flight_at_end
            + self.never_sent
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.sent += other.sent;
        self.ok += other.ok;
        for (code, n) in &other.status {
            self.count_status(*code, *n);
        }
        self.timeout += other.timeout;
        self.reset += other.reset;
        self.connect_error += other.connect_error;
        self.in_flight_at_end += other.in_flight_at_end;
        self.never_sent += other.never_sent;
        self.response.add(&other.response);
        self.response_ok.add(&other.response_ok);
        self.service.add(&other.service);
        self.lag.add(&other.lag);
        self.connection_wait.add(&other.connection_wait);
    }

    fn count_status(&mut self, code: u16, n: u64) {
        match self.status.iter_mut().find(|(known, _)| *known == code) {
            Some((_, count)) => *count += n,
            None => self.status.push((code, n)),
        }
    }
}

/// One page on its way to the collector, with the sender's state when it was closed.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) sender: usize,
    /// Second of the run, from 0.
    pub(crate) second: u32,
    pub(crate) page: Page,
    pub(crate) gauges: Gauges,
    /// The sender's last report.
    pub(crate) last: bool,
}

/// A sender's state at one moment.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Gauges {
    pub(crate) started: u64,
    pub(crate) in_flight: u64,
    pub(crate) queued: u64,
    pub(crate) queue_peak: u64,
    pub(crate) connections: u64,
    pub(crate) connections_peak: u64,
    pub(crate) connections_opened: u64,
    pub(crate) cpu_ns: u64,
    pub(crate) last_sent_ns: u64,
}
