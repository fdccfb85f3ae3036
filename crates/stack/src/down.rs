//! `down`: everything goes in the order that cannot hang: scalers while KEDA lives, pods, releases, data.
//! Must not delete data without being told to purge, nor a KEDA that others use.

use std::time::Duration;

use kedactl_cluster::{
    Cluster, Data, DownOptions, Holder, Outcome as Gone, Removed, StoredRelease, Teardown,
    release_settled, stored_releases,
};
use kedactl_images::Credentials;
use kedactl_plan::{Control, Sink, Step};
use kedactl_tools::helm::{self, Helm, LeaseHeld};
use kedactl_tools::{CancellationToken, ReleaseName};
use serde::Serialize;
use tokio::time::Instant;

use crate::job::{told, until_stopped};
use crate::place::Own;
use crate::record::LastRun;
use crate::{Home, Record, StackError, releases, tunnel};

/// What shall go.
#[derive(Debug, Clone)]
pub struct DownRequest {
    /// Where the stack's files are.
    pub home: Home,
    /// Data goes too, and the cluster where it was made for the stack.
    pub purge: bool,
    /// Take KEDA's finalizers off our objects also while its operator runs.
    pub release_finalizers: bool,
    /// Who does it, as others are told who wait for the lock.
    pub who: String,
    /// How long an object may take to go.
    pub within: Duration,
}

/// What went and what stayed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct DownOutcome {
    /// Whether anything was there to go.
    pub changed: bool,
    /// Objects that went.
    pub removed: usize,
    /// Releases that went.
    pub releases: Vec<String>,
    /// What stays, and why.
    pub kept: Vec<String>,
    /// The cluster that was deleted.
    pub cluster_deleted: Option<String>,
}

/// Takes the stack down. A stack that is down already, or that was never up, is no error.
pub async fn down(
    request: &DownRequest,
    sink: &dyn Sink,
    control: &Control,
) -> Result<DownOutcome, StackError> {
    let start = Instant::now();
    let Some(record) = Record::read(&request.home)? else {
        return Ok(DownOutcome::default());
    };
    let mut outcome = DownOutcome::default();
    let work = async {
        match record.own() {
            Some(own) if request.purge && own.made_here(&request.home) => {
                end_tunnel(request, sink, &mut outcome).await?;
                delete_cluster(request, &record, &own, sink, &control.stop, &mut outcome).await
            }
            _ => dismantle(request, &record, sink, &control.stop, &mut outcome).await,
        }
    };
    let ended = tokio::select! {
        biased;
        () = control.abort.cancelled() => Err(StackError::Stopped),
        ended = Box::pin(work) => ended,
    };
    if let Err(error) = ended {
        return Err(if error.is_stop() || control.stop.is_cancelled() {
            StackError::Interrupted {
                sentence: "what was told to go still goes; run `kedactl down` again for the rest"
                    .to_owned(),
            }
        } else {
            error
        });
    }
    if request.purge {
        Record::remove(&request.home)?;
    } else {
        let mut record = record;
        let took = start.elapsed().as_millis() as u64;
        record.last_run = Some(LastRun::now(
            "down",
            Some(took),
            "down, data kept".to_owned(),
        ));
        record.write(&request.home)?;
    }
    Ok(outcome)
}

async fn end_tunnel(
    request: &DownRequest,
    sink: &dyn Sink,
    outcome: &mut DownOutcome,
) -> Result<(), StackError> {
    let step = Step::start(sink, "tunnel", "tunnel");
    outcome.changed |= told(step, tunnel::end(&request.home).await, |ended| {
        (if *ended { "ended" } else { "none" }.to_owned(), *ended)
    })?;
    Ok(())
}

/// A cluster that was made for the stack goes as a whole, with everything in it.
async fn delete_cluster(
    request: &DownRequest,
    record: &Record,
    own: &Own,
    sink: &dyn Sink,
    stop: &CancellationToken,
    outcome: &mut DownOutcome,
) -> Result<(), StackError> {
    let step = Step::start(sink, "cluster", "cluster");
    let deleted = own.delete(&request.home, &record.config, stop).await;
    let deleted = told(step, deleted, |deleted| {
        let note = if *deleted { "deleted" } else { "was not there" };
        (note.to_owned(), *deleted)
    })?;
    outcome.changed |= deleted;
    outcome.cluster_deleted = deleted.then(|| own.name().to_owned());
    Ok(())
}

