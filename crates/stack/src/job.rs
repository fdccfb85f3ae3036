//! What all long jobs on a stack share: steps that end with their result, work that can be stopped.
//! Must not know which job it is.

use kedactl_plan::Step;
use kedactl_tools::CancellationToken;

use crate::StackError;

/// Ends a step with what came out of it.
pub(crate) fn told<T>(
    step: Step<'_>,
    result: Result<T, StackError>,
    note: impl FnOnce(&T) -> (String, bool),
) -> Result<T, StackError> {
    match &result {
        Ok(value) => {
            let (note, changed) = note(value);
            step.done(note, changed);
        }
        Err(error) => step.failed(error, error.hint()),
    }
    result
}

/// Work that may be dropped at any moment, until the job is told to stop.
pub(crate) async fn until_stopped<T>(
    stop: &CancellationToken,
    work: impl Future<Output = Result<T, StackError>>,
) -> Result<T, StackError> {
    tokio::select! {
        biased;
        () = stop.cancelled() => Err(StackError::Stopped),
        result = work => result,
    }
}

/// `1 image`, `2 images`.
pub(crate) fn plural(count: usize, word: &str) -> String {
    if count == 1 {
        format!("1 {word}")
    } else {
        format!("{count} {word}s")
    }
}
