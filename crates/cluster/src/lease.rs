//! The lock of a stack: a Lease that one run holds and renews.
//! Must not take a lock from a run that may still be alive.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use kedactl_exec::{CancellationToken, ProcId};
use serde_json::{Value as Json, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use crate::api::Deletion;
use crate::connect::Cluster;
use crate::error::Error;
use crate::names::{MANAGED_BY, MANAGER, STACK_LABEL, Stack};
use crate::object::{ObjectRef, number, resource_version, text};
use crate::stop::until_stopped;

/// How long a lock lives without being renewed.
const LIFE: Duration = Duration::from_secs(15);
/// How often it is renewed.
const BEAT: Duration = Duration::from_secs(4);

/// Who holds a lock: told to people, and precise enough to see that a holder on this machine is dead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// `alice@laptop`.
    pub who: String,
    /// Identity of the machine's current boot, so that pids of another machine are never taken for ours.
    pub boot: String,
    /// The process.
    pub process: Option<ProcId>,
}

impl Holder {
    /// This process, under a name that people know.
    pub fn own(who: impl Into<String>) -> Self {
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        Self {
            who: who.into().replace('/', "_"),
            boot: boot.trim().to_owned(),
            process: ProcId::own(),
        }
    }

    fn parse(identity: &str) -> Option<Self> {
        let parts: Vec<&str> = identity.split('/').collect();
        let [who, boot, pid, start] = parts.as_slice() else {
            return None;
        };
        let process = ProcId {
            pid: pid.parse().ok()?,
            start_time: start.parse().ok()?,
        };
        Some(Self {
            who: (*who).to_owned(),
            boot: (*boot).to_owned(),
            process: Some(process),
        })
    }

    /// Whether it ran on this very boot of this machine and ended.
    fn is_dead_here(&self, own: &Self) -> bool {
        let here = !self.boot.is_empty() && self.boot == own.boot;
        here && self.process.is_some_and(|process| !process.alive())
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (pid, start) = self.process.map_or((0, 0), |it| (it.pid, it.start_time));
        write!(f, "{}/{}/{pid}/{start}", self.who, self.boot)
    }
}

/// What one look at a Lease means.
#[derive(Debug, PartialEq, Eq)]
enum View {
    Free,
    Held {
        by: String,
        renewed: i64,
        expires: i64,
    },
}

/// Reads a Lease. Times are microseconds since the epoch.
fn view(lease: &Json, own: &Holder, now: i64) -> View {
    let by = text(lease, "/spec/holderIdentity");
    let time = text(lease, "/spec/renewTime").parse::<Timestamp>();
    let (Ok(renewed), false) = (time, by.is_empty()) else {
        return View::Free;
    };
    let renewed = renewed.as_microsecond();
    let life = number(lease, "/spec/leaseDurationSeconds").unwrap_or(0) * 1_000_000;
    let dead = Holder::parse(by).is_some_and(|it| it.is_dead_here(own));
    if dead || by == own.to_string() || renewed + life <= now {
        return View::Free;
    }
    View::Held {
        by: by.to_owned(),
        renewed,
        expires: renewed + life,
    }
}

fn spec(own: &Holder, now: i64, transitions: i64) -> Json {
    let time = Timestamp::from_microsecond(now).unwrap_or_default();
    let time = format!("{time:.6}");
    json!({"holderIdentity": own.to_string(), "leaseDurationSeconds": LIFE.as_secs(),
        "acquireTime": time, "renewTime": time, "leaseTransitions": transitions})
}

/// A lock that is held. Dropped without [`Held::release`], it runs out by itself.
#[derive(Debug)]
pub struct Held {
    cluster: Cluster,
    reference: ObjectRef,
    stack: String,
    renewing: JoinHandle<()>,
    lost: watch::Receiver<Option<String>>,
    version: Arc<tokio::sync::Mutex<String>>,
}

impl Held {
    /// Takes the lock; waits for one whose holder does not renew it any more.
    /// The namespace must be there. Told to stop, it has no lock: one that was just taken is given back.
    pub async fn acquire(
        cluster: &Cluster,
        stack: &Stack,
        own: &Holder,
        stop: &CancellationToken,
    ) -> Result<Self, Error> {
        let name = stack.lease_name();
        let reference = ObjectRef::new(
            "coordination.k8s.io/v1",
            "Lease",
            Some(stack.namespace()),
            &name,
        );
        let mut first_seen: Option<i64> = None;
        loop {
            let live = until_stopped(stop, cluster.get(&reference)).await?;
            let now = cluster.now_us();
            let view = live.as_ref().map_or(View::Free, |it| view(it, own, now));
            match view {
                View::Free => {
                    if let Some(version) = take(cluster, stack, &reference, live, own).await? {
                        let held = Self::keep(cluster, stack, reference, own, version);
                        if stop.is_cancelled() {
                            held.release().await?;
                            return Err(Error::Stopped);
                        }
                        return Ok(held);
                    }
                }
                View::Held {
                    by,
                    renewed,
                    expires,
                } => {
                    // A live holder renews; who was seen renewing is not waited for.
                    let first = *first_seen.get_or_insert(renewed);
                    if renewed != first || now - renewed > LIFE.as_micros() as i64 {
                        return Err(locked(stack, &by, now - renewed));
                    }
                    let rest = Duration::from_micros((expires - now).max(0) as u64);
                    tokio::select! {
                        () = stop.cancelled() => return Err(Error::Stopped),
                        () = sleep(rest.min(Duration::from_millis(500))) => {}
                    }
                }
            }
        }
    }

