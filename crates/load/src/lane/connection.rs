//! One connection of a sender: carries a request, then rests until it gets another, is closed or is too old.
//!
//! It must not choose requests, and must not lose the one it was given.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use super::Lane;
use super::books::End;
use crate::sender::{Answer, Connect, Exchange, Stamp};

/// A request on its way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Job {
    pub(super) index: u64,
    pub(super) due: u64,
    pub(super) seen: u64,
}

/// What the dispatcher knows of a connection, and tells it.
#[derive(Debug)]
pub(super) struct Slot {
    next: Cell<Option<Job>>,
    current: Cell<Option<Job>>,
    since_ns: Cell<u64>,
    state: Cell<State>,
    leave: Cell<bool>,
    retire_at_ns: u64,
    stamp: Stamp,
    waker: RefCell<Option<Waker>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Connecting,
    Idle,
    Busy,
    Gone,
}

impl Slot {
    pub(super) fn new(lane: &Lane, job: Option<Job>, retire_at_ns: u64) -> Self {
        Self {
            next: Cell::new(job),
            current: Cell::new(None),
            since_ns: Cell::new(lane.clock.now_ns()),
            state: Cell::new(State::Connecting),
            leave: Cell::new(false),
            retire_at_ns,
            stamp: Stamp::new(lane.clock),
            waker: RefCell::new(None),
        }
    }

    pub(super) fn is_gone(&self) -> bool {
        self.state.get() == State::Gone
    }

    pub(super) fn is_idle(&self) -> bool {
        self.state.get() == State::Idle && self.next.get().is_none() && !self.leave.get()
    }

    /// Hands over a request; only to an idle connection.
    pub(super) fn give(&self, job: Job) {
        self.next.set(Some(job));
        self.wake();
    }

    /// The request it holds, for the final account, with the time of its first byte.
    pub(super) fn held(&self) -> Option<(Job, Option<u64>)> {
        match self.current.take() {
            Some(job) => Some((job, self.stamp.at_ns())),
            None => self.next.take().map(|job| (job, None)),
        }
    }

    /// Gives up what takes too long, closes what is old.
    pub(super) fn look_after(&self, now: u64, timeout_ns: u64) {
        let overdue = now.saturating_sub(self.since_ns.get()) > timeout_ns;
        let leave = match self.state.get() {
            State::Connecting | State::Busy => overdue,
            State::Idle => now >= self.retire_at_ns && self.next.get().is_none(),
            State::Gone => false,
        };
        if leave {
            self.leave.set(true);
            self.wake();
        }
    }

    fn wake(&self) {
        if let Some(waker) = &*self.waker.borrow() {
            waker.wake_by_ref();
        }
    }

    fn listen(&self, context: &Context<'_>) {
        let mut waker = self.waker.borrow_mut();
        if !waker
            .as_ref()
            .is_some_and(|known| known.will_wake(context.waker()))
        {
            *waker = Some(context.waker().clone());
        }
    }

    async fn told_to_leave(&self) {
        poll_fn(|context| {
            self.listen(context);
            if self.leave.get() {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }

    /// Ends when there is a request to take, or when the connection has to go.
    async fn called(&self) {
        poll_fn(|context| {
            self.listen(context);
            let called = self.leave.get() || self.next.get().is_some();
            if called {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }
}

/// The life of a connection.
pub(super) async fn carry<C: Connect>(lane: Rc<Lane>, slot: Rc<Slot>, connect: C) {
    let connected = tokio::select! {
        biased;
        connected = connect.connect() => connected.ok(),
        () = slot.told_to_leave() => None,
    };
    match connected {
        Some(connection) => serve(&lane, &slot, connection).await,
        None => {
            if let Some(job) = slot.next.take() {
                lane.finish(job, End::ConnectError, None);
            }
        }
    }
    slot.state.set(State::Gone);
    if let Some(job) = slot.next.take() {
        lane.give_back(job);
    }
    lane.connection_gone();
}

async fn serve<X: Exchange>(lane: &Lane, slot: &Rc<Slot>, mut connection: X) {
    loop {
        if let Some(job) = slot.next.take() {
            slot.state.set(State::Busy);
            slot.since_ns.set(lane.clock.now_ns());
            slot.current.set(Some(job));
            slot.stamp.clear();
            let answer = tokio::select! {
                biased;
                answer = connection.exchange(job.index, &slot.stamp) => Some(answer),
                () = slot.told_to_leave() => None,
            };
            slot.current.set(None);
            let sent = slot.stamp.at_ns();
            match answer {
                Some(Answer::Status(status)) => lane.answered(job, status, sent),
                Some(Answer::Reset) => lane.finish(job, End::Reset, sent),
                Some(Answer::NotSent) => lane.give_back(job),
                None => lane.finish(job, End::Timeout, sent),
            }
            let now = lane.clock.now_ns();
            let good = matches!(answer, Some(Answer::Status(_))) && connection.reusable();
            if !good || now >= slot.retire_at_ns {
                return;
            }
            if let Some(job) = lane.next_ready(now) {
                slot.next.set(Some(job));
                continue;
            }
        }
        slot.state.set(State::Idle);
        lane.now_idle(slot);
        tokio::select! {
            biased;
            () = connection.closed() => return,
            () = slot.called() => if slot.leave.get() { return },
        }
    }
}
