//! One run over a stack: locked, written down first, applied in order, pruned at its end.
//! Must not apply before the inventory on the cluster knows what comes.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use kedactl_exec::CancellationToken;
use kedactl_plan::Step;
use serde_json::Value as Json;
use tokio::sync::{Mutex, Semaphore};
use tokio::task::JoinSet;

use super::established::wait_established;
use super::live::{Live, fetched, read_live};
use super::namespace::ensure_namespace;
use super::owner::{Adopt, Owner, owner};
use super::prepare::{Prepared, defined_here, prepare};
use super::report::{Applied, Change};
use super::write::{Manner, write};
use crate::connect::Cluster;
use crate::delete::{HELD, Pace, Removed, remove, select};
use crate::error::Error;
use crate::inventory::Inventory;
use crate::kinds::{PHASES, Phase, built_in};
use crate::lease::{Held, Holder};
use crate::names::Stack;
use crate::object::ObjectRef;
use crate::stop::until_stopped;

/// How a run goes about it.
#[derive(Debug, Clone)]
pub struct Options {
    /// What may be taken over.
    pub adopt: Adopt,
    /// Put fields back that a person changed by hand; a controller's field is never taken.
    pub revert_edits: bool,
    /// Who runs it, for the lock.
    pub holder: Holder,
    /// Requests side by side.
    pub parallel: usize,
    /// How long KEDA's webhook may deny what it has not seen yet.
    pub webhook_patience: Duration,
    /// How long a pruned object, or a namespace that is on its way out, may take to go.
    pub prune_patience: Duration,
    /// Ends the waiting for a lock, and for a namespace that is on its way out.
    pub stop: CancellationToken,
}

impl Options {
    /// Nothing is adopted or put back.
    pub fn new(holder: Holder) -> Self {
        Self {
            adopt: Adopt::Refuse,
            revert_edits: false,
            holder,
            parallel: 8,
            webhook_patience: Duration::from_secs(20),
            prune_patience: Duration::from_mins(2),
            stop: CancellationToken::new(),
        }
    }

    fn pace(&self) -> Pace {
        Pace {
            patience: self.prune_patience,
            orphaned: Duration::from_secs(10),
            held: Some(HELD),
            release_finalizers: false,
        }
    }
}

/// A run that holds the stack's lock. End it with [`Run::finish`], or with [`Run::abort`] where something failed.
pub struct Run {
    cluster: Cluster,
    stack: Stack,
    options: Options,
    prepared: Vec<Prepared>,
    live: Arc<Mutex<Live>>,
    inventory: Inventory,
    kept: Vec<ObjectRef>,
    /// The stack's namespace, if this run had to make it before its lock.
    made: Option<ObjectRef>,
    lease: Held,
}

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run")
            .field("stack", &self.stack.name())
            .field("objects", &self.prepared.len())
            .finish_non_exhaustive()
    }
}

/// Prepares a set of objects, asking the cluster for the scope of kinds that nobody knows.
pub(crate) async fn prepare_for(
    cluster: &Cluster,
    stack: &Stack,
    objects: &[Json],
) -> Result<Vec<Prepared>, Error> {
    let mut scopes = HashMap::new();
    for object in objects {
        let reference = ObjectRef::of(object)?;
        let key = (reference.api_version.clone(), reference.kind.clone());
        if scopes.contains_key(&key) {
            continue;
        }
        let known = built_in(reference.group(), &reference.kind).map(|it| it.namespaced);
        let namespaced = match known.or_else(|| defined_here(objects, &reference)) {
            Some(namespaced) => namespaced,
            None => cluster.kind(&key.0, &key.1).await?.namespaced,
        };
        scopes.insert(key, namespaced);
    }
    let scope = |it: &ObjectRef| {
        let key = (it.api_version.clone(), it.kind.clone());
        scopes.get(&key).copied().unwrap_or(true)
    };
    prepare(objects, stack, scope)
}

