//! A minikube profile of the stack's own: how it is made, started or adopted, what its nodes are.
//! Must not let a cluster in: that is for its identity to say.

use std::path::{Path, PathBuf};
use std::time::Duration;

use kedactl_cluster::{Cluster, Target, Timeouts};
use kedactl_config::{Config, ContainerRuntime};
use kedactl_plan::Step;
use kedactl_tools::CancellationToken;
use kedactl_tools::minikube::{Ensured, Minikube, Profile, Seen, Spec, Status};

use crate::{Home, StackError};

/// Makes, starts or adopts the profile; whether it is ours by being made here.
pub(super) async fn ensure(
    home: &Home,
    config: &Config,
    name: &str,
    step: &Step<'_>,
    stop: &CancellationToken,
) -> Result<bool, StackError> {
    let driver = driver(home, config)?;
    let made_here = Minikube::made_here(&home.minikube(), name);
    let spec = spec(home, config, name);
    let ensured = driver.ensure(&spec, ask, step, stop).await?;
    Ok(ensured == Ensured::Created || made_here)
}

fn spec(home: &Home, config: &Config, name: &str) -> Spec {
    let it = &config.minikube;
    Spec {
        profile: name.to_owned(),
        driver: it.driver.clone(),
        runtime: it
            .container_runtime
            .map(|runtime| runtime.name().to_owned()),
        kubernetes: it.kubernetes_version.clone(),
        nodes: it.nodes,
        cpus: it.cpus,
        memory: it.memory_mib,
        more: it.start_args.clone(),
        wait: Duration::from_secs(it.wait_timeout_seconds.into()),
        logs: home.logs(),
    }
}

pub(crate) fn driver(home: &Home, config: &Config) -> Result<Minikube, StackError> {
    let program = config.minikube.program.as_ref().map(PathBuf::from);
    Ok(Minikube::open(program.as_deref(), &home.minikube())?)
}

pub(super) async fn is_there(
    home: &Home,
    config: &Config,
    name: &str,
    stop: &CancellationToken,
) -> Result<bool, StackError> {
    let status = driver(home, config)?.status(name, stop).await?;
    Ok(status != Status::Missing)
}

/// Writes the kubeconfig of a profile that runs; one that does not is told with what starts it.
pub(super) async fn write_kubeconfig(
    home: &Home,
    config: &Config,
    name: &str,
    stop: &CancellationToken,
) -> Result<(), StackError> {
    let driver = driver(home, config)?;
    let state = match driver.status(name, stop).await? {
        Status::Running | Status::Unwell | Status::Missing => {
            driver.write_kubeconfig(name, stop).await?;
            return Ok(());
        }
        Status::Paused => "is paused",
        Status::Stopped => "is stopped",
        Status::Bodiless => "has lost its nodes",
    };
    Err(StackError::Config {
        problem: format!("minikube profile {name} {state}"),
        cure: format!("`kedactl up` starts it, and so does `minikube start -p {name}`"),
    })
}

/// Asks the API server behind a kubeconfig of ours whether it answers.
async fn ask(kubeconfig: &Path) -> Seen {
    let context = kubeconfig.file_stem().unwrap_or_default();
    let mut target = Target::new(kubeconfig, context.to_string_lossy());
    target.timeouts = Timeouts {
        patience: Duration::ZERO,
        ..target.timeouts
    };
    match Cluster::connect(&target).await {
        Ok(_) => Seen::Answers,
        Err(error) => {
            tracing::debug!(%error, "a profile's API server");
            Seen::Silent
        }
    }
}

/// The profile as minikube keeps it.
pub(crate) async fn profile(
    driver: &Minikube,
    name: &str,
    stop: &CancellationToken,
) -> Result<Profile, StackError> {
    let found = driver.profile(name, stop).await?;
    found.ok_or_else(|| StackError::Config {
        problem: format!("minikube profile {name} is not there, or cannot be read"),
        cure: "`minikube profile list` shows what is; `kedactl up` makes it anew".to_owned(),
    })
}

/// What runs containers in a profile; minikube's own default is taken where it keeps nothing.
pub(crate) fn runtime(profile: &Profile) -> ContainerRuntime {
    match profile.runtime.as_str() {
        "containerd" => ContainerRuntime::Containerd,
        "crio" | "cri-o" => ContainerRuntime::CriO,
        _ => ContainerRuntime::Docker,
    }
}
