//! Reads the records of a run while it goes on and until every promise is kept or the patience is over.
//!
//! It must not take an error for an end: an API that restarts or a queue that fails over is asked again.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::{AuditPage, AuditSource, Tracker};
use crate::options::AuditOptions;

/// The tracker as the follower and the run share it.
pub(crate) type SharedTracker = Arc<Mutex<Tracker>>;

/// The cursor before the first record.
const START: &str = "";
const PAUSE: Duration = Duration::from_millis(200);
const FIRST_BACK_OFF: Duration = Duration::from_millis(50);
const LONGEST_BACK_OFF: Duration = Duration::from_secs(1);

pub(crate) fn lock(tracker: &SharedTracker) -> MutexGuard<'_, Tracker> {
    // The tracker has no invariant that a panic elsewhere could break half-way.
    tracker.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Follows until `stop`, then gives the source back.
pub(crate) async fn follow<S: AuditSource>(
    mut source: S,
    tracker: SharedTracker,
    limit: usize,
    stop: CancellationToken,
) -> S {
    let mut cursor = START.to_owned();
    let mut back_off = FIRST_BACK_OFF;
    loop {
        let pause = match source.page(&cursor, limit).await {
            Ok(page) => {
                back_off = FIRST_BACK_OFF;
                let full = page.records.len() >= limit;
                lock(&tracker).absorb(&page.records);
                advance(&mut cursor, page);
                if full { Duration::ZERO } else { PAUSE }
            }
            Err(error) => {
                tracing::debug!(%error, "audit records not readable now");
                back_off = (back_off * 2).min(LONGEST_BACK_OFF);
                back_off
            }
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => return source,
            () = sleep(pause) => {}
        }
    }
}

fn advance(cursor: &mut String, page: AuditPage) {
    if !page.next.is_empty() {
        *cursor = page.next;
    }
}

/// Waits until nothing acknowledged is outstanding; says why it stopped before that.
pub(crate) async fn drained(
    tracker: &SharedTracker,
    options: &AuditOptions,
    interrupted: &CancellationToken,
) -> Option<String> {
    let start = Instant::now();
    let mut progress = (0, start);
    loop {
        let (outstanding, finished) = {
            let tracker = lock(tracker);
            (tracker.outstanding(), tracker.finished())
        };
        if outstanding == 0 {
            return None;
        }
        if finished > progress.0 {
            progress = (finished, Instant::now());
        }
        if start.elapsed() > options.drain_timeout {
            return Some(format!(
                "{outstanding} tasks outstanding after {:?}",
                options.drain_timeout
            ));
        }
        if progress.1.elapsed() > options.no_progress {
            return Some(format!(
                "{outstanding} tasks outstanding and none finished for {:?}",
                options.no_progress
            ));
        }
        tokio::select! {
            biased;
            () = interrupted.cancelled() => return Some("interrupted".to_owned()),
            () = sleep(Duration::from_millis(50)) => {}
        }
    }
}

/// Reads everything from the start once more: a fail-over can put records before a cursor that was already passed.
pub(crate) async fn sweep<S: AuditSource>(source: &mut S, tracker: &SharedTracker, limit: usize) {
    let mut cursor = START.to_owned();
    let mut failures = 0;
    while failures < 10 {
        match source.page(&cursor, limit).await {
            Ok(page) => {
                let full = page.records.len() >= limit;
                lock(tracker).sweep(&page.records);
                advance(&mut cursor, page);
                if !full {
                    return;
                }
            }
            Err(error) => {
                tracing::debug!(%error, "audit records not readable now");
                failures += 1;
                sleep(LONGEST_BACK_OFF).await;
            }
        }
    }
}
