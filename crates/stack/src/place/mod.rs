//! The cluster that a stack runs on: found or made, recognised by its identity, and let in.
//! Must not write to a cluster that was not let in, and must not take a kubeconfig's current context.

mod fit;
pub(crate) mod kind;
pub(crate) mod minikube;
mod named;
mod own;
mod young;

pub(crate) use own::Own;

use std::path::{Path, PathBuf};

use kedactl_cluster::{Action, Admission, Cluster, Diff, Guard, ObjectDiff, ObjectRef, Target};
use kedactl_config::Config;
use kedactl_plan::Step;
use kedactl_tools::CancellationToken;
use serde_json::Value as Json;

use crate::job::until_stopped;
use crate::up::Job;
use crate::{Home, Record, StackError};

/// Which cluster is meant, as far as it was said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Way {
    /// The file; for provider `context`.
    pub kubeconfig: Option<PathBuf>,
    /// The context in it; for provider `context`.
    pub context: Option<String>,
    /// UID prefix by which the user lets a cluster in.
    pub allow: Option<String>,
}

/// A cluster that was let in.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) cluster: Cluster,
    pub(crate) record: Record,
    /// Made in this run.
    pub(crate) created: bool,
}

/// What the record and the command line say together; nothing is asked of a cluster yet.
pub(crate) fn record(
    home: &Home,
    config: &Config,
    way: &Way,
    default_kubeconfig: Option<&Path>,
) -> Result<Record, StackError> {
    let before = Record::read(home)?;
    if let Some(before) = &before
        && before.provider != config.provider
    {
        return Err(StackError::Elsewhere {
            stack: home.stack().to_owned(),
            there: before.provider.environment().to_owned(),
            here: config.provider.environment().to_owned(),
        });
    }
    if let Some(before) = &before
        && before.config.namespace != config.namespace
    {
        return Err(StackError::Elsewhere {
            stack: home.stack().to_owned(),
            there: format!("namespace {}", before.config.namespace),
            here: format!("namespace {}", config.namespace),
        });
    }
    match Own::of(config.provider, home, config) {
        Some(own) => Ok(own.record(home, config, before)),
        None => named::record(config, way, default_kubeconfig, before),
    }
}

/// Connects, makes a cluster where the provider does that, lets the cluster in, and binds the stack to it.
pub(crate) async fn enter(
    home: &Home,
    mut record: Record,
    allow: Option<String>,
    step: &Step<'_>,
    stop: &CancellationToken,
) -> Result<Place, StackError> {
    let own = record.own();
    let created_now = match &own {
        Some(own) => {
            // From here on `down` knows that there may be something.
            record.bind(home)?;
            own.ensure(home, &record.config, step, stop).await?
        }
        None => false,
    };
    let target = Target::new(&record.kubeconfig, &record.context);
    let cluster = if let Some(own) = own.filter(|_| created_now) {
        let alive = young::alive(&target, &own, &record.config, step, stop).await;
        let failed = alive.as_ref().is_err_and(|error| !error.is_stop());
        if let Some(name) = record.kind.as_ref().filter(|_| failed) {
            kind::keep_logs(home, &record.config, name, step).await;
        }
        alive?
    } else {
        let connect = async { Ok(Cluster::connect(&target).await?) };
        Box::pin(until_stopped(stop, connect)).await?
    };
    let guard = Guard {
        recorded: record.cluster.clone(),
        allowed: allow,
        created_now,
    };
    let admission = guard.check(&cluster)?;
    record.cluster = Some(cluster.uid().to_owned());
    record.bind(home)?;
    Ok(Place {
        cluster,
        record,
        created: admission == Admission::Created,
    })
}

/// Connects for a look, with nothing made or written; `None` where the cluster would be made first.
pub(crate) async fn visit(
    job: &Job<'_>,
    config: &Config,
    stop: &CancellationToken,
) -> Result<Option<Place>, StackError> {
    let record = job.record.clone();
    if let Some(own) = record.own() {
        let home = &job.request.home;
        if !own.is_there(home, config, stop).await? {
            return Ok(None);
        }
        own.write_kubeconfig(home, config, stop).await?;
    }
    let target = Target::new(&record.kubeconfig, &record.context);
    let cluster = Cluster::connect(&target).await?;
    let guard = Guard {
        recorded: record.cluster.clone(),
        allowed: job.request.way.allow.clone(),
        created_now: false,
    };
    guard.check(&cluster)?;
    Ok(Some(Place {
        cluster,
        record,
        created: false,
    }))
}

/// The diff for a cluster that is not there yet.
pub(crate) fn all_new(objects: &[Json]) -> Result<Diff, StackError> {
    let new = |object: &Json| {
        Ok(ObjectDiff {
            object: ObjectRef::of(object)?,
            action: Action::Create,
            fields: Vec::new(),
            warnings: Vec::new(),
            tried: false,
            resource_version: None,
            live_hash: None,
            hash: None,
        })
    };
    let objects = objects.iter().map(new).collect::<Result<_, StackError>>()?;
    Ok(Diff { objects })
}
