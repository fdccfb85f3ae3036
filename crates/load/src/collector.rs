//! Puts the senders' pages together, second by second: the series, the totals, and the live figures.
//!
//! It must not keep a distribution per second: a second that is complete becomes a row of numbers.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::lane::books::{Gauges, Page, Report};
use crate::result::{Accounting, Latency, Second};
use crate::schedule::Schedule;

/// Rows of the series at most: longer runs get longer intervals from the start.
const ROWS: u64 = 3_600;

#[derive(Debug)]
pub(crate) struct Collector {
    schedule: Arc<Schedule>,
    interval_s: u32,
    /// Seconds that not every sender has reported.
    open: BTreeMap<u32, Page>,
    reported: Vec<Option<u32>>,
    ended: Vec<bool>,
    gauges: Vec<Gauges>,
    row: Option<(u32, Page)>,
    row_started: u64,
    rows: Vec<Second>,
    total: Page,
    last: Page,
}

impl Collector {
    pub(crate) fn new(schedule: Arc<Schedule>, senders: usize) -> Self {
        let interval_s = schedule.duration().as_secs().div_ceil(ROWS).max(1) as u32;
        Self {
            schedule,
            interval_s,
            open: BTreeMap::new(),
            reported: vec![None; senders],
            ended: vec![false; senders],
            gauges: vec![Gauges::default(); senders],
            row: None,
            row_started: 0,
            rows: Vec::new(),
            total: Page::default(),
            last: Page::default(),
        }
    }

    pub(crate) fn take(&mut self, report: &Report) {
        self.gauges[report.sender] = report.gauges;
        self.reported[report.sender] = Some(report.second);
        self.ended[report.sender] = report.last;
        self.total.add(&report.page);
        self.open
            .entry(report.second)
            .or_default()
            .add(&report.page);
        self.close_seconds();
    }

    /// Whether every sender has sent its last page.
    pub(crate) fn is_complete(&self) -> bool {
        self.ended.iter().all(|ended| *ended)
    }

    fn close_seconds(&mut self) {
        let senders = self.reported.iter().zip(&self.ended);
        let complete = senders
            .map(|(at, ended)| {
                if *ended {
                    u32::MAX
                } else {
                    at.map_or(0, |s| s + 1)
                }
            })
            .min();
        let complete = complete.unwrap_or(0);
        while let Some(entry) = self.open.first_entry().filter(|e| *e.key() < complete) {
            let (second, page) = entry.remove_entry();
            self.close_second(second, page);
        }
    }

    fn close_second(&mut self, second: u32, page: Page) {
        let start = second / self.interval_s * self.interval_s;
        match &mut self.row {
            Some((at, row)) if *at == start => row.add(&page),
            _ => {
                self.close_row();
                self.row = Some((start, page.clone()));
            }
        }
        self.last = page;
    }

    fn close_row(&mut self) {
        let Some((at_s, page)) = self.row.take() else {
            return;
        };
        let gauges = self.gauges();
        let until = f64::from(at_s + self.interval_s);
        let offered =
            self.schedule.requests_until(until) - self.schedule.requests_until(f64::from(at_s));
        self.rows.push(Second {
            at_s,
            offered: offered.round() as u64,
            sent: gauges.started.saturating_sub(self.row_started),
            ok: page.ok,
            failed: page.failed(),
            response: page.response.summary(),
            service: page.service.summary(),
            lag: page.lag.summary(),
            in_flight: gauges.in_flight,
            queued: gauges.queued,
            connections: gauges.connections,
        });
        self.row_started = gauges.started;
    }

    /// The senders' state, summed; peaks are sums of peaks.
    pub(crate) fn gauges(&self) -> Gauges {
        self.gauges.iter().fold(Gauges::default(), |sum, g| Gauges {
            started: sum.started + g.started,
            in_flight: sum.in_flight + g.in_flight,
            queued: sum.queued + g.queued,
            queue_peak: sum.queue_peak + g.queue_peak,
            connections: sum.connections + g.connections,
            connections_peak: sum.connections_peak + g.connections_peak,
            connections_opened: sum.connections_opened + g.connections_opened,
            cpu_ns: sum.cpu_ns + g.cpu_ns,
            last_sent_ns: sum.last_sent_ns.max(g.last_sent_ns),
        })
    }

    /// CPU time of the busiest sender.
    pub(crate) fn busiest_ns(&self) -> u64 {
        self.gauges.iter().map(|g| g.cpu_ns).max().unwrap_or(0)
    }

    /// The sum over the run, and the last second that is complete.
    pub(crate) fn total(&self) -> &Page {
        &self.total
    }

    pub(crate) fn last_second(&self) -> &Page {
        &self.last
    }

    /// The accounting, the latency and the series with its interval.
    pub(crate) fn finish(mut self, intended: u64) -> (Accounting, Latency, u32, Vec<Second>) {
        self.close_row();
        let total = &self.total;
        let accounting = Accounting {
            intended,
            sent: total.sent,
            never_sent: total.never_sent,
            ok: total.ok,
            status: total.status.iter().copied().collect(),
            timeout: total.timeout,
            reset: total.reset,
            connect_error: total.connect_error,
            in_flight_at_end: total.in_flight_at_end,
        };
        let latency = Latency {
            response: total.response.summary(),
            service: total.service.summary(),
            lag: total.lag.summary(),
            connection_wait: total.connection_wait.summary(),
            response_ok: total.response_ok.summary(),
        };
        (accounting, latency, self.interval_s, self.rows)
    }
}
