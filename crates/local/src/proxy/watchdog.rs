//! Starts the supervisor again when it died: its lock is free although the stack should run.
//! Must not start one that was told to stop, and starts at most one: the lock decides.

use std::time::Duration;

use tokio::time::sleep;

use crate::context::helper;
use crate::desired::Desired;
use crate::identity::Identity;
use crate::layout::{Layout, read_json, try_lock};

/// How often the lock is tried.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Longest pause after supervisors that died at once.
const LONGEST: Duration = Duration::from_mins(1);

/// Watches, for ever.
pub(crate) async fn watch(layout: Layout) {
    let mut pause = LOOK_EVERY;
    loop {
        sleep(pause).await;
        pause = if missing(&layout) && start(&layout).await {
            (pause * 2).min(LONGEST)
        } else {
            LOOK_EVERY
        };
    }
}

fn missing(layout: &Layout) -> bool {
    let wanted = read_json::<Desired>(&layout.desired())
        .ok()
        .flatten()
        .is_some_and(|desired| desired.running);
    wanted && matches!(try_lock(&layout.supervisor_lock()), Ok(Some(_)))
}

/// Starts a supervisor and waits for its end; `false` when it could not be started.
async fn start(layout: &Layout) -> bool {
    let desired = read_json::<Desired>(&layout.desired()).ok().flatten();
    let identity = Identity::load(layout).ok().flatten();
    let (Some(desired), Some(identity)) = (desired, identity) else {
        return false;
    };
    let Some(spawn) = helper(&desired.helper, "supervise", layout, &identity.stack_id) else {
        return false;
    };
    match spawn.start() {
        Ok(mut supervisor) => {
            let exit = supervisor.exited().await;
            tracing::info!(how = %exit.how, "supervisor ended");
            true
        }
        Err(error) => {
            tracing::error!(%error, "supervisor");
            true
        }
    }
}