fn options(request: &DownRequest, stop: &CancellationToken) -> DownOptions {
    let mut options = DownOptions::new(Holder::own(&request.who));
    options.data = if request.purge {
        Data::Purge
    } else {
        Data::Keep
    };
    options.patience = request.within;
    options.release_finalizers = request.release_finalizers;
    options.stop = stop.clone();
    options
}

/// Takes the stack's objects and releases off a cluster that stays.
async fn dismantle(
    request: &DownRequest,
    record: &Record,
    sink: &dyn Sink,
    stop: &CancellationToken,
    outcome: &mut DownOutcome,
) -> Result<(), StackError> {
    if let Some(own) = record.own() {
        if !own.is_there(&request.home, &record.config, stop).await? {
            outcome
                .kept
                .push(format!("cluster {} is gone already", own.name()));
            return end_tunnel(request, sink, outcome).await;
        }
        own.refresh(&request.home, &record.config, stop).await?;
    }
    if record.cluster.is_none() {
        // It was never entered: nothing can be there.
        return end_tunnel(request, sink, outcome).await;
    }
    let cluster = until_stopped(stop, record.connect()).await?;
    let stack = record.stack(&request.home)?;
    let options = options(request, stop);
    let Some(mut teardown) = Teardown::begin(&cluster, &stack, options).await? else {
        let stored = stored_releases(&cluster, &stack).await?;
        outcome.kept.extend(stored.iter().map(|it| {
            format!(
                "release {} has the stack's label, but the stack has no inventory",
                it.name
            )
        }));
        return end_tunnel(request, sink, outcome).await;
    };
    let staged = async {
        end_tunnel(request, sink, outcome).await?;
        // A helm that a killed run left might still bring a release.
        let (state, lease) = (request.home.helm(), LeaseHeld::by(&request.who));
        until_stopped(stop, async { Ok(helm::clear(&state, &lease).await?) }).await?;
        let stored = stored_releases(&cluster, &stack).await?;
        stages(
            request,
            record,
            &cluster,
            &mut teardown,
            &stored,
            sink,
            stop,
        )
        .await
    };
    let gone = match Box::pin(staged).await {
        Ok(gone) => gone,
        Err(error) => {
            if let Err(unlock) = teardown.abort().await {
                tracing::warn!(error = %unlock, "the lock could not be given back; it runs out by itself");
            }
            return Err(error);
        }
    };
    let end = Step::start(
        sink,
        "data",
        if request.purge { "data" } else { "inventory" },
    );
    let removed = teardown.finish(&end).await.map_err(StackError::from);
    let count = |removed: &Vec<Removed>| removed.iter().filter(|it| it.is_gone()).count();
    let removed = told(end, removed, |removed| {
        (
            format!("{} objects in all", count(removed)),
            count(removed) > 0,
        )
    })?;
    let went = count(&removed);
    outcome.changed |= went > 0 || !gone.is_empty();
    outcome.removed = went;
    outcome.releases = gone;
    outcome.kept.extend(removed.iter().filter_map(kept));
    Ok(())
}

fn kept(removed: &Removed) -> Option<String> {
    match &removed.outcome {
        Gone::Kept { reason } => Some(format!("{}: {reason}", removed.object)),
        _ => None,
    }
}

/// Scalers, everything else, releases; the names of the releases that went.
async fn stages(
    request: &DownRequest,
    record: &Record,
    cluster: &Cluster,
    teardown: &mut Teardown,
    stored: &[StoredRelease],
    sink: &dyn Sink,
    stop: &CancellationToken,
) -> Result<Vec<String>, StackError> {
    let step = Step::start(sink, "scalers", "autoscalers");
    let gone = teardown.scalers(&step).await.map_err(StackError::from);
    told(step, gone, |()| ("gone".to_owned(), true))?;
    go_on(stop)?;
    let step = Step::start(sink, "objects", "application");
    let gone = teardown.objects(&step).await.map_err(StackError::from);
    told(step, gone, |()| ("gone".to_owned(), true))?;
    if stored.is_empty() {
        return Ok(Vec::new());
    }
    // What goes needs no chart, so no login either.
    let nobody = Credentials::Anonymous;
    let helm = releases::open(&request.home, record, cluster, &nobody, &[], stop).await?;
    let mut gone = Vec::new();
    for release in in_order(record, stored) {
        go_on(stop)?;
        let id = format!("release/{}", release.name);
        let step = Step::start(sink, id, format!("release {}", release.name));
        let went = uninstall(&helm, request, cluster, teardown, release, &step, stop).await;
        if told(step, went, |went| {
            let note = if *went { "gone" } else { "others use it" };
            (note.to_owned(), *went)
        })? {
            gone.push(release.name.clone());
        }
    }
    Ok(gone)
}

