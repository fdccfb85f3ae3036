//! The end of a stack: scalers while KEDA lives, then everything else, then data if it is purged.
//! Must not forget on the cluster what it left there.

use std::fmt;
use std::time::Duration;

use kedactl_exec::CancellationToken;
use kedactl_plan::Step;
use serde_json::{Value as Json, json};

use super::gone::{HELD, Waiter, wait_gone};
use super::remove::{Outcome, Pace, Removed, remove};
use super::select::{Candidate, select};
use crate::api::Deletion;
use crate::apply::{Live, fetched};
use crate::connect::Cluster;
use crate::error::Error;
use crate::inventory::{self, Inventory};
use crate::kinds::{Phase, holds_data, phase};
use crate::lease::{Held, Holder};
use crate::names::{STACK_LABEL, Stack};
use crate::object::{ObjectRef, items, label, text};
use crate::ready::workloads_of_release;
use crate::stop::until_stopped;

/// What becomes of what cannot be made again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Data {
    /// Claims, generated Secrets, definitions and namespaces stay, and stay in the inventory.
    #[default]
    Keep,
    /// They go too; of namespaces those that kedactl created.
    Purge,
}

/// How to take a stack down.
#[derive(Debug, Clone)]
pub struct DownOptions {
    /// What becomes of data.
    pub data: Data,
    /// Who does it, for the lock.
    pub holder: Holder,
    /// For how long an object may take to go.
    pub patience: Duration,
    /// For how long KEDA's finalizer is waited for while no operator runs, before it is removed.
    pub orphaned: Duration,
    /// Remove KEDA's finalizer from our objects also while its operator runs.
    pub release_finalizers: bool,
    /// Ends every waiting; what was asked to go goes on by itself.
    pub stop: CancellationToken,
}

impl DownOptions {
    /// Data stays.
    pub fn new(holder: Holder) -> Self {
        Self {
            data: Data::Keep,
            holder,
            patience: Duration::from_mins(3),
            orphaned: Duration::from_secs(5),
            release_finalizers: false,
            stop: CancellationToken::new(),
        }
    }
}

/// A teardown that holds the stack's lock. Its stages are called in order, with the removal of releases between them.
pub struct Teardown {
    cluster: Cluster,
    stack: Stack,
    options: DownOptions,
    inventory: Inventory,
    lease: Held,
    removed: Vec<Removed>,
}

impl fmt::Debug for Teardown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Teardown")
            .field("stack", &self.stack.name())
            .field("objects", &self.inventory.len())
            .finish_non_exhaustive()
    }
}

impl Teardown {
    /// Takes the lock; `None` where nothing of the stack is there. A namespace that is already on its way out is waited for.
    pub async fn begin(
        cluster: &Cluster,
        stack: &Stack,
        options: DownOptions,
    ) -> Result<Option<Self>, Error> {
        let home = ObjectRef::new("v1", "Namespace", None, stack.namespace());
        let Some(live) = cluster.get(&home).await? else {
            return Ok(None);
        };
        if text(&live, "/status/phase") == "Terminating" {
            let uid = text(&live, "/metadata/uid").to_owned();
            until_stopped(&options.stop, gone(cluster, &home, &uid, &options)).await?;
            return Ok(None);
        }
        // A run that was cut off between its namespace and its inventory left nothing but that namespace.
        let bare = || {
            let ours = label(&live, STACK_LABEL) == Some(stack.name());
            ours.then(|| Inventory::default().union([&home]))
        };
        if Inventory::read(cluster, stack)
            .await?
            .or_else(bare)
            .is_none()
        {
            return Ok(None);
        }
        let lease = Held::acquire(cluster, stack, &options.holder, &options.stop).await?;
        // Read again under the lock: a run that ended meanwhile may have changed it.
        let inventory = match Inventory::read(cluster, stack).await {
            Ok(found) => found.or_else(bare).unwrap_or_default(),
            Err(error) => {
                lease.release().await.ok();
                return Err(error);
            }
        };
        Ok(Some(Self {
            cluster: cluster.clone(),
            stack: stack.clone(),
            options,
            inventory,
            lease,
            removed: Vec::new(),
        }))
    }

    /// First stage: `ScaledObjects` and `ScaledJobs`, which KEDA must be alive for.
    pub async fn scalers(&mut self, step: &Step<'_>) -> Result<(), Error> {
        self.stage(step, false, |it| phase_of(it) == Phase::Scalers)
            .await
    }

    /// Second stage: everything else but data.
    pub async fn objects(&mut self, step: &Step<'_>) -> Result<(), Error> {
        let sets = self.inventory.objects();
        let sets: Vec<ObjectRef> = sets
            .filter(|it| it.group() == "apps" && it.kind == "StatefulSet")
            .cloned()
            .collect();
        self.claim_claims(sets).await?;
        self.stage(step, false, |it| {
            phase_of(it) != Phase::Scalers && !holds_data(it.group(), &it.kind)
        })
        .await
    }

