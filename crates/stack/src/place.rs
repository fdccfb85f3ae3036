//! The cluster that a stack runs on: found or made, recognised by its identity, and let in.
//! Must not write to a cluster that was not let in, and must not take a kubeconfig's current context.

use std::path::{Path, PathBuf};
use std::time::Duration;

use kedactl_cluster::{
    Action, Admission, Cluster, Diff, Guard, ObjectDiff, ObjectRef, ReadyOptions, Target, Timeouts,
    ready,
};
use kedactl_config::{Config, Provider};
use kedactl_plan::Step;
use kedactl_tools::CancellationToken;
use kedactl_tools::kind::{Ensured, Kind, Seen, Spec};
use serde_json::Value as Json;
use tokio::time::{Instant, sleep};

use crate::job::until_stopped;
use crate::up::Job;
use crate::{Home, Record, StackError};

/// Label of the first node of a kind cluster that was made here.
const CONFIG_LABEL: &str = "kedactl.io/config";
/// How long a cluster that was just made may take to come to life.
const ALIVE_WITHIN: Duration = Duration::from_mins(5);

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
    if config.provider == Provider::Kind {
        return Ok(of_kind(home, config, before));
    }
    let known = before.as_ref();
    let kubeconfig = way.kubeconfig.clone();
    let kubeconfig = kubeconfig.or_else(|| known.map(|it| it.kubeconfig.clone()));
    let kubeconfig = kubeconfig.or_else(|| default_kubeconfig.map(Path::to_owned));
    let context = way.context.clone();
    let context = context.or_else(|| known.map(|it| it.context.clone()));
    let (Some(kubeconfig), Some(context)) = (kubeconfig, context) else {
        return Err(StackError::Config {
            problem: "no cluster is named: the current context of a kubeconfig is never taken"
                .to_owned(),
            cure: "pass --context NAME (and --kubeconfig FILE), see `kubectl config get-contexts`"
                .to_owned(),
        });
    };
    let kubeconfig =
        std::path::absolute(&kubeconfig).map_err(StackError::file("find", &kubeconfig))?;
    let mut record = Record::new(config.provider, kubeconfig, context, config.clone());
    if let Some(before) = before {
        record.cluster = before.cluster;
        record.last_run = before.last_run;
    }
    Ok(record)
}

fn of_kind(home: &Home, config: &Config, before: Option<Record>) -> Record {
    let name = cluster_name(home, config);
    let kubeconfig = home.kind().join(format!("{name}.kubeconfig"));
    let mut record = Record::new(
        Provider::Kind,
        kubeconfig,
        Kind::context(&name),
        config.clone(),
    );
    if let Some(before) = before.filter(|it| it.kind.as_ref() == Some(&name)) {
        record.cluster = before.cluster;
        record.last_run = before.last_run;
    }
    record.kind = Some(name);
    record
}

/// Name of the kind cluster of a stack.
pub(crate) fn cluster_name(home: &Home, config: &Config) -> String {
    let named = config.kind.cluster.clone();
    named.unwrap_or_else(|| home.stack().to_owned())
}

