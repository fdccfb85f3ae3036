//! Finds a connection for each released request: an idle one, a new one within limits, or later.
//!
//! It must not reorder requests, except that one which a closed connection gave back goes first.

use std::collections::VecDeque;
use std::rc::Rc;

use super::books::{End, Times};
use super::connection::{Job, Slot, carry};
use super::{Lane, LaneSpec, Limits};
use crate::schedule::{Cursor, Shard};
use crate::sender::Connect;

pub(super) struct Dispatcher<'a, C> {
    spec: &'a LaneSpec,
    lane: Rc<Lane>,
    connect: &'a C,
    cursor: Cursor<'a>,
    shard: Shard,
    /// Requests of the shard that were handed over, and that were seen released.
    taken: u64,
    seen: u64,
    /// When requests up to the first number were seen; one entry a wake-up, oldest first.
    sightings: VecDeque<(u64, u64)>,
    slots: Vec<Rc<Slot>>,
    growth: Growth,
}

/// Requests that are laid ready for connections at most.
pub(super) const READY: usize = 64;

/// More sightings than this are merged: their times are then late by at most one wake-up in a hundred thousand.
const SIGHTINGS: usize = 100_000;

impl<'a, C: Connect> Dispatcher<'a, C> {
    pub(super) fn new(spec: &'a LaneSpec, lane: Rc<Lane>, connect: &'a C) -> Self {
        Self {
            spec,
            lane,
            connect,
            cursor: spec.schedule.cursor(),
            shard: Shard {
                index: spec.sender as u64,
                of: spec.senders as u64,
            },
            taken: 0,
            seen: 0,
            sightings: VecDeque::new(),
            slots: Vec::new(),
            growth: Growth::new(spec.limits),
        }
    }

    /// Requests that wait for a connection.
    pub(super) fn queued(&self) -> u64 {
        self.seen - self.taken + self.lane.ready.borrow().len() as u64
    }

    /// Hands over all it can.
    pub(super) fn dispatch(&mut self) {
        let now = self.lane.clock.now_ns();
        self.take_note(now);
        while self.queued() > 0 {
            if let Some(slot) = self.idle_slot() {
                let job = self.next_job();
                self.lane.start(now);
                slot.give(job);
            } else if self.may_open(now) {
                let job = self.next_job();
                self.lane.start(now);
                self.open(Some(job), now);
            } else {
                break;
            }
        }
        self.lay_ready();
        let queued = self.queued();
        self.lane.hungry.set(queued > 0);
        self.lane
            .update(|g| g.queue_peak = g.queue_peak.max(queued));
    }

    fn take_note(&mut self, now: u64) {
        let seen = self.shard.len(self.spec.gate.released());
        if seen == self.seen {
            return;
        }
        self.seen = seen;
        let full = self.sightings.len() >= SIGHTINGS;
        match self.sightings.back_mut() {
            Some(last) if full => last.0 = seen,
            _ => self.sightings.push_back((seen, now)),
        }
    }

    /// Puts the next few requests where busy connections find them.
    fn lay_ready(&mut self) {
        while self.taken < self.seen && self.lane.ready.borrow().len() < READY {
            let job = self.take_next();
            self.lane.ready.borrow_mut().push_back(job);
        }
    }

    fn next_job(&mut self) -> Job {
        let ready = self.lane.ready.borrow_mut().pop_front();
        ready.unwrap_or_else(|| self.take_next())
    }

    fn take_next(&mut self) -> Job {
        let index = self.shard.nth(self.taken);
        let seen = self.sighting();
        self.taken += 1;
        Job {
            index,
            due: self.cursor.due_ns(index),
            seen,
        }
    }

    /// When the next request was seen; forgets sightings that are used up.
    fn sighting(&mut self) -> u64 {
        while self
            .sightings
            .front()
            .is_some_and(|(until, _)| *until <= self.taken)
        {
            self.sightings.pop_front();
        }
        self.sightings
            .front()
            .map_or_else(|| self.lane.clock.now_ns(), |(_, at)| *at)
    }

