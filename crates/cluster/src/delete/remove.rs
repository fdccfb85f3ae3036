//! Deletes chosen objects in reverse order and waits until they are gone.
//! Must not choose them.

use std::collections::BTreeMap;
use std::time::Duration;

use kedactl_plan::Step;
use serde::Serialize;
use tokio::task::JoinSet;

use super::gone::{Waiter, wait_gone};
use super::select::Candidate;
use crate::api::Deletion;
use crate::connect::Cluster;
use crate::error::Error;
use crate::kinds::{Phase, phase, runs_pods};
use crate::object::ObjectRef;

/// How an object left, or why it stayed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// It was deleted and is gone.
    Deleted,
    /// It was not there.
    Absent,
    /// It stays, and stays in the inventory.
    Kept {
        /// Why, and what would delete it.
        reason: String,
    },
    /// It is not (or no longer) ours: it stays, and leaves the inventory.
    Disowned {
        /// By what that was seen.
        reason: String,
    },
}

/// What became of one object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Removed {
    /// The object.
    pub object: ObjectRef,
    /// How it left, or why it stayed.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// What had to be done beside the deletion, said aloud.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl Removed {
    /// Whether it leaves the inventory.
    pub(crate) fn leaves(&self) -> bool {
        !matches!(self.outcome, Outcome::Kept { .. })
    }

    /// Whether it was there and is gone.
    pub fn is_gone(&self) -> bool {
        self.outcome == Outcome::Deleted
    }
}

/// How long to wait for what.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// For every object to go.
    pub(crate) patience: Duration,
    /// For KEDA's finalizer while no operator is there to remove it.
    pub(crate) orphaned: Duration,
    /// For finalizers of others that stand there unchanged; `None`: as long as for everything else.
    pub(crate) held: Option<Duration>,
    /// Remove KEDA's finalizer from our objects also while the operator is there.
    pub(crate) release_finalizers: bool,
}

/// Deletes phase by phase, last phase first; within a phase side by side.
pub(crate) async fn remove(
    cluster: &Cluster,
    chosen: Vec<Candidate>,
    pace: Pace,
    step: &Step<'_>,
) -> Result<Vec<Removed>, Error> {
    let total = chosen.len() as u64;
    let mut phases: BTreeMap<Phase, Vec<Candidate>> = BTreeMap::new();
    for candidate in chosen {
        let phase = phase(candidate.reference.group(), &candidate.reference.kind);
        phases.entry(phase).or_default().push(candidate);
    }
    let mut all = Vec::new();
    for (_, candidates) in phases.into_iter().rev() {
        for candidate in &candidates {
            step.waiting(format!("{} to go", candidate.reference));
        }
        let removed = together(cluster, candidates, pace).await?;
        for it in &removed {
            let note = it.note.as_ref().map(|note| format!(" ({note})"));
            let note = format!("{} deleted{}", it.object, note.unwrap_or_default());
            all.push(it.clone());
            step.progress(all.len() as u64, Some(total), note);
        }
    }
    Ok(all)
}

async fn together(
    cluster: &Cluster,
    candidates: Vec<Candidate>,
    pace: Pace,
) -> Result<Vec<Removed>, Error> {
    let mut tasks = JoinSet::new();
    for candidate in candidates {
        let cluster = cluster.clone();
        tasks.spawn(async move { one(&cluster, candidate, pace).await });
    }
    let (mut removed, mut failed) = (Vec::new(), Vec::new());
    while let Some(outcome) = tasks.join_next().await {
        match outcome {
            Ok(Ok(it)) => removed.push(it),
            Ok(Err(error)) => failed.push(error),
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        }
    }
    match Error::from_many(failed) {
        None => {
            removed.sort_by(|a, b| a.object.cmp(&b.object));
            Ok(removed)
        }
        Some(error) => Err(error),
    }
}

async fn one(cluster: &Cluster, candidate: Candidate, pace: Pace) -> Result<Removed, Error> {
    let Candidate { reference, uid } = candidate;
    let deletion = Deletion {
        // Pods first, so that "gone" means that nothing of it runs any more.
        foreground: runs_pods(reference.group(), &reference.kind),
        uid: Some(uid.clone()),
        resource_version: None,
    };
    cluster.delete(&reference, &deletion).await?;
    let waiter = Waiter {
        cluster,
        object: &reference,
        uid: &uid,
        pace,
    };
    let note = wait_gone(&waiter).await?;
    Ok(Removed {
        object: reference,
        outcome: Outcome::Deleted,
        note,
    })
}
