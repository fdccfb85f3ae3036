//! The supervisor's last steps: stops everything in the order in which nothing is lost.
//! Must not leave before every process is gone.

use std::fs;

use serde_json::json;

use super::Running;
use crate::desired::Desired;
use crate::layout::{Layout, read_json, write_json};
use crate::redis::fleet;
use crate::{LocalError, Phase};

/// New connections first, then pods, Sentinels, the master, its replicas; then the files that speak of running processes.
pub(crate) async fn stop(running: Running) -> Result<(), LocalError> {
    let context = running.context;
    say_not_wanted(&context.layout)?;
    context.board.record("stopping", json!({}));
    context
        .board
        .update_now(|state| state.phase = Phase::Stopping);
    for task in &running.scalers {
        task.abort();
    }
    running.proxy.0.cancel();
    for (stop, _) in &running.workloads {
        stop.cancel();
    }
    for (_, task) in running.workloads {
        if let Err(error) = task.await {
            tracing::error!(%error, "workload");
        }
    }
    if let Err(error) = running.proxy.1.await {
        tracing::error!(%error, "proxy");
    }
    // To the last: what they see of the end is seen.
    fleet::end_all(running.watchers).await;
    if let Some(fleet) = running.fleet {
        fleet.stop(&context).await;
    }
    context.board.record("stopped", json!({}));
    for task in running.helpers {
        task.abort();
        // Its last write must not come after the files were removed.
        let _ended = task.await;
    }
    forget(&context.layout);
    Ok(())
}

/// Tells the watchdog that the stack is meant to be down.
pub(crate) fn say_not_wanted(layout: &Layout) -> Result<(), LocalError> {
    let desired: Option<Desired> = read_json(&layout.desired())?;
    if let Some(mut desired) = desired.filter(|desired| desired.running) {
        desired.running = false;
        write_json(&layout.desired(), &desired)?;
    }
    Ok(())
}

/// Removes the files that speak of running processes. Data, secrets, identity, logs and the journal stay.
pub(crate) fn forget(layout: &Layout) {
    let files = [
        layout.state(),
        layout.endpoints(),
        layout.obeyed(),
        layout.desired(),
    ];
    for path in files {
        // A file that is not there is as good as removed.
        let _removed = fs::remove_file(path);
    }
}
