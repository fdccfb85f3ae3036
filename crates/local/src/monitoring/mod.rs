//! Prometheus and Alertmanager beside the stack: what they are told, how they are started, and what the supervisor says to them.
//! Must not say anything under a name of its own where kube-state-metrics or KEDA have one: rules are the same in a cluster.

pub(crate) mod exporter;
pub(crate) mod files;
mod text;

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::{sleep, timeout};

use crate::context::Context;
use crate::pod::probe;
use crate::{ServerState, StackState};

/// How often both are asked whether they are ready.
const LOOK_EVERY: Duration = Duration::from_secs(1);
const LOOK_CLOSELY: Duration = Duration::from_millis(100);
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// Names of the two servers, in the order of [`StackState::monitoring`].
pub(crate) const NAMES: [&str; 2] = ["prometheus", "alertmanager"];

/// What Prometheus and Alertmanager are given, with the addresses of a cluster in it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Monitoring {
    /// The file of rules.
    pub rules: String,
    /// `alertmanager.yml`.
    pub alertmanager: String,
}

/// Empty places for both; what an earlier supervisor wrote is kept.
pub(crate) fn places(ports: [u16; 2], earlier: Option<&StackState>) -> Vec<ServerState> {
    let place = |(name, port): (&str, u16)| {
        let old = earlier.and_then(|earlier| earlier.monitoring.iter().find(|it| it.name == name));
        ServerState {
            name: name.to_owned(),
            port,
            role: "monitoring".to_owned(),
            ..old.cloned().unwrap_or_default()
        }
    };
    NAMES.into_iter().zip(ports).map(place).collect()
}

/// Asks both again and again whether they are ready, and writes it on the board.
pub(crate) async fn observe(context: Arc<Context>) {
    loop {
        let ports: Vec<u16> = context
            .board
            .read(|state| state.monitoring.iter().map(|it| it.port).collect());
        let mut ready = Vec::new();
        for port in ports {
            let asked = timeout(ANSWER_WITHIN, probe::get(port, "/-/ready")).await;
            ready.push(matches!(asked, Ok(Ok(()))));
        }
        context.board.update(|state| {
            for (server, ready) in state.monitoring.iter_mut().zip(&ready) {
                // Whoever listens there while ours does not run is somebody else.
                server.ready = *ready && server.process.is_some_and(kedactl_exec::ProcId::alive);
            }
        });
        let well = context
            .board
            .read(|state| state.monitoring.iter().all(|it| it.ready));
        sleep(if well { LOOK_EVERY } else { LOOK_CLOSELY }).await;
    }
}
