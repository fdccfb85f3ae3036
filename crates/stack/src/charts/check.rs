//! The releases of a stack held against the rules of charts, as its cluster would get them.
//! Must not write to a cluster; one is asked only where the stack has one.

use kedactl_charts::{Around, Finding, Outcome, Owner, Release};
use kedactl_cluster::{Adopt, Cluster};
use kedactl_config::{Config, Provider};
use kedactl_plan::{Sink, Step};
use kedactl_tools::helm::Helm;
use kedactl_tools::{CancellationToken, ToolError};
use serde::Serialize;
use serde_json::Value as Json;

use super::ChartsRequest;
use crate::job::{plural, told};
use crate::releases::{self, Declared, Standing};
use crate::{Record, StackError};

/// What was found in charts and values.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ChartsChecked {
    /// Releases that were rendered.
    pub releases: usize,
    /// Releases that the cluster has by other means, and that are left alone.
    pub left_alone: Vec<String>,
    /// The version of Kubernetes for which they were; `None`: helm's own idea.
    pub kube_version: Option<String>,
    /// What was found.
    pub findings: Vec<Finding>,
}

/// Renders the releases and holds them against the rules; for the version that is given, else for the cluster of the stack,
/// else for the version that its namespaces are made for.
pub async fn check(
    request: &ChartsRequest,
    kube_version: Option<String>,
    sink: &dyn Sink,
    stop: &CancellationToken,
) -> Result<ChartsChecked, StackError> {
    let mut declared = request.declared()?;
    let mut around = Around {
        own_certificates: request.config.provider.makes_a_cluster(),
        kubeadm: request.config.provider.makes_a_cluster(),
        loaded_images: request.config.provider.makes_a_cluster(),
        nodes: declared_nodes(&request.config),
        memory: request
            .config
            .provider
            .makes_a_cluster()
            .then(machine_memory),
        redis_secret: Some((
            request.config.redis.secret.name.clone(),
            request.config.redis.secret.password_key.clone(),
        )),
        ..Around::default()
    };
    let mut version = kube_version;
    let mut left_alone = Vec::new();
    if let Some((record, cluster)) = cluster(request, sink).await? {
        seen(&cluster, &mut around).await?;
        version = version.or_else(|| releases::kube_version(&cluster));
        left_alone = leave(request, &record, &cluster, &mut declared).await?;
    }
    version = version.or_else(|| assumed(&request.config));
    around.kube_version = version.as_deref().and_then(numbers);
    let mut settings = releases::settings(&request.home, &request.config, &request.credentials);
    settings.kube_version.clone_from(&version);
    let helm = releases::with_values(Helm::open(settings, stop).await?, &declared);
    let mut all = Vec::new();
    for it in &declared {
        let step = Step::start(
            sink,
            format!("release/{}", it.name),
            format!("release {}", it.name),
        );
        let release = rendered(&helm, it, &request.config, stop).await;
        all.push(told(step, release, |_| ("rendered".to_owned(), false))?);
    }
    Ok(ChartsChecked {
        releases: all.len(),
        left_alone,
        kube_version: version,
        findings: kedactl_charts::check(&all, &around),
    })
}

/// Nodes on which pods may run, of a cluster that would be made: workers, or the one node that is everything.
fn declared_nodes(config: &Config) -> Option<usize> {
    if config.provider != Provider::Kind {
        return None;
    }
    let nodes = config.kind.config.get("nodes").and_then(Json::as_array);
    let workers = nodes
        .into_iter()
        .flatten()
        .filter(|it| it["role"] == "worker");
    Some(workers.count().max(1))
}

fn machine_memory() -> u64 {
    let info = rustix::system::sysinfo();
    #[expect(clippy::useless_conversion, reason = "it is narrower on 32 bits")]
    let total = u64::from(info.totalram);
    total.saturating_mul(info.mem_unit.into())
}

/// `v1.34` of the namespaces' labels, as charts ask for it.
fn assumed(config: &Config) -> Option<String> {
    let version = config.pod_security_version.strip_prefix('v')?;
    Some(format!("{version}.0"))
}