fn go_on(stop: &CancellationToken) -> Result<(), StackError> {
    if stop.is_cancelled() {
        return Err(StackError::Stopped);
    }
    Ok(())
}

/// Dependents before what they depend on, KEDA last: it must live until nothing of it is left.
fn in_order<'s>(record: &Record, stored: &'s [StoredRelease]) -> Vec<&'s StoredRelease> {
    let depth = |name: &str| depth(record, name, 0);
    let mut order: Vec<&StoredRelease> = stored.iter().collect();
    order.sort_by_key(|it| {
        (
            it.name == "keda",
            std::cmp::Reverse(depth(&it.name)),
            it.name.clone(),
        )
    });
    order
}

fn depth(record: &Record, name: &str, so_far: usize) -> usize {
    let mut releases = record.config.releases.iter();
    let found = releases.find(|(known, _)| known.as_str() == name);
    let Some((_, Some(release))) = found else {
        return so_far;
    };
    let below = release.depends_on.iter();
    let below = below.map(|it| depth(record, it.as_str(), so_far + 1));
    below.max().unwrap_or(so_far)
}

/// Takes one release off the cluster; `false` where it stays because others need it.
async fn uninstall(
    helm: &Helm,
    request: &DownRequest,
    cluster: &Cluster,
    teardown: &mut Teardown,
    release: &StoredRelease,
    step: &Step<'_>,
    stop: &CancellationToken,
) -> Result<bool, StackError> {
    let name = ReleaseName::new(release.name.clone())?;
    teardown
        .claims_of_release(&release.namespace, &release.name)
        .await?;
    if release.name == "keda" {
        let users = kedactl_cluster::scalers_everywhere(cluster).await?;
        if !users.is_empty() {
            step.progress(0, None, format!("KEDA stays: {} still use it", users.len()));
            return Ok(false);
        }
    }
    let lease = LeaseHeld::by(&request.who);
    helm.repair(&name, &release.namespace, Some(&lease), step, stop)
        .await?;
    helm.uninstall(&name, &release.namespace, stop).await?;
    let (namespace, within) = (&release.namespace, request.within);
    let settled = release_settled(cluster, namespace, &release.name, within, step);
    // Waiting for objects to go makes a large future.
    Box::pin(until_stopped(stop, async { Ok(settled.await?) })).await?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependents_go_before_what_they_need_and_keda_last() {
        let nothing = |_: &std::path::Path, _: u64| Err(std::io::ErrorKind::NotFound.into());
        let mut config = kedactl_config::load(&kedactl_config::Request::default(), &nothing)
            .unwrap()
            .config;
        let name = |name: &str| ReleaseName::new(name).unwrap();
        let mut release = config.releases[&name("keda")].clone().unwrap();
        // Whoever needs KEDA is only one of those that must be gone before it.
        release.depends_on = vec![name("redis")];
        config.releases.insert(name("app"), Some(release.clone()));
        release.depends_on = vec![name("app")];
        config.releases.insert(name("zoo"), Some(release));
        let record = Record::new(config.provider, "k".into(), "c".to_owned(), config);
        let stored = ["app", "keda", "redis", "unknown", "zoo"].map(|name| StoredRelease {
            name: name.to_owned(),
            namespace: "n".to_owned(),
            revision: 1,
            status: "deployed".to_owned(),
            stack: None,
        });
        let order: Vec<&str> = in_order(&record, &stored)
            .iter()
            .map(|it| it.name.as_str())
            .collect();
        assert_eq!(order, ["zoo", "app", "redis", "unknown", "keda"]);
    }
}
