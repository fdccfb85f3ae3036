//! `endpoints.json`: which port leads to which pods. Written by the supervisor, read by the proxy.
//! Must not name a pod that is not ready or on its way out.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::context::Context;
use crate::layout::{read_json, write_json};
use crate::{LocalError, PodPhase, StackState};

/// All Services of a stack.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Endpoints {
    pub(crate) services: Vec<Service>,
}

/// One port and the pods behind it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Service {
    pub(crate) name: String,
    pub(crate) port: u16,
    /// Ports of the ready pods on 127.0.0.1 by pod.
    pub(crate) backends: BTreeMap<String, u16>,
}

impl Endpoints {
    /// The Services of the workload `api`: its ports `http` and `metrics`.
    pub(crate) fn of(state: &StackState, api_port: u16, metrics_port: u16) -> Self {
        let pods = || {
            state
                .workloads
                .get("api")
                .into_iter()
                .flat_map(|workload| &workload.pods)
        };
        let service = |name: &str, port: u16, target: &str| Service {
            name: name.to_owned(),
            port,
            backends: pods()
                .filter(|pod| pod.ready && pod.phase == PodPhase::Running)
                .filter_map(|pod| Some((pod.name.clone(), *pod.ports.get(target)?)))
                .collect(),
        };
        Self {
            services: vec![
                service("api", api_port, "http"),
                service("api-metrics", metrics_port, "metrics"),
            ],
        }
    }
}

/// Writes the file whenever a pod comes or goes, until dropped.
pub(crate) async fn keep_written(context: Arc<Context>) {
    let mut board = context.board.watch();
    let mut written = None;
    loop {
        let endpoints = context
            .board
            .read(|state| Endpoints::of(state, context.config.api.port, context.identity.metrics));
        if written.as_ref() != Some(&endpoints) {
            match write_json(&context.layout.endpoints(), &endpoints) {
                Ok(()) => written = Some(endpoints),
                Err(error) => tracing::error!(%error, "endpoints"),
            }
        }
        if board.changed().await.is_err() {
            return;
        }
    }
}

/// Tells whether the file is another one than the last time.
#[derive(Debug, Default)]
pub(crate) struct Seen(Option<(u64, i64, i64)>);

impl Seen {
    /// Reads the file if it was replaced since the last call.
    pub(crate) fn changed(&mut self, path: &Path) -> Result<Option<Endpoints>, LocalError> {
        let Ok(meta) = fs::metadata(path) else {
            return Ok(None);
        };
        let mark = Some((meta.ino(), meta.mtime(), meta.mtime_nsec()));
        if mark == self.0 {
            return Ok(None);
        }
        let endpoints = read_json(path)?;
        self.0 = mark;
        Ok(endpoints)
    }
}
