//! SIGTERM and SIGINT: the first one asks to stop, the second one stops.
//!
//! It must not decide what stopping means.

use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The stages of a stop, in order.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    /// Asked to stop: take no new work, tell load balancers.
    pub draining: CancellationToken,
    /// Take nothing at all any more; finish what is under way.
    pub stopping: CancellationToken,
}

impl Shutdown {
    /// Returns whether the process has been asked to stop.
    pub fn is_draining(&self) -> bool {
        self.draining.is_cancelled()
    }

    /// Starts a task that turns the first signal into `draining` and leaves the process on the second one.
    pub fn listen(&self) -> std::io::Result<()> {
        let mut term = signal(SignalKind::terminate())?;
        let mut int = signal(SignalKind::interrupt())?;
        let draining = self.draining.clone();
        tokio::spawn(async move {
            loop {
                let code = tokio::select! {
                    _ = term.recv() => 143,
                    _ = int.recv() => 130,
                };
                if draining.is_cancelled() {
                    leave(code);
                }
                draining.cancel();
            }
        });
        Ok(())
    }

    /// Waits for `draining`, then for the lame-duck time, then cancels `stopping`.
    pub async fn after_lame_duck(&self, lame_duck: Duration) {
        self.draining.cancelled().await;
        tokio::time::sleep(lame_duck).await;
        self.stopping.cancel();
    }
}

#[expect(clippy::exit, reason = "a second signal asks for exactly this")]
fn leave(code: i32) {
    std::process::exit(code);
}
