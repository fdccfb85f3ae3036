//! Compares what is wanted with what is there.
//! Must not count as a change what autoscalers and the server itself write.

use std::sync::Arc;

use serde::Serialize;
use serde_json::Value as Json;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::clean::clean;
use super::fields::{FieldChange, changes};
use crate::api::Write;
use crate::apply::{
    Adopt, Conflict, Owner, Prepared, fetched, owner, prepare_for, read_conflicts, read_live,
    settled,
};
use crate::connect::Cluster;
use crate::delete::{Outcome, select};
use crate::error::Error;
use crate::hash;
use crate::inventory::Inventory;
use crate::mask;
use crate::names::{HASH_ANNOTATION, Stack};
use crate::object::{ObjectRef, annotation, resource_version};

/// What would be done with an object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum Action {
    /// It is not there.
    Create,
    /// Fields differ. `drift`: the configuration is as it was applied last, so somebody changed the object.
    Change {
        /// By hand, and not by a new configuration.
        drift: bool,
    },
    /// It is as it should be.
    Unchanged,
    /// The stack no longer has it.
    Delete,
    /// The stack no longer has it, and it stays.
    Keep {
        /// Why.
        reason: String,
    },
    /// Fields belong to others: an apply would be refused.
    Conflict {
        /// Which.
        conflicts: Vec<Conflict>,
    },
    /// It is somebody else's: an apply would be refused.
    Foreign {
        /// Whose.
        owner: String,
    },
}

/// One object of a diff.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ObjectDiff {
    /// The object.
    pub object: ObjectRef,
    /// What would be done with it.
    #[serde(flatten)]
    pub action: Action,
    /// The fields that differ; values of Secrets are masked. Of a new object one entry with all of it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<FieldChange>,
    /// What the API server would warn of.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// The API server tried it. It cannot where namespace or definition are made in the same run.
    pub tried: bool,
    /// `resourceVersion` of what is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource_version: Option<String>,
    /// Hash of what is there, without what changes by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub live_hash: Option<String>,
    /// Hash of what is wanted; absent where nothing is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
}

/// What an apply of a whole stack would do.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Diff {
    /// Every object, in order of kind and name.
    pub objects: Vec<ObjectDiff>,
}

impl Diff {
    /// Whether an apply would change anything, or be refused (exit 2 of `diff --exit-code`).
    pub fn has_changes(&self) -> bool {
        let quiet = |it: &ObjectDiff| matches!(it.action, Action::Unchanged | Action::Keep { .. });
        !self.objects.iter().all(quiet)
    }

    /// How many objects there are of an action, by its name in JSON.
    pub fn count(&self, chosen: impl Fn(&Action) -> bool) -> usize {
        self.objects.iter().filter(|it| chosen(&it.action)).count()
    }
}

/// Compares a stack's objects with the cluster. `kept` as in [`crate::Run::begin`].
pub async fn diff(
    cluster: &Cluster,
    stack: &Stack,
    objects: &[Json],
    kept: &[ObjectRef],
    adopt: Adopt,
) -> Result<Diff, Error> {
    let prepared = prepare_for(cluster, stack, objects).await?;
    let references: Vec<ObjectRef> = prepared.iter().map(|it| it.reference.clone()).collect();
    let (live, inventory) = tokio::try_join!(
        read_live(cluster, stack, &references),
        Inventory::read(cluster, stack)
    )?;
    let gate = Arc::new(Semaphore::new(8));
    let mut tasks = JoinSet::new();
    for it in prepared {
        let (cluster, gate) = (cluster.clone(), Arc::clone(&gate));
        let (live, stack) = (live.get(&it.reference).cloned(), stack.clone());
        tasks.spawn(async move {
            let _permit = gate.acquire().await;
            one(&cluster, &stack, &it, live.as_ref(), adopt).await
        });
    }
    let mut all = Vec::new();
    for outcome in tasks.join_all().await {
        all.push(outcome?);
    }
    let wanted = Inventory::default().union(references.iter().chain(kept));
    all.extend(surplus(cluster, stack, &inventory.unwrap_or_default(), &wanted).await?);
    all.sort_by(|a, b| a.object.cmp(&b.object));
    Ok(Diff { objects: all })
}

