//! A kind cluster of the stack's own: how it is made or adopted.
//! Must not let a cluster in: that is for its identity to say.

use std::path::{Path, PathBuf};
use std::time::Duration;

use kedactl_cluster::{Cluster, Target, Timeouts};
use kedactl_config::Config;
use kedactl_plan::Step;
use kedactl_tools::CancellationToken;
use kedactl_tools::kind::{Kind, Seen, Spec, Standing};
use serde_json::Value as Json;

use super::fit;
use crate::{Home, Record, StackError};

/// Label of the first node of a kind cluster that was made here.
const CONFIG_LABEL: &str = "kedactl.io/config";

/// Makes or adopts the kind cluster; whether it is ours by being made here.
pub(super) async fn ensure(
    home: &Home,
    config: &Config,
    name: &str,
    step: &Step<'_>,
    stop: &CancellationToken,
) -> Result<bool, StackError> {
    let driver = driver(home, config)?;
    let spec = Spec {
        name: name.to_owned(),
        config: Json::Object(config.kind_config()),
        image: config.kind.image.clone(),
        logs: home.logs(),
    };
    let standing = driver.stands(&spec, ask, step, stop).await?;
    if standing == Standing::Whole {
        return Ok(Kind::made_here(&home.kind(), name));
    }
    driver.clear(&spec, standing, step, stop).await?;
    fit::check(config, step, stop).await?;
    driver.make(&spec, step, stop).await?;
    Ok(true)
}

/// Keeps the logs of the nodes of a cluster that did not come to life; its error counts, not what goes wrong here.
pub(super) async fn keep_logs(home: &Home, config: &Config, name: &str, step: &Step<'_>) {
    let kept = async {
        let driver = driver(home, config)?;
        let never = CancellationToken::new();
        driver.export_logs(name, &home.logs(), &never).await?;
        Ok::<_, StackError>(())
    };
    match kept.await {
        Ok(()) => {
            let note = format!("logs of the nodes are in {}", home.logs().display());
            step.progress(0, None, note);
        }
        Err(error) => tracing::warn!(%error, "logs of a cluster that does not come to life"),
    }
}

/// Collects the logs of a kind cluster's nodes in a folder; `false` where the stack is not on one.
pub async fn node_logs(home: &Home, record: &Record, into: &Path) -> Result<bool, StackError> {
    let Some(name) = &record.kind else {
        return Ok(false);
    };
    let driver = driver(home, &record.config)?;
    let never = CancellationToken::new();
    if !driver.clusters(&never).await?.contains(name) {
        return Ok(false);
    }
    driver.export_logs(name, into, &never).await?;
    Ok(true)
}

pub(crate) fn driver(home: &Home, config: &Config) -> Result<Kind, StackError> {
    let program = config.kind.program.as_ref().map(PathBuf::from);
    let engine = &config.images.engine;
    Ok(Kind::open(program.as_deref(), engine, &home.kind())?)
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
