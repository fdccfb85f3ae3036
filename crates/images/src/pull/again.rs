//! Whether a request that brought nothing is made once more, and after which pause.
//! Must not be patient with a refusal.

use std::time::Duration;

use oci_client::errors::OciDistributionError;
use tokio::time::sleep;

use super::registry::Source;
use crate::ImageError;
use crate::push::refused;

/// Attempts that bring nothing before a request is given up.
pub(super) const ATTEMPTS: u32 = 5;
pub(super) const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// A registry that wants us to wait longer than this is told about instead.
const PATIENCE: Duration = Duration::from_mins(2);

/// Why a request brought nothing.
pub(super) enum Trouble {
    /// It may go better the next time, at once or after so long.
    Passing(OciDistributionError, Option<Duration>),
    Final(OciDistributionError),
}

/// The attempts at one request since it last brought something.
pub(super) struct Attempts {
    made: u32,
    pause: Duration,
}

impl Attempts {
    pub(super) fn new() -> Self {
        Self {
            made: 0,
            pause: FIRST_PAUSE,
        }
    }
}

impl Source {
    /// Waits before the next attempt, or says that there is none.
    pub(super) async fn again(
        &self,
        trouble: Trouble,
        attempts: &mut Attempts,
        action: &str,
    ) -> Result<(), ImageError> {
        let (error, wait) = match trouble {
            Trouble::Final(error) => return Err(refused(self.at(), action)(error)),
            Trouble::Passing(error, wait) => (error, wait),
        };
        let stale = matches!(error, OciDistributionError::UnauthorizedError { .. });
        // A token runs out; a second one that does not help either is a refusal.
        let last = if stale { 2 } else { ATTEMPTS };
        attempts.made += 1;
        let pause = wait.unwrap_or(attempts.pause);
        if attempts.made >= last || pause > PATIENCE {
            return Err(refused(self.at(), action)(error));
        }
        tracing::debug!(registry = self.at().registry(), %error, ?pause, "once more");
        if stale {
            return self.log_in().await;
        }
        sleep(pause).await;
        attempts.pause *= 2;
        Ok(())
    }
}

/// Whether a request that failed on its way may go better the next time; a certificate that is refused is refused.
pub(super) fn passing(error: &reqwest::Error) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(it) = cause {
        if it.to_string().contains("certificate") {
            return false;
        }
        cause = it.source();
    }
    !(error.is_builder() || error.is_redirect())
}