    /// Last stage: data if it is purged, the inventory if nothing is left in it, the lock.
    pub async fn finish(mut self, step: &Step<'_>) -> Result<Vec<Removed>, Error> {
        let home = match self.data(step).await {
            Ok(home) => home,
            Err(error) => {
                self.lease.release().await.ok();
                return Err(error);
            }
        };
        // Where the namespace goes, inventory and lock go with it, so that nothing is forgotten if this run is cut off here.
        self.lease.release().await?;
        if let Some(home) = home {
            let gone = remove(&self.cluster, vec![home], pace(&self.options), step);
            let removed = until_stopped(&self.options.stop, gone).await?;
            self.removed.extend(removed);
        }
        Ok(sorted(self.removed))
    }

    /// Removes what may go beside the stack's own namespace, which is the answer where nothing stays in it; else
    /// the inventory is shrunk to what stays.
    async fn data(&mut self, step: &Step<'_>) -> Result<Option<Candidate>, Error> {
        let purge = self.options.data == Data::Purge;
        self.stage(step, purge, |it| it.kind != "Namespace").await?;
        let namespaces = self.namespaces(purge).await?;
        let (home, others): (Vec<Candidate>, Vec<Candidate>) = namespaces
            .into_iter()
            .partition(|it| it.reference.name == self.stack.namespace());
        let gone = remove(&self.cluster, others, self.pace(), step);
        let removed = until_stopped(&self.options.stop, gone).await?;
        self.note(removed);
        self.lease.check()?;
        let kept = |it: &&Removed| matches!(it.outcome, Outcome::Kept { .. });
        let stays: Vec<ObjectRef> = self
            .removed
            .iter()
            .filter(kept)
            .map(|it| it.object.clone())
            .collect();
        let lives_here = |it: &ObjectRef| it.namespace.as_deref() == Some(self.stack.namespace());
        if let Some(home) = home.into_iter().next()
            && !stays.iter().any(lives_here)
        {
            return Ok(Some(home));
        }
        let rest = Inventory::default().union(&stays);
        if rest.is_empty() {
            let map = inventory::reference(&self.stack);
            self.cluster.delete(&map, &Deletion::default()).await?;
        } else if rest != self.inventory {
            rest.write(&self.cluster, &self.stack).await?;
        }
        Ok(None)
    }

    /// Gives the lock back and leaves the rest as it is.
    pub async fn abort(self) -> Result<(), Error> {
        self.lease.release().await
    }

    fn pace(&self) -> Pace {
        pace(&self.options)
    }

    /// Removes what a stage is about, as far as it may go.
    async fn stage(
        &mut self,
        step: &Step<'_>,
        purge: bool,
        about: impl Fn(&ObjectRef) -> bool,
    ) -> Result<(), Error> {
        self.lease.check()?;
        let open: Vec<ObjectRef> = self
            .inventory
            .objects()
            .filter(|it| about(it) && !self.is_settled(it))
            .cloned()
            .collect();
        let live = fetched(&self.cluster, open.clone()).await?;
        let mut chosen = Vec::new();
        for reference in &open {
            match select(reference, live.get(reference), &self.stack, purge) {
                Ok(candidate) => chosen.push(candidate),
                Err(stays) => self.note(vec![*stays]),
            }
        }
        let gone = remove(&self.cluster, chosen, self.pace(), step);
        let removed = until_stopped(&self.options.stop, gone).await?;
        self.note(removed);
        Ok(())
    }

    /// Whether nothing is left to do about an object. What was kept in one stage may go in the last.
    fn is_settled(&self, object: &ObjectRef) -> bool {
        self.removed
            .iter()
            .any(|it| it.object == *object && !matches!(it.outcome, Outcome::Kept { .. }))
    }

    fn note(&mut self, removed: Vec<Removed>) {
        for it in removed {
            self.removed.retain(|known| known.object != it.object);
            self.removed.push(it);
        }
    }

    async fn namespaces(&mut self, purge: bool) -> Result<Vec<Candidate>, Error> {
        let all: Vec<ObjectRef> = self
            .inventory
            .objects()
            .filter(|it| it.kind == "Namespace")
            .cloned()
            .collect();
        let live = fetched(&self.cluster, all.clone()).await?;
        let mut chosen = Vec::new();
        for reference in &all {
            match select(reference, live.get(reference), &self.stack, purge) {
                Ok(candidate) => chosen.push(candidate),
                Err(stays) => self.note(vec![*stays]),
            }
        }
        Ok(chosen)
    }

    /// To be called before a release is removed: what its `StatefulSets` claimed enters the inventory, so that a purge
    /// finds it, now or later.
    pub async fn claims_of_release(&mut self, namespace: &str, release: &str) -> Result<(), Error> {
        let made = workloads_of_release(&self.cluster, namespace, release).await?;
        let sets = made.into_iter().filter(|it| it.kind == "StatefulSet");
        self.claim_claims(sets.collect()).await
    }

