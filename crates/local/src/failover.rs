//! `redis failover`: has the Sentinels make another server master, and names both as the stack does.
//! Must not touch a server: the Sentinels do it.

use std::path::Path;
use std::time::Duration;

use kedactl_queue::{HostPort, fail_over};

use crate::identity::Identity;
use crate::layout::Layout;
use crate::redis::server::Server;
use crate::{FailoverOutcome, LocalError, read_state, redis_config};

/// How long a fail-over may take: one attempt of the Sentinels.
const WITHIN: Duration = Duration::from_secs(30);

/// Fails over and waits for the new master.
pub(crate) async fn failover(dir: &Path) -> Result<FailoverOutcome, LocalError> {
    let not_running = || LocalError::NotRunning {
        dir: dir.to_owned(),
    };
    let state = read_state(dir)?.ok_or_else(not_running)?;
    let identity = Identity::load(&Layout::new(dir))?.ok_or_else(not_running)?;
    let done = fail_over(&redis_config(&state)?, WITHIN)
        .await
        .map_err(|error| LocalError::Failover {
            message: error.reason,
        })?;
    Ok(FailoverOutcome {
        from: describe(&identity, &done.from),
        to: describe(&identity, &done.to),
        took_ms: done.took.as_millis() as u64,
    })
}

fn describe(identity: &Identity, addr: &HostPort) -> String {
    let name = identity
        .redis
        .iter()
        .position(|own| *own == addr.port)
        .map(|index| Server::Redis(index).name());
    format!("{} ({addr})", name.unwrap_or_else(|| "a server".to_owned()))
}
