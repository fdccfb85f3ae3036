//! What a run that was killed left on this machine: a helm that goes on by itself, and private files.
//! Must not touch what belongs to a run that lives: whoever calls shows that the stack's lease is theirs.

use std::path::Path;
use std::time::Duration;

use kedactl_exec::end_left_behind;

use super::LeaseHeld;
use crate::ToolError;
use crate::private::sweep;

/// How long a helm may take to write down that it was interrupted.
const PATIENCE: Duration = Duration::from_secs(30);

/// Ends what works on below a state folder ([`Settings::state`](super::Settings::state)) and removes its files; whether there was anything at work.
pub async fn clear(state: &Path, _lease: &LeaseHeld) -> Result<bool, ToolError> {
    let ended = end_left_behind(state, PATIENCE).await?;
    sweep(&state.join("tmp"));
    Ok(ended > 0)
}