    /// Claims that our `StatefulSets` made are ours: they get our label and enter the inventory before their makers go.
    async fn claim_claims(&mut self, sets: Vec<ObjectRef>) -> Result<(), Error> {
        let live: Live = fetched(&self.cluster, sets).await?;
        let mut found = Vec::new();
        for (set, object) in &live {
            let namespace = set.namespace.as_deref();
            let claims = self
                .cluster
                .list("v1", "PersistentVolumeClaim", namespace, None)
                .await?;
            for claim in claims.iter().filter(|it| made_by(object, it)) {
                let reference = ObjectRef::of(claim)?;
                if label(claim, STACK_LABEL).is_none() {
                    let body = json!({"metadata": {"labels": {STACK_LABEL: self.stack.name()}}});
                    self.cluster.merge(&reference, &body).await?;
                }
                found.push(reference);
            }
        }
        let more = self.inventory.union(&found);
        if more != self.inventory {
            more.write(&self.cluster, &self.stack).await?;
            self.inventory = more;
        }
        Ok(())
    }
}

/// Whether a `StatefulSet` made a claim: by its name, and by the labels that its controller puts on claims.
fn made_by(set: &Json, claim: &Json) -> bool {
    let name = text(claim, "/metadata/name");
    let by_name = items(set, "/spec/volumeClaimTemplates").iter().any(|it| {
        let prefix = format!(
            "{}-{}-",
            text(it, "/metadata/name"),
            text(set, "/metadata/name")
        );
        name.strip_prefix(&prefix)
            .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()))
    });
    let wanted = set
        .pointer("/spec/selector/matchLabels")
        .and_then(Json::as_object);
    let by_label = wanted.is_some_and(|wanted| {
        wanted
            .iter()
            .all(|(key, value)| label(claim, key) == value.as_str())
    });
    by_name && by_label
}

fn phase_of(object: &ObjectRef) -> Phase {
    phase(object.group(), &object.kind)
}

fn pace(options: &DownOptions) -> Pace {
    Pace {
        patience: options.patience,
        orphaned: options.orphaned,
        held: None,
        release_finalizers: options.release_finalizers,
    }
}

fn sorted(mut all: Vec<Removed>) -> Vec<Removed> {
    all.sort_by(|a, b| a.object.cmp(&b.object));
    all
}

/// Waits until those workloads of a release that are being deleted are gone. Helm does not: it says that a release is
/// uninstalled while its pods still end, and applies the next one onto objects that are about to vanish.
pub async fn release_settled(
    cluster: &Cluster,
    namespace: &str,
    release: &str,
    within: Duration,
    step: &Step<'_>,
) -> Result<(), Error> {
    let objects = workloads_of_release(cluster, namespace, release).await?;
    for (object, live) in fetched(cluster, objects).await? {
        if text(&live, "/metadata/deletionTimestamp").is_empty() {
            continue;
        }
        step.waiting(format!("{object} to go"));
        let pace = Pace {
            patience: within,
            orphaned: within,
            held: Some(HELD),
            release_finalizers: false,
        };
        let waiter = Waiter {
            cluster,
            object: &object,
            uid: text(&live, "/metadata/uid"),
            pace,
        };
        wait_gone(&waiter).await?;
    }
    Ok(())
}

async fn gone(
    cluster: &Cluster,
    object: &ObjectRef,
    uid: &str,
    options: &DownOptions,
) -> Result<(), Error> {
    let waiter = Waiter {
        cluster,
        object,
        uid,
        pace: pace(options),
    };
    wait_gone(&waiter).await.map(drop)
}

/// The whole of it in one call. `None` where nothing was there.
pub async fn down(
    cluster: &Cluster,
    stack: &Stack,
    options: DownOptions,
    step: &Step<'_>,
) -> Result<Option<Vec<Removed>>, Error> {
    let Some(mut teardown) = Teardown::begin(cluster, stack, options).await? else {
        return Ok(None);
    };
    let staged = async {
        teardown.scalers(step).await?;
        teardown.objects(step).await
    };
    if let Err(error) = staged.await {
        teardown.abort().await.ok();
        return Err(error);
    }
    teardown.finish(step).await.map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_belongs_to_the_set_that_made_it() {
        let set = json!({"metadata": {"name": "redis"}, "spec": {"selector": {"matchLabels": {"app": "redis"}},
            "volumeClaimTemplates": [{"metadata": {"name": "data"}}]}});
        let claim = |name: &str, app: &str| json!({"metadata": {"name": name, "labels": {"app": app, "x": "y"}}});
        assert!(made_by(&set, &claim("data-redis-0", "redis")));
        for (name, app) in [
            ("data-redis-0", "other"),
            ("data-redis-a", "redis"),
            ("data-redis-", "redis"),
            ("logs-redis-0", "redis"),
        ] {
            assert!(!made_by(&set, &claim(name, app)), "{name} {app}");
        }
    }
}