/// Refuses objects that are there and not ours, all at once, before anything is written.
fn refuse_foreign(
    prepared: &[Prepared],
    live: &Live,
    stack: &Stack,
    adopt: Adopt,
) -> Result<(), Error> {
    let foreign = prepared.iter().filter_map(|it| {
        let owner = owner(live.get(&it.reference)?, stack);
        if owner.allows(adopt) {
            return None;
        }
        let Owner::Other { who, unowned } = owner else {
            return None;
        };
        Some(Error::Foreign {
            object: Box::new(it.reference.clone()),
            owner: who,
            adoptable: unowned,
        })
    });
    Error::from_many(foreign.collect()).map_or(Ok(()), Err)
}

impl Run {
    /// Begins: takes the lock, reads what is there, refuses what is not ours, and writes the inventory (what was, and what comes).
    ///
    /// `objects` is everything that the stack shall have. `kept` names what belongs to it and is made by other means
    /// (Secrets that are made once): it is written down, never applied, and never pruned.
    pub async fn begin(
        cluster: &Cluster,
        stack: &Stack,
        objects: &[Json],
        kept: &[ObjectRef],
        options: Options,
    ) -> Result<Self, Error> {
        let prepared = prepare_for(cluster, stack, objects).await?;
        let references: Vec<ObjectRef> = prepared.iter().map(|it| it.reference.clone()).collect();
        let refuse = |live: &Live| refuse_foreign(&prepared, live, stack, options.adopt);
        let home = ensure_namespace(cluster, stack, refuse, &prepared, options.pace());
        let home = until_stopped(&options.stop, home).await?;
        let kept: Vec<ObjectRef> = kept.iter().cloned().chain(home.ours.clone()).collect();
        let lease = Held::acquire(cluster, stack, &options.holder, &options.stop).await?;
        let begun = until_stopped(&options.stop, async {
            let (live, before) = tokio::try_join!(
                read_live(cluster, stack, &references),
                Inventory::read(cluster, stack)
            )?;
            refuse(&live)?;
            let inventory = before.clone().unwrap_or_default();
            let inventory = inventory.union(references.iter().chain(&kept));
            if before.as_ref() != Some(&inventory) {
                inventory.write(cluster, stack).await?;
            }
            Ok((live, inventory))
        });
        let (live, inventory) = match begun.await {
            Ok(found) => found,
            Err(error) => {
                lease.release().await.ok();
                return Err(error);
            }
        };
        Ok(Self {
            cluster: cluster.clone(),
            stack: stack.clone(),
            options,
            prepared,
            live: Arc::new(Mutex::new(live)),
            inventory,
            kept,
            made: home.ours.filter(|_| home.created),
            lease,
        })
    }

    /// The objects of the set, as they are named on the cluster.
    pub fn objects(&self) -> impl Iterator<Item = &ObjectRef> {
        self.prepared.iter().map(|it| &it.reference)
    }

    /// Applies the chosen objects in order of their phases; the first phase with an error is the last.
    pub async fn apply(
        &self,
        chosen: impl Fn(&ObjectRef) -> bool,
        step: &Step<'_>,
    ) -> Result<Vec<Applied>, Error> {
        let chosen: Vec<&Prepared> = self
            .prepared
            .iter()
            .filter(|it| chosen(&it.reference))
            .collect();
        let total = chosen.len() as u64;
        let mut done = Vec::with_capacity(chosen.len());
        for phase in PHASES {
            self.lease.check()?;
            let turn: Vec<Prepared> = chosen
                .iter()
                .filter(|it| it.phase == phase)
                .map(|it| (*it).clone())
                .collect();
            if turn.is_empty() {
                continue;
            }
            let applied = self
                .together(turn, step, (done.len() as u64, total))
                .await?;
            if phase == Phase::Definitions {
                wait_established(&self.cluster, &applied, step).await?;
            }
            done.extend(applied);
        }
        Ok(done)
    }

