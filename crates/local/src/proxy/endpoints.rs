//! `endpoints.json`: which port leads to which pods. Written by the supervisor, read by the proxy, which writes down in turn
//! what it obeys.
//! Must not name a pod that is not ready or on its way out.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use crate::context::Context;
use crate::layout::{read_json, write_json};
use crate::{LocalError, PodPhase, StackState};

/// How often it is looked whether the proxy obeys.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// How long a proxy that lives may take to obey.
const OBEYED_WITHIN: Duration = Duration::from_secs(5);
/// How long a connection may be on its way from the proxy to a pod.
const ARRIVES_WITHIN: Duration = Duration::from_millis(50);

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
    /// Whether connections may go to a pod.
    fn names(&self, pod: &str) -> bool {
        let mut services = self.services.iter();
        services.any(|service| service.backends.contains_key(pod))
    }

    /// The Services of the workload `api`, its ports `http` and `metrics`, and that of the webhook where there is one.
    pub(crate) fn of(state: &StackState, context: &Context) -> Self {
        let pods = |workload: &str| {
            let workload = state.workloads.get(workload);
            workload.into_iter().flat_map(|workload| &workload.pods)
        };
        let service = |name: &str, port: u16, workload: &str, target: &str| Service {
            name: name.to_owned(),
            port,
            backends: pods(workload)
                .filter(|pod| pod.ready && pod.phase == PodPhase::Running)
                .filter_map(|pod| Some((pod.name.clone(), *pod.ports.get(target)?)))
                .collect(),
        };
        let (config, identity) = (&context.config, &context.identity);
        let mut services = vec![
            service("api", config.api.port, "api", "http"),
            service("api-metrics", identity.metrics, "api", "metrics"),
        ];
        if config.webhook.runs() {
            services.push(service("webhook", identity.webhook, "webhook", "http"));
        }
        Self { services }
    }
}

/// Writes the file whenever a pod comes or goes, until dropped.
pub(crate) async fn keep_written(context: Arc<Context>) {
    let mut board = context.board.watch();
    let mut written = None;
    loop {
        let endpoints = context.board.read(|state| Endpoints::of(state, &context));
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

/// Waits until the proxy hands nothing over to a pod any more. A proxy that is gone hands nothing over; one that stands still
/// for longer than this holds up nobody.
pub(crate) async fn left(context: &Context, pod: &str) {
    let until = Instant::now() + OBEYED_WITHIN;
    while Instant::now() < until {
        let proxy = context.board.read(|state| state.proxy.as_ref()?.process);
        if !proxy.is_some_and(kedactl_exec::ProcId::alive) {
            return;
        }
        match read_json::<Endpoints>(&context.layout.obeyed()) {
            Ok(Some(obeyed)) if obeyed.names(pod) => sleep(LOOK_EVERY).await,
            Ok(_) => break,
            Err(error) => {
                tracing::debug!(%error, "what the proxy obeys");
                sleep(LOOK_EVERY).await;
            }
        }
    }
    // What it handed over just before must reach the pod.
    sleep(ARRIVES_WITHIN).await;
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