async fn one(
    cluster: &Cluster,
    stack: &Stack,
    wanted: &Prepared,
    live: Option<&Json>,
    adopt: Adopt,
) -> Result<ObjectDiff, Error> {
    let mut it = ObjectDiff {
        object: wanted.reference.clone(),
        action: Action::Unchanged,
        fields: Vec::new(),
        warnings: Vec::new(),
        tried: false,
        resource_version: live.map(|it| resource_version(it).to_owned()),
        live_hash: live.map(|it| live_hash(it, wanted.autoscaled)),
        hash: Some(wanted.hash.clone()),
    };
    if let Some(live) = live {
        if settled(wanted, live) {
            return Ok(it);
        }
        let owner = owner(live, stack);
        if let (false, Owner::Other { who, .. }) = (owner.allows(adopt), owner) {
            it.action = Action::Foreign { owner: who };
            return Ok(it);
        }
    }
    let body = wanted.body_over(live);
    let answer = match cluster
        .patch_apply(&wanted.reference, &body, Write::DryRun)
        .await
    {
        Ok(answer) => Some(answer),
        Err(error) => match excuse(error, wanted, live, &body)? {
            Some(action) => {
                it.action = action;
                it.tried = true;
                return Ok(it);
            }
            None => None,
        },
    };
    it.tried = answer.is_some();
    let after = match answer {
        Some(answer) => {
            it.warnings = answer.warnings;
            answer.body
        }
        None => body,
    };
    let shown = |it: &Json| clean(&mask::object(it), wanted.autoscaled);
    match live {
        None => {
            it.action = Action::Create;
            it.fields = vec![FieldChange {
                path: String::new(),
                before: None,
                after: Some(shown(&after)),
            }];
        }
        Some(live) => {
            it.fields = changes(&shown(live), &shown(&after));
            if !it.fields.is_empty() {
                let applied = annotation(live, HASH_ANNOTATION);
                let drift = applied == Some(wanted.hash.as_str());
                it.action = Action::Change { drift };
            }
        }
    }
    Ok(it)
}

/// What a refused dry run means: conflicts; nothing where the API server could not try it; else the error itself.
fn excuse(
    error: Error,
    wanted: &Prepared,
    live: Option<&Json>,
    body: &Json,
) -> Result<Option<Action>, Error> {
    match &error {
        Error::KindMissing { .. } => return Ok(None),
        Error::Api { source, .. } => {
            if let Some(status) = source.status() {
                let conflicts = read_conflicts(status, &wanted.reference, live, body);
                if !conflicts.is_empty() {
                    return Ok(Some(Action::Conflict { conflicts }));
                }
            }
            // The namespace, the definition, or the target that KEDA's webhook looks for comes with this very run.
            let early = source.is_not_found() || crate::apply::is_webhook_race(source);
            if live.is_none() && early {
                return Ok(None);
            }
        }
        _ => {}
    }
    Err(error)
}

async fn surplus(
    cluster: &Cluster,
    stack: &Stack,
    inventory: &Inventory,
    wanted: &Inventory,
) -> Result<Vec<ObjectDiff>, Error> {
    let surplus: Vec<ObjectRef> = inventory
        .objects()
        .filter(|it| !wanted.holds(it) && !is_home(it, stack))
        .cloned()
        .collect();
    let live = fetched(cluster, surplus.clone()).await?;
    let mut all = Vec::new();
    for reference in surplus {
        let found = live.get(&reference);
        let action = match select(&reference, found, stack, false) {
            Ok(_) => Action::Delete,
            Err(it) => match it.outcome {
                Outcome::Kept { reason } | Outcome::Disowned { reason } => Action::Keep { reason },
                Outcome::Absent | Outcome::Deleted => continue,
            },
        };
        all.push(ObjectDiff {
            object: reference,
            action,
            fields: Vec::new(),
            warnings: Vec::new(),
            tried: false,
            resource_version: found.map(|it| resource_version(it).to_owned()),
            live_hash: found.map(|it| live_hash(it, false)),
            hash: None,
        });
    }
    Ok(all)
}

/// The stack's own namespace is not in every set of objects, and never surplus.
fn is_home(object: &ObjectRef, stack: &Stack) -> bool {
    object.kind == "Namespace" && object.name == stack.namespace()
}

fn live_hash(live: &Json, autoscaled: bool) -> String {
    hash::of(&clean(live, autoscaled))
}