    async fn together(
        &self,
        turn: Vec<Prepared>,
        step: &Step<'_>,
        (mut done, total): (u64, u64),
    ) -> Result<Vec<Applied>, Error> {
        let gate = Arc::new(Semaphore::new(self.options.parallel.max(1)));
        let manner = Manner {
            // What was adopted comes with its former tool's fields.
            revert_edits: self.options.revert_edits || self.options.adopt != Adopt::Refuse,
            webhook_patience: self.options.webhook_patience,
        };
        let mut tasks = JoinSet::new();
        for prepared in turn {
            let (cluster, gate, live) = (
                self.cluster.clone(),
                Arc::clone(&gate),
                Arc::clone(&self.live),
            );
            tasks.spawn(async move {
                let _permit = gate.acquire().await;
                let before = live.lock().await.get(&prepared.reference).cloned();
                let (applied, after) = write(&cluster, &prepared, before.as_ref(), manner).await?;
                live.lock().await.insert(prepared.reference, after);
                Ok::<Applied, Error>(applied)
            });
        }
        let (mut all, mut failed) = (Vec::new(), Vec::new());
        while let Some(outcome) = tasks.join_next().await {
            match outcome {
                Ok(Ok(mut applied)) => {
                    done += 1;
                    if self.made.as_ref() == Some(&applied.object) {
                        applied.change = Change::Created;
                    }
                    if applied.changed() {
                        step.progress(done, Some(total), applied.object.to_string());
                    }
                    all.push(applied);
                }
                Ok(Err(error)) => failed.push(error),
                Err(panic) => std::panic::resume_unwind(panic.into_panic()),
            }
        }
        if let Some(error) = Error::from_many(failed) {
            return Err(error);
        }
        all.sort_by(|a, b| a.object.cmp(&b.object));
        Ok(all)
    }

    /// Prunes what the stack no longer has, shrinks the inventory to what is there, and gives the lock back.
    /// To be called when everything was applied; objects that were never applied stay in the inventory.
    pub async fn finish(self, step: &Step<'_>) -> Result<Vec<Removed>, Error> {
        let outcome = self.prune(step).await;
        let released = self.lease.release().await;
        let removed = outcome?;
        released?;
        Ok(removed)
    }

    /// The first half of [`Run::finish`], for who wants to give the lock back also where it was told to stop meanwhile.
    /// May be dropped at any moment: the inventory forgets nothing before it is gone.
    pub async fn prune(&self, step: &Step<'_>) -> Result<Vec<Removed>, Error> {
        self.lease.check()?;
        let wanted = Inventory::default().union(self.objects().chain(&self.kept));
        let surplus: Vec<ObjectRef> = self
            .inventory
            .objects()
            .filter(|it| !wanted.holds(it))
            .cloned()
            .collect();
        if surplus.is_empty() {
            return Ok(Vec::new());
        }
        let live = fetched(&self.cluster, surplus.clone()).await?;
        let (mut chosen, mut all) = (Vec::new(), Vec::new());
        for reference in &surplus {
            match select(reference, live.get(reference), &self.stack, false) {
                Ok(candidate) => chosen.push(candidate),
                Err(stays) => all.push(*stays),
            }
        }
        all.extend(remove(&self.cluster, chosen, self.options.pace(), step).await?);
        let gone = all.iter().filter(|it| it.leaves()).map(|it| &it.object);
        let rest = self.inventory.without(gone);
        if rest != self.inventory {
            rest.write(&self.cluster, &self.stack).await?;
        }
        Ok(all)
    }

    /// Gives the lock back and leaves everything as it is; the inventory still knows what may exist.
    pub async fn abort(self) -> Result<(), Error> {
        self.lease.release().await
    }

    /// An error once another run took the lock; for steps between applies that write by other means.
    pub fn check(&self) -> Result<(), Error> {
        self.lease.check()
    }
}

/// The whole of it in one call: begin, apply everything, prune.
pub async fn apply(
    cluster: &Cluster,
    stack: &Stack,
    objects: &[Json],
    kept: &[ObjectRef],
    options: Options,
    step: &Step<'_>,
) -> Result<(Vec<Applied>, Vec<Removed>), Error> {
    let run = Run::begin(cluster, stack, objects, kept, options).await?;
    match run.apply(|_| true, step).await {
        Ok(applied) => Ok((applied, run.finish(step).await?)),
        Err(error) => {
            run.abort().await.ok();
            Err(error)
        }
    }
}