    fn idle_slot(&self) -> Option<Rc<Slot>> {
        let mut idle = self.lane.idle.borrow_mut();
        std::iter::from_fn(|| idle.pop_front()).find(|slot| slot.is_idle())
    }

    fn may_open(&mut self, now: u64) -> bool {
        self.open_connections() < self.spec.limits.max_connections && self.growth.take(now)
    }

    fn open_connections(&self) -> usize {
        self.lane.gauges.get().connections as usize
    }

    fn open(&mut self, job: Option<Job>, now: u64) {
        let age = self.spec.limits.age_ns;
        // ± 20 %, spread by a multiplicative hash of the count: connections opened together must not end together.
        let opened = self.lane.gauges.get().connections_opened;
        let spread = (opened.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 54) * age / 2_560;
        let slot = Rc::new(Slot::new(&self.lane, job, now + age * 4 / 5 + spread));
        self.lane.connection_opened();
        self.slots.push(Rc::clone(&slot));
        let life = carry(Rc::clone(&self.lane), slot, self.connect.clone());
        // Its end is told through the slot.
        drop(tokio::task::spawn_local(life));
    }

    /// Time-outs, ages, and the connections that are kept in any case.
    pub(super) fn look_after(&mut self) {
        let now = self.lane.clock.now_ns();
        self.slots.retain(|slot| !slot.is_gone());
        self.lane.idle.borrow_mut().retain(|slot| slot.is_idle());
        for slot in &self.slots {
            slot.look_after(now, self.spec.limits.timeout_ns);
        }
        let ended = self.spec.gate.ended_ns().is_some();
        while !ended
            && self.open_connections() < self.spec.limits.min_connections
            && self.growth.take(now)
        {
            self.open(None, now);
        }
    }

    pub(super) fn finished(&self) -> bool {
        let gate = &self.spec.gate;
        let Some(ended) = gate.ended_ns() else {
            return false;
        };
        let limits = &self.spec.limits;
        let patience = if gate.stopped() {
            limits.finish_stopped_ns
        } else {
            limits.finish_ns
        };
        let all_sent = self.taken == self.shard.len(gate.released()) && self.queued() == 0;
        let idle = all_sent && self.lane.gauges.get().in_flight == 0;
        idle || self.lane.clock.now_ns() > ended + patience
    }

    /// Enters what is unfinished, with its age as a lower bound of its latency.
    pub(super) fn account_for_the_rest(&mut self) {
        for (job, sent) in self.slots.iter().filter_map(|slot| slot.held()) {
            self.lane.finish(job, End::InFlight, sent);
        }
        let intended = self.shard.len(self.spec.gate.intended());
        while self.queued() > 0 || self.taken < intended {
            let known = self.queued() > 0;
            let job = self.next_job();
            let ended = self.lane.clock.now_ns();
            let times = Times {
                due: job.due,
                seen: known.then_some(job.seen),
                sent: None,
                ended,
            };
            self.lane.page.borrow_mut().enter(End::NeverSent, times);
            self.seen = self.seen.max(self.taken);
        }
    }
}

/// A bucket of permissions to open a connection.
#[derive(Debug)]
struct Growth {
    tokens: f64,
    most: f64,
    per_ns: f64,
    at_ns: u64,
}

impl Growth {
    fn new(limits: Limits) -> Self {
        let most = (limits.growth_per_s / 16.0)
            .max(limits.min_connections as f64)
            .max(1.0);
        Self {
            tokens: most,
            most,
            per_ns: limits.growth_per_s / 1e9,
            at_ns: 0,
        }
    }

    fn take(&mut self, now: u64) -> bool {
        let gained = now.saturating_sub(self.at_ns) as f64 * self.per_ns;
        self.at_ns = now;
        self.tokens = (self.tokens + gained).min(self.most);
        let granted = self.tokens >= 1.0;
        self.tokens -= f64::from(u8::from(granted));
        granted
    }
}