/// Connects, makes a kind cluster where that is the provider, lets the cluster in, and binds the stack to it.
pub(crate) async fn enter(
    home: &Home,
    mut record: Record,
    allow: Option<String>,
    step: &Step<'_>,
    stop: &CancellationToken,
) -> Result<Place, StackError> {
    let created_now = match record.kind.clone() {
        Some(name) => {
            // From here on `down` knows that there may be something.
            record.bind(home)?;
            kind(home, &record.config, &name, step, stop).await?
        }
        None => false,
    };
    let target = Target::new(&record.kubeconfig, &record.context);
    let cluster = if created_now {
        alive(&target, &record.context, step, stop).await?
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

/// Makes or adopts the kind cluster; whether it is ours by being made here.
async fn kind(
    home: &Home,
    config: &Config,
    name: &str,
    step: &Step<'_>,
    stop: &CancellationToken,
) -> Result<bool, StackError> {
    let driver = driver(home, config)?;
    let spec = Spec {
        name: name.to_owned(),
        config: Json::Object(config.kind.config.clone()),
        image: config.kind.image.clone(),
        logs: home.logs(),
    };
    let made_here = Kind::made_here(&home.kind(), name);
    let ensured = driver.ensure(&spec, ask, step, stop).await?;
    Ok(ensured == Ensured::Created || made_here)
}

pub(crate) fn driver(home: &Home, config: &Config) -> Result<Kind, StackError> {
    let program = config.kind.program.as_ref().map(PathBuf::from);
    Ok(Kind::open(program.as_deref(), &home.kind())?)
}

/// Asks the API server behind a kubeconfig of ours whether it answers, and what its first node was made from.
async fn ask(kubeconfig: &Path) -> Seen {
    let context = kubeconfig.file_stem().unwrap_or_default();
    let context = Kind::context(&context.to_string_lossy());
    let mut target = Target::new(kubeconfig, context);
    target.timeouts = Timeouts {
        patience: Duration::ZERO,
        ..target.timeouts
    };
    let Ok(cluster) = Cluster::connect(&target).await else {
        return Seen::Silent;
    };
    match cluster.list("v1", "Node", None, None).await {
        Ok(nodes) => Seen::Answers {
            config: nodes.iter().find_map(|node| {
                let label = &node["metadata"]["labels"][CONFIG_LABEL];
                label.as_str().map(str::to_owned)
            }),
        },
        Err(_) => Seen::Silent,
    }
}

/// Waits until a cluster that was just made can run pods: kind's own waiting ends well when its time is up.
async fn alive(
    target: &Target,
    name: &str,
    step: &Step<'_>,
    stop: &CancellationToken,
) -> Result<Cluster, StackError> {
    let start = Instant::now();
    let mut said = String::new();
    loop {
        let missing = match Cluster::connect(target).await {
            Ok(cluster) => match missing(&cluster).await {
                Ok(None) => {
                    let dns =
                        ObjectRef::new("apps/v1", "Deployment", Some("kube-system"), "coredns");
                    let rest = ALIVE_WITHIN.saturating_sub(start.elapsed());
                    ready(&cluster, &[dns], &ReadyOptions::within(rest), step).await?;
                    return Ok(cluster);
                }
                Ok(Some(missing)) => missing,
                Err(error) => error.to_string(),
            },
            Err(error) => error.to_string(),
        };
        if start.elapsed() > ALIVE_WITHIN {
            return Err(StackError::ClusterNotReady {
                name: name.to_owned(),
                missing,
                waited_s: start.elapsed().as_secs(),
            });
        }
        if missing != said {
            step.waiting(missing.clone());
            said = missing;
        }
        tokio::select! {
            () = stop.cancelled() => return Err(StackError::Stopped),
            () = sleep(Duration::from_millis(500)) => {}
        }
    }
}

/// What a young cluster lacks before pods can be scheduled, in words.
async fn missing(cluster: &Cluster) -> Result<Option<String>, StackError> {
    let account = ObjectRef::new("v1", "ServiceAccount", Some("default"), "default");
    let (nodes, account, classes) = tokio::try_join!(
        cluster.list("v1", "Node", None, None),
        cluster.get(&account),
        cluster.list("storage.k8s.io/v1", "StorageClass", None, None),
    )?;
    let ready = |node: &&Json| {
        let conditions = node["status"]["conditions"].as_array();
        conditions
            .into_iter()
            .flatten()
            .any(|it| it["type"] == "Ready" && it["status"] == "True")
    };
    let unready = nodes.iter().find(|node| !ready(node));
    Ok(if nodes.is_empty() {
        Some("a node".to_owned())
    } else if let Some(node) = unready {
        let name = node["metadata"]["name"].as_str().unwrap_or_default();
        Some(format!("node {name} to be ready"))
    } else if account.is_none() {
        Some("the service account default".to_owned())
    } else if classes.is_empty() {
        Some("a StorageClass".to_owned())
    } else {
        None
    })
}

/// Connects for a look, with nothing made or written; `None` where the cluster would be made first.
pub(crate) async fn visit(
    job: &Job<'_>,
    config: &Config,
    stop: &CancellationToken,
) -> Result<Option<Place>, StackError> {
    let record = job.record.clone();
    if let Some(name) = &record.kind {
        let driver = driver(&job.request.home, config)?;
        if !driver.clusters(stop).await?.contains(name) {
            return Ok(None);
        }
        driver.write_kubeconfig(name, stop).await?;
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
