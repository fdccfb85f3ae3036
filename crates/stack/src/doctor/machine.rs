//! This machine: the programs, the disk and the tunnel.
//!
//! Must not start a cluster, and must not stop a tunnel.

use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt as _, join_all};
use kedactl_config::{Config, Provider};
use kedactl_exec::find;
use kedactl_tools::helm;
use kedactl_tunnel::TunnelError;

use super::{Check, nodes};
use crate::{Home, Record};

/// How long a program may take to say who it is.
const SOON: Duration = Duration::from_secs(3);
/// Least room for state: records, charts, logs, images.
const ROOM: u64 = 1 << 30;

pub(super) async fn checks(home: &Home, config: &Config, record: Option<&Record>) -> Vec<Check> {
    let provider = record.map_or(config.provider, |record| record.provider);
    let mut parts: Vec<BoxFuture<'_, Check>> = vec![
        of_helm(config).boxed(),
        async { disk(home.root()) }.boxed(),
        tunnel(home).boxed(),
    ];
    if provider == Provider::Kind {
        parts.push(async { kind(config) }.boxed());
    }
    let nodes = async {
        if provider == Provider::Kind {
            nodes::checks(config, record.is_none()).await
        } else {
            Vec::new()
        }
    };
    let (mut all, nodes) = tokio::join!(join_all(parts), nodes);
    all.extend(nodes);
    all
}

async fn of_helm(config: &Config) -> Check {
    let (code, title) = ("helm", "helm, 3.18 or later");
    let wanted: Vec<&str> = config
        .wanted_releases()
        .map(|(name, _)| name.as_str())
        .collect();
    if wanted.is_empty() {
        return Check::skip(code, title, "no release is wanted");
    }
    let name = config.helm.program.as_deref().unwrap_or("helm");
    let path = match find(name) {
        Ok(path) => path,
        Err(error) => {
            let cure = "install helm 3.18 or later, or name its path in helm.program";
            return Check::fail(
                code,
                title,
                format!("{error}, and {} need it", wanted.join(", ")),
                cure,
            );
        }
    };
    match helm::version(&path, SOON).await {
        Ok(version) => Check::ok(code, title, format!("{} {version}", path.display())),
        Err(error) => {
            let cure = error
                .hint()
                .unwrap_or_else(|| "look whether it runs: `helm version`".to_owned());
            Check::fail(code, title, format!("{}: {error}", path.display()), cure)
        }
    }
}

fn kind(config: &Config) -> Check {
    let (code, title) = ("kind", "kind");
    match find(config.kind.program.as_deref().unwrap_or("kind")) {
        Ok(path) => Check::ok(code, title, path.display().to_string()),
        Err(error) => Check::fail(
            code,
            title,
            error.to_string(),
            "install kind, or name its path in kind.program",
        ),
    }
}

/// Room where state is kept, or will be.
fn disk(root: &Path) -> Check {
    let (code, title) = ("disk", "room for state");
    let there: PathBuf = root
        .ancestors()
        .find(|it| it.exists())
        .unwrap_or(root)
        .to_owned();
    let room = match rustix::fs::statvfs(&there) {
        Ok(it) => it.f_bavail.saturating_mul(it.f_frsize),
        Err(error) => return Check::skip(code, title, format!("{}: {error}", there.display())),
    };
    let detail = format!("{} MiB free in {}", room >> 20, there.display());
    if room < ROOM {
        return Check::warn(
            code,
            title,
            detail,
            "free some, or name another folder with --state-dir",
        );
    }
    Check::ok(code, title, detail)
}

async fn tunnel(home: &Home) -> Check {
    let (code, title) = ("tunnel", "tunnel");
    match kedactl_tunnel::status(&home.tunnel()).await {
        Ok(status) => match status.unready() {
            None => Check::ok(
                code,
                title,
                format!(
                    "{} ports, pid {}",
                    status.services.len(),
                    status.process.pid
                ),
            ),
            Some(it) => Check::fail(
                code,
                title,
                format!(
                    "{}: {}",
                    it.service,
                    it.problem.as_deref().unwrap_or("no probe passed yet")
                ),
                "its pods must be ready; `kedactl tunnel status` shows the way that it takes",
            ),
        },
        Err(TunnelError::NotRunning { .. }) => Check::ok(code, title, "none runs"),
        Err(error) => {
            let cure = error
                .hint()
                .unwrap_or_else(|| "`kedactl tunnel stop` ends and repairs it".to_owned());
            Check::fail(code, title, error.to_string(), cure)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_machine_without_a_stack_is_judged_by_what_exists() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::new(dir.path().join("state"), "demo");
        assert_eq!(tunnel(&home).await.detail, "none runs");
        assert!(disk(home.root()).detail.contains("MiB free"));
        assert!(!home.root().exists(), "looking makes nothing");
    }
}
