//! The releases of a stack: which are wanted, which the cluster has already, in which order.
//! Must not touch a release that another stack or another tool made.

use std::path::PathBuf;
use std::time::Duration;

use kedactl_cluster::{
    Adopt, Cluster, Error as ClusterError, MANAGED_BY, MANAGER, ObjectRef, STACK_LABEL, Stack,
    stored_release,
};
use kedactl_config::Config;
use kedactl_images::Credentials;
use kedactl_render::{Templates, release_values};
use kedactl_tools::helm::{self, Helm};
use kedactl_tools::{CancellationToken, Detect, Mask, Release, ReleaseName};
use serde::Serialize;
use serde_json::{Map, Value as Json, json};

use crate::{Home, Record, StackError};

/// How long one try to fetch a chart may take.
pub(crate) const FETCH_WITHIN: Duration = Duration::from_mins(3);

/// A release with everything that its values are made of.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Declared {
    pub(crate) name: ReleaseName,
    pub(crate) release: Release,
    /// What its template makes of the configuration.
    below: Map<String, Json>,
}

/// Every wanted release with its values, in the order of their names.
pub(crate) fn declared(
    config: &Config,
    templates: &Templates,
) -> Result<Vec<Declared>, StackError> {
    let wanted = config.releases.iter();
    let wanted = wanted.filter_map(|(name, release)| Some((name, release.as_ref()?)));
    let mut all = Vec::new();
    for (name, release) in wanted {
        all.push(Declared {
            name: name.clone(),
            below: release_values(config, templates, name, release)?,
            release: release.clone(),
        });
    }
    Ok(all)
}

/// The release's namespace; configuration fills it in for every release.
pub(crate) fn namespace<'a>(release: &'a Release, config: &'a Config) -> &'a str {
    release.namespace.as_deref().unwrap_or(&config.namespace)
}

/// Where every release stands, and the namespaces that are made for them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Survey {
    /// By the release's name.
    pub(crate) standings: Vec<(ReleaseName, Standing)>,
    /// Namespaces as objects of the stack, so that they go with it.
    pub(crate) namespaces: Vec<Json>,
}

impl Survey {
    /// Whether this stack makes the release.
    pub(crate) fn is_ours(&self, name: &ReleaseName) -> bool {
        let mut known = self.standings.iter();
        known.any(|(known, standing)| known == name && *standing == Standing::Ours)
    }
}

/// Looks where every release would go, before anything is written.
pub(crate) async fn survey(
    cluster: &Cluster,
    stack: &Stack,
    config: &Config,
    declared: &[Declared],
    adopt: Adopt,
) -> Result<Survey, StackError> {
    let mut survey = Survey::default();
    for it in declared {
        let namespace = namespace(&it.release, config);
        let standing = standing(cluster, stack, namespace, it, adopt).await?;
        if standing == Standing::Ours
            && it.release.create_namespace
            && ours_to_make(cluster, stack, namespace).await?
        {
            let made = made(stack, namespace);
            if !survey.namespaces.contains(&made) {
                survey.namespaces.push(made);
            }
        }
        survey.standings.push((it.name.clone(), standing));
    }
    Ok(survey)
}

/// A namespace that is missing, or that this stack made before.
async fn ours_to_make(
    cluster: &Cluster,
    stack: &Stack,
    namespace: &str,
) -> Result<bool, StackError> {
    let reference = ObjectRef::new("v1", "Namespace", None, namespace);
    let live = cluster.get(&reference).await?;
    Ok(live.is_none_or(|live| live["metadata"]["labels"][STACK_LABEL] == stack.name()))
}

fn made(stack: &Stack, namespace: &str) -> Json {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace,
        "labels": {MANAGED_BY: MANAGER, STACK_LABEL: stack.name()}}})
}

/// What stands on the cluster in the place of a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Nothing, or what this stack made.
    Ours,
    /// The cluster has it by other means; the objects that say so.
    LeftAlone(Vec<ObjectRef>),
}

