//! Whether this webhook is of use: Redis takes writes, and this machine's clock is not far from Redis'.
//!
//! It must not ask Telegram: what comes can be kept while nothing can be shown.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::StatusCode;
use kedactl_outbox::Prober;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use super::state::State;
use crate::startup;

/// How often Redis is asked.
const PERIOD: Duration = Duration::from_millis(500);
/// How long Redis may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// Clocks that are further apart are told: logs and certificates of this machine are not to be trusted.
const APART: Duration = Duration::from_secs(10);

/// The last answer to the question.
#[derive(Debug)]
pub(super) struct Readiness(Mutex<Result<(), String>>);

impl Default for Readiness {
    fn default() -> Self {
        Self(Mutex::new(Err("redis was not asked yet".to_owned())))
    }
}

impl Readiness {
    /// Answers `/readyz`.
    pub(super) fn answer(&self, draining: bool) -> (StatusCode, String) {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*last {
            _ if draining => (StatusCode::SERVICE_UNAVAILABLE, "draining\n".to_owned()),
            Ok(()) => (StatusCode::OK, "ready\n".to_owned()),
            Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
        }
    }

    fn set(&self, now: Result<(), String>) {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if *last == now {
            return;
        }
        match &now {
            Ok(()) => tracing::info!("ready"),
            Err(why) => tracing::warn!(why, "not ready"),
        }
        *last = now;
    }
}

/// Asks twice a second until `stop`.
pub(super) async fn watch(state: State, stop: CancellationToken) {
    let mut prober = state.outbox.prober();
    let mut tick = interval(PERIOD);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            () = stop.cancelled() => return,
        }
        state.health.turn();
        state.ready.set(asked(&mut prober).await);
    }
}

async fn asked(prober: &mut Prober) -> Result<(), String> {
    let begin = Instant::now();
    match timeout(PATIENCE, prober.probe()).await {
        Ok(Ok(server)) => clock(server, begin.elapsed()),
        Ok(Err(error)) => Err(startup::chain(&error)),
        Err(_) => Err(format!("redis took longer than {PATIENCE:?} for a write")),
    }
}

/// Compares this machine's clock with the server's time, of an answer that was so long on its way.
fn clock(server: Duration, trip: Duration) -> Result<(), String> {
    let own = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let apart = own.abs_diff(server);
    if apart <= APART + trip {
        return Ok(());
    }
    Err(format!(
        "this machine's clock is {} s off that of redis",
        apart.as_secs()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_may_be_a_little_off() {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        assert_eq!(clock(now + Duration::from_secs(5), Duration::ZERO), Ok(()));
        for other in [now + Duration::from_hours(1), now / 2, Duration::ZERO] {
            let why = clock(other, Duration::from_millis(3)).unwrap_err();
            assert!(why.ends_with("s off that of redis"), "{why}");
        }
    }
}
