//! Work that may be dropped at any moment, until the run is told to stop.
//! Must not be put around what takes a lock: nobody would give it back.

use kedactl_exec::CancellationToken;

use crate::error::Error;

/// The work, or [`Error::Stopped`] the moment the run is told to stop.
pub(crate) async fn until_stopped<T>(
    stop: &CancellationToken,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    tokio::select! {
        biased;
        () = stop.cancelled() => Err(Error::Stopped),
        result = work => result,
    }
}