fn numbers(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.trim_start_matches('v').split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// The cluster of the stack, where it has one that answers.
async fn cluster(
    request: &ChartsRequest,
    sink: &dyn Sink,
) -> Result<Option<(Record, Cluster)>, StackError> {
    let Some(record) = Record::read(&request.home)?.filter(|it| it.cluster.is_some()) else {
        return Ok(None);
    };
    let step = Step::start(sink, "cluster", "cluster");
    match record.connect().await {
        Ok(cluster) => {
            step.done(format!("{} ({})", record.context, cluster.version()), false);
            Ok(Some((record, cluster)))
        }
        Err(error) => {
            step.done(
                format!("it does not answer, so it is not asked: {error}"),
                false,
            );
            Ok(None)
        }
    }
}

/// What the cluster says of itself.
async fn seen(cluster: &Cluster, around: &mut Around) -> Result<(), StackError> {
    let nodes = cluster.list("v1", "Node", None, None).await?;
    let free = |node: &&Json| {
        let taints = node["spec"]["taints"].as_array().into_iter().flatten();
        !taints
            .into_iter()
            .any(|it| it["effect"] == "NoSchedule" || it["effect"] == "NoExecute")
    };
    let nodes: Vec<&Json> = nodes.iter().filter(free).collect();
    around.nodes = Some(nodes.len());
    let memory = nodes.iter().filter_map(|it| {
        let text = it["status"]["allocatable"]["memory"].as_str()?;
        u64::try_from(kedactl_config::parse_milli(text)? / 1000).ok()
    });
    around.memory = memory.max();
    let apis = cluster
        .list("apiregistration.k8s.io/v1", "APIService", None, None)
        .await?;
    let served = apis.iter().filter(|it| it["spec"]["service"].is_object());
    around.owners = served.filter_map(owner).collect();
    Ok(())
}

fn owner(api: &Json) -> Option<Owner> {
    let annotations = &api["metadata"]["annotations"];
    let of = |key: &str| annotations[key].as_str();
    let release = of("meta.helm.sh/release-name").zip(of("meta.helm.sh/release-namespace"));
    Some(Owner {
        api: api["metadata"]["name"].as_str()?.to_owned(),
        release: release.map(|(name, namespace)| format!("{namespace}/{name}")),
    })
}

/// Takes out what `up` would leave alone, because the cluster has it.
async fn leave(
    request: &ChartsRequest,
    record: &Record,
    cluster: &Cluster,
    declared: &mut Vec<Declared>,
) -> Result<Vec<String>, StackError> {
    let stack = record.stack(&request.home)?;
    let mut left = Vec::new();
    for it in declared.iter() {
        let namespace = releases::namespace(&it.release, &request.config);
        // Whose it is, is no question here.
        let standing = releases::standing(cluster, &stack, namespace, it, Adopt::All).await?;
        if matches!(standing, Standing::LeftAlone(_)) {
            left.push(it.name.to_string());
        }
    }
    declared.retain(|it| !left.iter().any(|name| name == it.name.as_str()));
    Ok(left)
}

async fn rendered(
    helm: &Helm,
    it: &Declared,
    config: &Config,
    stop: &CancellationToken,
) -> Result<Release, StackError> {
    let (name, release) = (&it.name, &it.release);
    let chart = helm.chart(name, release, stop).await?;
    let about = chart.about()?;
    let outcome = match helm.render(name, release, stop).await {
        Ok(rendered) => Outcome::Objects(rendered.objects),
        Err(ToolError::Refused { said, .. }) => Outcome::Refused(said),
        Err(error) => return Err(error.into()),
    };
    Ok(Release {
        name: name.to_string(),
        namespace: releases::namespace(release, config).to_owned(),
        chart: about.name,
        version: about.version,
        parts: about.parts,
        given: helm.given(name, release)?,
        outcome,
    })
}

impl ChartsChecked {
    /// `3 releases for Kubernetes 1.34.0: 1 finding`.
    pub fn sentence(&self) -> String {
        let version = self.kube_version.as_deref();
        let version = version.map(|it| format!(" for Kubernetes {it}"));
        format!(
            "{} rendered{}: {}",
            plural(self.releases, "release"),
            version.unwrap_or_default(),
            plural(self.findings.len(), "finding")
        )
    }
}