/// Looks where a release would go. A release of that name that somebody else made is an error, unless everything is adopted.
pub(crate) async fn standing(
    cluster: &Cluster,
    stack: &Stack,
    namespace: &str,
    declared: &Declared,
    adopt: Adopt,
) -> Result<Standing, StackError> {
    let name = declared.name.as_str();
    let stored = stored_release(cluster, namespace, name).await?;
    if stored
        .as_ref()
        .is_some_and(|it| it.stack.as_deref() == Some(stack.name()))
    {
        return Ok(Standing::Ours);
    }
    let mut found = Vec::new();
    for detect in &declared.release.detect {
        let object = reference(detect);
        if cluster.get(&object).await?.is_some() {
            found.push(object);
        }
    }
    if !found.is_empty() {
        return Ok(Standing::LeftAlone(found));
    }
    let Some(foreign) = stored.filter(|_| adopt != Adopt::All) else {
        return Ok(Standing::Ours);
    };
    let owner = foreign.stack.map_or_else(
        || "another user of helm".to_owned(),
        |it| format!("stack {it}"),
    );
    Err(ClusterError::Foreign {
        object: Box::new(ObjectRef::new(
            "helm.sh/v3",
            "Release",
            Some(namespace),
            name,
        )),
        owner,
        adoptable: false,
    }
    .into())
}

fn reference(detect: &Detect) -> ObjectRef {
    ObjectRef::new(
        &detect.api_version,
        &detect.kind,
        detect.namespace.as_deref(),
        &detect.name,
    )
}

/// The objects of a rendered release whose readiness means something; hooks come and go by themselves.
pub(crate) fn workloads(rendered: &[Json], namespace: &str) -> Vec<ObjectRef> {
    const KINDS: [&str; 5] = [
        "Deployment",
        "StatefulSet",
        "DaemonSet",
        "APIService",
        "Service",
    ];
    let lasting = rendered
        .iter()
        .filter(|it| it["metadata"]["annotations"]["helm.sh/hook"].is_null());
    let mut all = Vec::new();
    for mut object in lasting.filter_map(|it| ObjectRef::of(it).ok()) {
        if !KINDS.contains(&object.kind.as_str()) {
            continue;
        }
        if object.kind != "APIService" && object.namespace.is_none() {
            object.namespace = Some(namespace.to_owned());
        }
        all.push(object);
    }
    all
}

/// How helm is driven for a stack, as far as no cluster is needed.
pub(crate) fn settings(home: &Home, config: &Config, credentials: &Credentials) -> helm::Settings {
    let logins = match credentials {
        Credentials::DockerConfig(file) => Some(file.clone()),
        Credentials::Anonymous | Credentials::Given { .. } => None,
    };
    helm::Settings {
        program: config.helm.program.as_ref().map(PathBuf::from),
        state: home.helm(),
        stack: home.stack().to_owned(),
        run: std::process::id().to_string(),
        cluster: None,
        kube_version: None,
        api_versions: Vec::new(),
        registry_config: logins.filter(|file| file.is_file()),
        vendored: config.helm.vendored.clone(),
        fetch_within: FETCH_WITHIN,
        mask: Mask::default(),
    }
}

/// Version of a cluster's API server, as charts ask for it.
pub(crate) fn kube_version(cluster: &Cluster) -> Option<String> {
    let version = cluster.version().trim_start_matches('v').to_owned();
    Some(version).filter(|version| !version.is_empty())
}

/// Opens helm for a stack, and for the releases whose values have a template.
pub(crate) async fn open(
    home: &Home,
    record: &Record,
    cluster: &Cluster,
    credentials: &Credentials,
    declared: &[Declared],
    stop: &CancellationToken,
) -> Result<Helm, StackError> {
    let settings = helm::Settings {
        cluster: Some(helm::Cluster {
            kubeconfig: record.kubeconfig.clone(),
            context: record.context.clone(),
        }),
        kube_version: kube_version(cluster),
        ..settings(home, &record.config, credentials)
    };
    Ok(with_values(Helm::open(settings, stop).await?, declared))
}

/// Gives releases the values of their templates.
pub(crate) fn with_values(mut helm: Helm, declared: &[Declared]) -> Helm {
    for it in declared {
        helm = helm.beneath(&it.name, it.below.clone());
    }
    helm
}

/// What `up` would do with a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReleaseLook {
    /// The release.
    pub name: ReleaseName,
    /// Its namespace.
    pub namespace: String,
    /// `install`, `upgrade`, `unchanged`, `left_alone`, `uninstall`.
    pub action: String,
    /// What it rests on: the chart, or what the cluster has already.
    pub detail: String,
}