    fn keep(
        cluster: &Cluster,
        stack: &Stack,
        reference: ObjectRef,
        own: &Holder,
        version: String,
    ) -> Self {
        let (tell, lost) = watch::channel(None);
        let version = Arc::new(tokio::sync::Mutex::new(version));
        let renewing = tokio::spawn(renew(
            cluster.clone(),
            reference.clone(),
            own.clone(),
            Arc::clone(&version),
            tell,
        ));
        Self {
            cluster: cluster.clone(),
            reference,
            stack: stack.name().to_owned(),
            renewing,
            lost,
            version,
        }
    }

    /// An error once the lock was lost; to be asked before every write of weight.
    pub fn check(&self) -> Result<(), Error> {
        match self.lost.borrow().as_ref() {
            None => Ok(()),
            Some(reason) => Err(Error::LeaseLost {
                stack: self.stack.clone(),
                reason: reason.clone(),
            }),
        }
    }

    /// Gives the lock back: the Lease is deleted, if it is still ours.
    pub async fn release(self) -> Result<(), Error> {
        // A renewal that is on its way holds the version: it ends first.
        let version = self.version.lock().await.clone();
        self.renewing.abort();
        let ours = Deletion {
            resource_version: Some(version),
            ..Deletion::default()
        };
        self.cluster.delete(&self.reference, &ours).await?;
        Ok(())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.renewing.abort();
    }
}

/// Creates or takes over; `None` where somebody was faster.
async fn take(
    cluster: &Cluster,
    stack: &Stack,
    reference: &ObjectRef,
    live: Option<Json>,
    own: &Holder,
) -> Result<Option<String>, Error> {
    let now = cluster.now_us();
    let outcome = match live {
        None => {
            let body = json!({"apiVersion": reference.api_version, "kind": reference.kind,
                "metadata": {"name": reference.name, "namespace": stack.namespace(),
                    "labels": {MANAGED_BY: MANAGER, STACK_LABEL: stack.name()}},
                "spec": spec(own, now, 0)});
            cluster.create(reference, &body).await
        }
        Some(mut lease) => {
            let transitions = number(&lease, "/spec/leaseTransitions").unwrap_or(0) + 1;
            lease["spec"] = spec(own, now, transitions);
            cluster.replace(reference, &lease).await
        }
    };
    match outcome {
        Ok(answer) => Ok(Some(resource_version(&answer.body).to_owned())),
        Err(Error::Api { source, .. }) if source.is_conflict() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Renews until it cannot: another holder, or no answer for as long as the lock lives.
async fn renew(
    cluster: Cluster,
    reference: ObjectRef,
    own: Holder,
    version: Arc<tokio::sync::Mutex<String>>,
    tell: watch::Sender<Option<String>>,
) {
    let mut good = Instant::now();
    loop {
        sleep(BEAT).await;
        let mut held = version.lock().await;
        match renew_once(&cluster, &reference, &own, &held).await {
            Ok(Some(next)) => {
                *held = next;
                good = Instant::now();
            }
            Ok(None) => {
                tell.send_replace(Some("another run took it".into()));
                return;
            }
            Err(error) if good.elapsed() > LIFE => {
                tell.send_replace(Some(error.to_string()));
                return;
            }
            Err(error) => tracing::debug!(%error, "the lock could not be renewed yet"),
        }
    }
}

async fn renew_once(
    cluster: &Cluster,
    reference: &ObjectRef,
    own: &Holder,
    version: &str,
) -> Result<Option<String>, Error> {
    let time = Timestamp::from_microsecond(cluster.now_us()).unwrap_or_default();
    let body = json!({"metadata": {"resourceVersion": version}, "spec": {"renewTime": format!("{time:.6}")}});
    match cluster.merge(reference, &body).await {
        Ok(answer) => Ok(Some(resource_version(&answer.body).to_owned())),
        Err(Error::Api { source, .. }) if source.is_conflict() || source.is_not_found() => {
            // An answer that was lost on its way looks the same: the Lease itself decides.
            let live = cluster.get(reference).await?;
            let live = live.filter(|it| text(it, "/spec/holderIdentity") == own.to_string());
            Ok(live.map(|it| resource_version(&it).to_owned()))
        }
        Err(error) => Err(error),
    }
}

fn locked(stack: &Stack, by: &str, age_us: i64) -> Error {
    let holder = Holder::parse(by).map_or_else(
        || by.to_owned(),
        |it| match it.process {
            Some(process) => format!("{} (process {})", it.who, process.pid),
            None => it.who,
        },
    );
    Error::Locked {
        stack: stack.name().to_owned(),
        holder,
        age: (age_us / 1_000_000).max(0),
    }
}

#[cfg(test)]
#[path = "lease_tests.rs"]
mod tests;
