//! A sender thread: takes released requests of its shard, finds each a connection, and enters its end in the books.
//!
//! It must not drop a request: what cannot be sent waits, and is counted when the run ends.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tokio::task::LocalSet;

use crate::audit::Promises;
use crate::clock::{self, Clock};
use crate::pacer::Gate;
use crate::schedule::Schedule;
use crate::sender::Connect;
use crate::target::Expect;

pub(crate) mod books;
mod connection;
mod dispatch;

use books::{End, Gauges, Page, Report, Times};
use connection::{Job, Slot};
use dispatch::Dispatcher;

/// What a sender thread needs; each gets its own copy.
#[derive(Debug, Clone)]
pub(crate) struct LaneSpec {
    pub(crate) sender: usize,
    pub(crate) senders: usize,
    pub(crate) schedule: Arc<Schedule>,
    pub(crate) clock: Clock,
    pub(crate) gate: Arc<Gate>,
    pub(crate) limits: Limits,
    pub(crate) expect: Expect,
    pub(crate) promises: Option<Arc<Promises>>,
    pub(crate) reports: mpsc::UnboundedSender<Report>,
}

/// Limits of one sender, nanoseconds and connections.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) min_connections: usize,
    pub(crate) max_connections: usize,
    /// New connections a second; vegeta opens them without limit and collapses under its own connects.
    pub(crate) growth_per_s: f64,
    pub(crate) age_ns: u64,
    pub(crate) timeout_ns: u64,
    /// From the last release until what is unfinished counts as such.
    pub(crate) finish_ns: u64,
    /// The same after the user stopped the run.
    pub(crate) finish_stopped_ns: u64,
}

/// How often time-outs, ages and the books are looked after.
const HOUSEKEEPING: Duration = Duration::from_millis(10);

/// Runs one sender to its end; blocks its thread.
pub(crate) fn run<C: Connect>(spec: &LaneSpec, connect: &C) -> std::io::Result<()> {
    clock::make_punctual();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let tasks = LocalSet::new();
    runtime.block_on(tasks.run_until(drive(spec, connect)));
    Ok(())
}

async fn drive<C: Connect>(spec: &LaneSpec, connect: &C) {
    let lane = Rc::new(Lane::new(spec));
    let mut dispatcher = Dispatcher::new(spec, Rc::clone(&lane), connect);
    let mut housekeeping = tokio::time::interval(HOUSEKEEPING);
    housekeeping.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while !dispatcher.finished() {
        tokio::select! {
            biased;
            () = lane.bell.notified() => {}
            _ = housekeeping.tick() => {
                dispatcher.look_after();
                lane.close_second(&spec.reports, false, dispatcher.queued());
            }
        }
        dispatcher.dispatch();
    }
    dispatcher.account_for_the_rest();
    lane.close_second(&spec.reports, true, 0);
}

/// What the dispatcher and the connections of one sender share; all of them run on its thread.
#[derive(Debug)]
pub(crate) struct Lane {
    sender: usize,
    clock: Clock,
    expect: Expect,
    promises: Option<Arc<Promises>>,
    bell: Arc<Notify>,
    page: RefCell<Page>,
    second: Cell<u32>,
    gauges: Cell<Gauges>,
    /// Connections without a request, longest idle first: each gets its turn, so every backend gets its share.
    idle: RefCell<VecDeque<Rc<Slot>>>,
    /// Requests for the next free connection: those that a closed one gave back, and while there are not enough
    /// connections, a few that come next, so that a connection goes on without a word to the dispatcher.
    ready: RefCell<VecDeque<Job>>,
    /// Whether the dispatcher waits for an idle connection.
    hungry: Cell<bool>,
}

impl Lane {
    fn new(spec: &LaneSpec) -> Self {
        Self {
            sender: spec.sender,
            clock: spec.clock,
            expect: spec.expect,
            promises: spec.promises.clone(),
            bell: spec.gate.bell(spec.sender),
            page: RefCell::default(),
            second: Cell::new(0),
            gauges: Cell::default(),
            idle: RefCell::default(),
            ready: RefCell::default(),
            hungry: Cell::new(false),
        }
    }

    fn update(&self, change: impl FnOnce(&mut Gauges)) {
        let mut gauges = self.gauges.get();
        change(&mut gauges);
        self.gauges.set(gauges);
    }

    /// Enters the end of a request that was handed to a connection.
    fn finish(&self, job: Job, end: End, sent: Option<u64>) {
        let times = Times {
            due: job.due,
            seen: Some(job.seen),
            sent,
            ended: self.clock.now_ns(),
        };
        self.page.borrow_mut().enter(end, times);
        self.update(|g| g.in_flight -= 1);
    }

    fn answered(&self, job: Job, status: u16, sent: Option<u64>) {
        let accepted = self.expect.accepts(status);
        if let Some(promises) = &self.promises {
            promises.note(job.index, accepted);
        }
        self.finish(
            job,
            if accepted {
                End::Ok
            } else {
                End::Status(status)
            },
            sent,
        );
    }

    /// A request is handed to a connection.
    fn start(&self, now: u64) {
        self.update(|g| {
            g.started += 1;
            g.in_flight += 1;
            g.last_sent_ns = now;
        });
    }

    /// The next request for a connection that is free at `now`, if one waits.
    fn next_ready(&self, now: u64) -> Option<Job> {
        let mut ready = self.ready.borrow_mut();
        let job = ready.pop_front()?;
        if ready.len() < dispatch::READY / 2 {
            self.bell.notify_one();
        }
        drop(ready);
        self.start(now);
        Some(job)
    }

    fn give_back(&self, job: Job) {
        self.ready.borrow_mut().push_front(job);
        self.update(|g| {
            g.in_flight -= 1;
            g.started -= 1;
        });
        self.bell.notify_one();
    }

    fn now_idle(&self, slot: &Rc<Slot>) {
        self.idle.borrow_mut().push_back(Rc::clone(slot));
        if self.hungry.get() {
            self.bell.notify_one();
        }
    }

    fn connection_opened(&self) {
        self.update(|g| {
            g.connections += 1;
            g.connections_opened += 1;
            g.connections_peak = g.connections_peak.max(g.connections);
        });
    }

    /// A connection is gone; somebody may wait for its place.
    fn connection_gone(&self) {
        self.update(|g| g.connections -= 1);
        if self.hungry.get() {
            self.bell.notify_one();
        }
    }

    /// Sends the page of a second that is over to the collector.
    fn close_second(&self, reports: &mpsc::UnboundedSender<Report>, last: bool, queued: u64) {
        let second = (self.clock.now_ns() / 1_000_000_000) as u32;
        if second == self.second.get() && !last {
            return;
        }
        self.update(|g| {
            g.queued = queued;
            g.cpu_ns = clock::thread_cpu_ns();
        });
        let page = self.page.take();
        let (sender, gauges) = (self.sender, self.gauges.get());
        let second = self.second.replace(second);
        // A collector that is gone has ended the run; there is nobody left to tell.
        let _gone = reports.send(Report {
            sender,
            second,
            page,
            gauges,
            last,
        });
    }
}
