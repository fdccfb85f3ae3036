//! What `load` sees of the stack beside its own requests: replicas and decisions from the state, numbers from the queue.
//!
//! It must not slow the run down: what cannot be read at once is a gap.

use crate::error::Error;
use crate::stack::Stack;
use kedactl_load::{Observe, Replicas, Sample};
use kedactl_local::{ScalerState, StackState, WorkloadState};
use kedactl_queue::{Inspector, QueueName, Redis};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::OnceCell;

/// How long the queue's numbers may take before the sample goes without them.
const PATIENCE: Duration = Duration::from_millis(800);

/// Watches one local stack.
pub(crate) struct StackObserver {
    stack: Stack,
    queue: QueueName,
    config: kedactl_queue::RedisConfig,
    inspector: OnceCell<Inspector>,
    told: Mutex<HashMap<String, u64>>,
}

impl StackObserver {
    pub(crate) fn new(stack: Stack, queue: QueueName) -> Result<Self, Error> {
        let config = stack.redis()?;
        let told = stack
            .state
            .scalers
            .iter()
            .filter_map(|(name, it)| Some((name.clone(), it.scaled_at?)))
            .collect();
        Ok(Self {
            stack,
            queue,
            config,
            inspector: OnceCell::new(),
            told: Mutex::new(told),
        })
    }

    async fn numbers(&self) -> Option<kedactl_queue::QueueStats> {
        let connect = || async {
            Redis::connect(self.config.clone())
                .await
                .map(|redis| Inspector::new(&redis))
        };
        let read = async {
            let inspector = self.inspector.get_or_try_init(connect).await.ok()?;
            inspector.stats(&self.queue).await.ok()
        };
        tokio::time::timeout(PATIENCE, read).await.ok().flatten()
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
        .map(crate::output::view::status::metric)
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

impl Observe for StackObserver {
    async fn sample(&self) -> Option<Sample> {
        let state = self.stack.again().ok()?.state;
        let numbers = self.numbers().await?;
        let replicas = |name: &str| state.workloads.get(name).map(replicas).unwrap_or_default();
        Some(Sample {
            backlog: numbers.waiting,
            running: numbers.running,
            delayed: numbers.delayed,
            workers: replicas("worker"),
            api: replicas("api"),
            reasons: self.reasons(&state),
        })
    }
}

fn replicas(workload: &WorkloadState) -> Replicas {
    Replicas {
        desired: workload.desired,
        ready: workload.ready,
    }
}
