//! A platform proves itself: tasks through its API, workers from nothing and back, one fault in the middle, nothing lost.
//!
//! It must not know what the fault is, nor judge by what was sent: the audit and the observer say what happened.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::time::sleep;

use crate::run::{Hooks, LoadError, run};
use crate::{
    Arrivals, AuditOptions, CancellationToken, Observe, Options, Progress, RunId, RunResult,
    Scaling, Schedule, Target, TaskTemplate,
};

/// Tasks a second, and for how long: more than one worker keeps up with, so that a second one must come.
const RPS: f64 = 50.0;
const LASTS: Duration = Duration::from_secs(20);
/// How long one task works.
const TASK_MS: u64 = 200;

/// What is to be proven.
#[derive(Debug, Clone)]
pub struct Proof {
    /// Name of the run.
    pub run: RunId,
    /// Base URL of the API.
    pub api_url: String,
    /// The queue whose length the workers follow.
    pub queue: String,
    /// Workers that stay when there is nothing to do.
    pub idle_workers: u32,
    /// How long the way back to that may take.
    pub back_within: Duration,
}

/// What happened to the fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// What it was: "fail-over from redis-node-0 to redis-node-1".
    pub what: String,
    /// Milliseconds until the platform had it behind itself.
    pub took_ms: u64,
}

/// What was seen, and what of it is not as it should be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Proven {
    /// Tasks that were accepted.
    pub accepted: u64,
    /// Of them done.
    pub done: u64,
    /// Accepted and not done.
    pub lost: u64,
    /// Done more than once, which a fault may cause.
    pub duplicated: u64,
    /// How the workers followed; `None` where nothing could be observed.
    pub scaling: Option<Scaling>,
    /// The fault; `None` where there is nothing to fail over to.
    pub fault: Option<Fault>,
    /// What is not as it should be, in words. Empty: proven.
    pub failures: Vec<String>,
    /// Everything that the run found out.
    #[serde(skip)]
    pub result: Option<Box<RunResult>>,
}

/// Runs the proof. `fault` is begun in the middle of the load; its error is a failure of the proof, not of this call.
pub async fn prove<O: Observe>(
    proof: &Proof,
    observer: O,
    fault: Option<impl Future<Output = Result<Fault, String>>>,
    progress: Option<tokio::sync::mpsc::Sender<Progress>>,
    stop: CancellationToken,
) -> Result<Proven, LoadError> {
    let middle = async {
        match fault {
            None => None,
            Some(fault) => {
                sleep(LASTS / 2).await;
                Some(fault.await)
            }
        }
    };
    let hooks = Hooks {
        observer,
        progress,
        stop,
    };
    let (result, fault) = tokio::join!(run(options(proof)?, hooks), middle);
    Ok(judge(proof, result?, fault))
}

fn options(proof: &Proof) -> Result<Options, LoadError> {
    let task = TaskTemplate {
        queue: proof.queue.clone(),
        kind: "sleep".to_owned(),
        payload: json!({"ms": TASK_MS}),
    };
    let target = Target::tasks(&proof.run, &proof.api_url, &task)?;
    let schedule = Schedule::constant(RPS, LASTS, Arrivals::Uniform, 1)?;
    let mut options = Options::new(proof.run.clone(), schedule, target);
    options.audit = Some(AuditOptions::new(&proof.api_url, &proof.queue));
    options.wait_zero = (proof.idle_workers == 0).then_some(proof.back_within);
    Ok(options)
}

fn judge(proof: &Proof, result: RunResult, fault: Option<Result<Fault, String>>) -> Proven {
    let mut failures = Vec::new();
    let audit = result.audit.clone().unwrap_or_default();
    if audit.acknowledged == 0 {
        failures.push("the API accepted no task".to_owned());
    }
    if audit.lost > 0 {
        failures.push(format!("{} accepted tasks were not done", audit.lost));
    }
    if audit.dead > 0 {
        failures.push(format!("{} tasks were given up", audit.dead));
    }
    if let Some(why) = &audit.gave_up {
        failures.push(why.clone());
    }
    match &result.scaling {
        None => failures.push("the workers could not be observed".to_owned()),
        Some(scaling) => failures.extend(unscaled(proof, scaling)),
    }
    let fault = match fault {
        Some(Err(why)) => {
            failures.push(why);
            None
        }
        Some(Ok(fault)) => Some(fault),
        None => None,
    };
    Proven {
        accepted: audit.acknowledged,
        done: audit.done,
        lost: audit.lost,
        duplicated: audit.duplicated,
        scaling: result.scaling.clone(),
        fault,
        failures,
        result: Some(Box::new(result)),
    }
}

fn unscaled(proof: &Proof, scaling: &Scaling) -> Vec<String> {
    let mut failures = Vec::new();
    let idle = proof.idle_workers;
    if scaling.workers_at_start > idle {
        failures.push(format!(
            "{} workers ran before the first task, {idle} should have",
            scaling.workers_at_start
        ));
    }
    if scaling.workers_peak <= idle.max(scaling.workers_at_start) {
        failures.push(format!(
            "the workers never became more than {}",
            scaling.workers_peak
        ));
    }
    if idle == 0 && scaling.to_zero_s.is_none() {
        failures.push(format!(
            "the workers were not back at zero after {} s",
            proof.back_within.as_secs()
        ));
    }
    failures
}
