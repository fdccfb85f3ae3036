//! What goes on beside the sending: the observer looks once a second, the audit reads records.
//!
//! It must not touch the generator's threads.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::audit::AuditSource;
use crate::audit::follow::{self, SharedTracker};
use crate::clock::Clock;
use crate::observe::{Observe, Timeline};
use crate::options::{AuditOptions, Options};

pub(super) type SharedTimeline = Arc<Mutex<Timeline>>;

pub(super) fn lock(timeline: &SharedTimeline) -> MutexGuard<'_, Timeline> {
    // A timeline is whole between any two pushes; a panic elsewhere cannot harm it.
    timeline.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) struct Beside<S> {
    timeline: SharedTimeline,
    tracker: Option<SharedTracker>,
    observer: JoinHandle<()>,
    follower: Option<JoinHandle<S>>,
    enough: CancellationToken,
}

impl<S: AuditSource> Beside<S> {
    pub(super) fn start<O: Observe>(
        clock: Clock,
        observer: O,
        tracker: Option<SharedTracker>,
        source: Option<S>,
        options: &Options,
    ) -> Self {
        let timeline = SharedTimeline::default();
        let enough = CancellationToken::new();
        let page = options.audit.as_ref().map_or(0, |audit| audit.page);
        let follower = tracker.clone().zip(source).map(|(tracker, source)| {
            tokio::spawn(follow::follow(source, tracker, page, enough.clone()))
        });
        Self {
            observer: tokio::spawn(observe(clock, observer, Arc::clone(&timeline))),
            timeline,
            tracker,
            follower,
            enough,
        }
    }

    pub(super) fn timeline(&self) -> SharedTimeline {
        Arc::clone(&self.timeline)
    }

    pub(super) fn tracker(&self) -> Option<SharedTracker> {
        self.tracker.clone()
    }

    /// Ends the follower; where promises are open, reads everything once more.
    pub(super) async fn sweep(&mut self, tracker: &SharedTracker, audit: &AuditOptions) {
        self.enough.cancel();
        let Some(follower) = self.follower.take() else {
            return;
        };
        let Ok(mut source) = follower.await else {
            return;
        };
        if follow::lock(tracker).outstanding() > 0 {
            follow::sweep(&mut source, tracker, audit.page).await;
        }
    }
}

impl<S> Beside<S> {
    pub(super) fn stop(&self) {
        self.enough.cancel();
        self.observer.abort();
    }
}

impl<S> Drop for Beside<S> {
    fn drop(&mut self) {
        self.stop();
    }
}

async fn observe<O: Observe>(clock: Clock, observer: O, timeline: SharedTimeline) {
    let mut ticks = interval(Duration::from_secs(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let at_s = clock.now_ns() as f64 / 1e9;
        if let Some(sample) = observer.sample().await {
            lock(&timeline).push(at_s, sample);
        }
    }
}
