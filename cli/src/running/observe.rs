//! What `load` sees of the stack beside its own requests: sizes and decisions from the stack, numbers from the queue.
//!
//! It must not slow the run down: what cannot be read at once is a gap.

use super::Running;
use super::cluster::OnCluster;
use crate::error::{Code, Error};
use crate::output::view;
use kedactl_load::{Observe, Replicas, Sample};
use kedactl_local::{ScalerState, StackState, WorkloadState};
use kedactl_queue::{Inspector, QueueName};
use kedactl_stack::{ScaleWatch, Size};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::OnceCell;

/// How long a part of a sample may take before the sample goes without it.
const PATIENCE: Duration = Duration::from_millis(800);

/// Watches one stack.
pub(crate) struct StackObserver {
    running: Running,
    queue: QueueName,
    inspector: OnceCell<Inspector>,
    sizes: Sizes,
}

impl StackObserver {
    pub(crate) fn new(running: Running, queue: QueueName) -> Result<Self, Error> {
        Ok(Self {
            sizes: running.sizes()?,
            running,
            queue,
            inspector: OnceCell::new(),
        })
    }
}

impl Observe for StackObserver {
    async fn sample(&self) -> Option<Sample> {
        // The first sample waits for the connection; given up and begun anew each time, it might never be there.
        let connect = || self.running.inspector();
        let inspector = self.inspector.get_or_try_init(connect).await.ok()?;
        let both = async { tokio::join!(inspector.stats(&self.queue), self.sizes.look()) };
        let (numbers, sizes) = tokio::time::timeout(PATIENCE, Box::pin(both)).await.ok()?;
        let (numbers, sizes) = (numbers.ok()?, sizes?);
        Some(Sample {
            backlog: numbers.waiting,
            running: numbers.running,
            delayed: numbers.delayed,
            workers: sizes.workers,
            api: sizes.api,
            reasons: sizes.reasons,
        })
    }
}

/// Sizes of both targets, and why they changed since the look before.
struct Seen {
    workers: Replicas,
    api: Replicas,
    reasons: Vec<String>,
}

/// Who knows the sizes.
pub(crate) enum Sizes {
    /// The supervisor's state.
    Local(LocalSizes),
    /// The API server.
    Cluster(Arc<OnCluster>, ScaleWatch),
}

impl Sizes {
    async fn look(&self) -> Option<Seen> {
        match self {
            Self::Local(it) => it.look(),
            Self::Cluster(stack, watch) => {
                let sizes = watch.look(stack.live().await.ok()?).await.ok()?;
                let replicas = |name: &str| {
                    sizes
                        .targets
                        .get(name)
                        .copied()
                        .map(of_size)
                        .unwrap_or_default()
                };
                Some(Seen {
                    workers: replicas("worker"),
                    api: replicas("api"),
                    reasons: sizes.changes,
                })
            }
        }
    }
}

fn of_size(size: Size) -> Replicas {
    Replicas {
        desired: size.desired,
        ready: size.ready,
    }
}

/// Reads the supervisor's state, and remembers which decisions were told.
pub(crate) struct LocalSizes {
    dir: PathBuf,
    told: Mutex<HashMap<String, u64>>,
}

impl LocalSizes {
    /// What was decided before `state` is not told.
    pub(super) fn new(dir: PathBuf, state: &StackState) -> Self {
        let told = state
            .scalers
            .iter()
            .filter_map(|(name, it)| Some((name.clone(), it.scaled_at?)))
            .collect();
        Self {
            dir,
            told: Mutex::new(told),
        }
    }

    fn look(&self) -> Option<Seen> {
        let state = kedactl_local::read_state(&self.dir).ok()??;
        let replicas = |name: &str| state.workloads.get(name).map(replicas).unwrap_or_default();
        Some(Seen {
            workers: replicas("worker"),
            api: replicas("api"),
            reasons: self.reasons(&state),
        })
    }

    /// Decisions that moved a target since the last sample, in their order, with what was read.
    fn reasons(&self, state: &StackState) -> Vec<String> {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let mut fresh = Vec::new();
        for (name, it) in &state.scalers {
            let Some(at) = it.scaled_at else { continue };
            if told.insert(name.clone(), at) != Some(at) {
                fresh.push((at, decision(name, it)));
            }
        }
        fresh.sort();
        fresh.into_iter().map(|(_, reason)| reason).collect()
    }
}

fn decision(name: &str, it: &ScalerState) -> String {
    let reads: Vec<String> = it
        .metrics
        .iter()
        .map(|it| view::status::metric(it.value, it.target, &it.target_type))
        .collect();
    format!(
        "{} {} → {} by {name}: {}; {}",
        it.target,
        it.current,
        it.desired,
        reads.join(", "),
        it.reason
    )
}

fn replicas(workload: &WorkloadState) -> Replicas {
    Replicas {
        desired: workload.desired,
        ready: workload.ready,
    }
}

/// Nothing of the stack has a log by these names.
pub(super) fn no_log(services: &[String]) -> Error {
    let wanted = services.join(", ");
    Error::new(Code::NoTask, format!("no log matches `{wanted}`"))
        .hint("`kedactl status` lists the processes and pods by name and role")
}
