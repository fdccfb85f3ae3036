//! The stack as processes of one machine: Redis with Sentinels, pods, autoscalers, the service proxy, and who watches them.
//!
//! Law: obeys the same rendered manifests that a cluster would get and decides nothing that `kedactl-autoscale` decides;
//! every process carries the stack's mark, and no process without it is ever signalled.

mod backoff;
mod board;
mod context;
mod desired;
mod doctor;
mod down;
mod error;
mod failover;
mod identity;
mod journal;
mod layout;
mod logs;
mod monitoring;
mod pod;
mod ports;
mod programs;
mod proxy;
mod redis;
mod scale;
mod secrets;
mod state;
mod supervisor;
mod up;
mod way;
mod workload;

use std::path::Path;

pub use desired::{Desired, Request, UpOutcome};
pub use error::LocalError;
pub use layout::{Layout, log_tail};
pub use monitoring::Monitoring;
pub use state::{
    Endpoints, MetricState, Phase, PodPhase, PodState, RedisState, STATE_VERSION, ScalerState,
    ServerState, StackState, WorkloadState,
};
pub use way::redis_config;

use kedactl_plan::Sink;
use serde::de::DeserializeOwned;

/// One thing that `doctor` looks at.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Check {
    /// Stable name: `redis-server`, `port-api`.
    pub code: String,
    /// What is checked.
    pub title: String,
    /// How it is.
    pub status: CheckStatus,
    /// What was found.
    pub detail: String,
    /// What to do, where something is to be done.
    pub cure: Option<String>,
}

/// Result of a [`Check`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckStatus {
    /// As it should be.
    Ok,
    /// Works, but not as it should.
    Warn,
    /// Does not work.
    Fail,
    /// Was not looked at.
    Skip,
}

/// How `down` ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DownOutcome {
    /// Whether anything was stopped or removed.
    pub changed: bool,
    /// Processes that were stopped.
    pub stopped: usize,
}

/// How a fail-over ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailoverOutcome {
    /// The master before: `redis-0 (127.0.0.1:6379)`.
    pub from: String,
    /// The master now.
    pub to: String,
    /// Milliseconds from the order to the new master.
    pub took_ms: u64,
}

/// Starts or updates the stack and waits until it is ready.
pub async fn up(request: &Request, events: &dyn Sink) -> Result<UpOutcome, LocalError> {
    up::up(request, events).await
}

/// Stops the stack and proves that nothing is left; with `purge` its data goes as well.
pub async fn down(dir: &Path, purge: bool, events: &dyn Sink) -> Result<DownOutcome, LocalError> {
    down::down(dir, purge, events).await
}

/// The last written state; `None` where there never was a stack, or it was stopped. Check `supervisor.alive()` before believing it.
pub fn read_state(dir: &Path) -> Result<Option<StackState>, LocalError> {
    versioned(&Layout::new(dir).state())
}

/// What `up` last asked for; `None` where there is no stack.
pub fn read_desired(dir: &Path) -> Result<Option<Desired>, LocalError> {
    versioned(&Layout::new(dir).desired())
}

/// Reads a file with a `version`, and refuses another version before its fields are looked at.
fn versioned<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, LocalError> {
    let Some(value) = layout::read_json::<serde_json::Value>(path)? else {
        return Ok(None);
    };
    let found = value.get("version").and_then(serde_json::Value::as_u64);
    if found != Some(u64::from(STATE_VERSION)) {
        return Err(LocalError::OtherVersion {
            path: path.to_owned(),
            found: found.unwrap_or(0) as u32,
            known: STATE_VERSION,
        });
    }
    serde_json::from_value(value)
        .map(Some)
        .map_err(|error| LocalError::Damaged {
            path: path.to_owned(),
            message: error.to_string(),
        })
}

/// Orders the Sentinels to fail over and waits for the new master.
pub async fn failover(dir: &Path) -> Result<FailoverOutcome, LocalError> {
    failover::failover(dir).await
}

/// Looks at what this provider needs. `desired` is what `up` would ask for.
#[expect(
    clippy::unused_async,
    reason = "one signature with the providers whose checks wait"
)]
pub async fn doctor(dir: &Path, desired: &Desired) -> Vec<Check> {
    doctor::doctor(dir, desired)
}

/// The main of the hidden helpers: `role` is what follows [`Request::helper`] on the command line, `supervise` or `proxy`.
/// Blocks until told to stop; makes its own runtime.
pub fn helper_main(role: &str, dir: &Path) -> Result<(), LocalError> {
    let layout = Layout::new(dir);
    raise_open_files();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(layout::fail("start a runtime for", dir))?;
    runtime.block_on(async {
        match role {
            "proxy" => proxy::main(layout).await,
            _ => supervisor::main(layout).await,
        }
    })
}

/// Lets this process and its children open as many files as the system allows: each connection takes two in the proxy.
fn raise_open_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "open files");
    }
}
