//! This machine: the programs, the engine, the kernel's limits, the disk and the tunnel.
//!
//! Must not start a cluster, and must not stop a tunnel.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt as _, join_all};
use kedactl_config::{Config, Provider};
use kedactl_exec::{CancellationToken, Job, find, last_words};
use kedactl_tools::helm;
use kedactl_tunnel::TunnelError;

use super::Check;
use crate::{Home, Record};

/// How long a program may take to say who it is.
const SOON: Duration = Duration::from_secs(3);
/// Least room for state: records, charts, logs, images.
const ROOM: u64 = 1 << 30;
/// What kind's own documentation asks for: with less, kubelets and log readers stop with "too many open files".
const WATCHES: u64 = 524_288;
const INSTANCES: u64 = 512;

pub(super) async fn checks(home: &Home, config: &Config, record: Option<&Record>) -> Vec<Check> {
    let provider = record.map_or(config.provider, |record| record.provider);
    let mut parts: Vec<BoxFuture<'_, Check>> = vec![
        of_helm(config).boxed(),
        async { disk(home.root()) }.boxed(),
        tunnel(home).boxed(),
    ];
    if provider == Provider::Kind {
        parts.push(async { kind(config) }.boxed());
        parts.push(engine(&config.images.engine).boxed());
        parts.push(async { inotify(Path::new("/proc/sys/fs/inotify")) }.boxed());
        parts.push(async { cgroup(Path::new("/sys/fs/cgroup")) }.boxed());
    }
    join_all(parts).await
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

async fn engine(program: &str) -> Check {
    let (code, title) = ("engine", format!("container engine {program}"));
    let path = match find(program) {
        Ok(path) => path,
        Err(error) => {
            return Check::fail(
                code,
                title,
                error.to_string(),
                "install Docker or Podman, or name its client in images.engine",
            );
        }
    };
    let job = Job::new(&path).args(["version", "--format", "{{.Server.Version}}"]);
    let problem = match job.within(SOON).run(&CancellationToken::new()).await {
        Ok(ended) if ended.code == Some(0) => {
            let version = ended.stdout.trim();
            return Check::ok(
                code,
                title,
                format!("{} answers, {version}", path.display()),
            );
        }
        Ok(ended) => last_words(&ended.stderr),
        Err(error) => error.to_string(),
    };
    Check::fail(
        code,
        title,
        problem,
        "start the engine, name another one with DOCKER_HOST, or join the group that may use it",
    )
}

fn inotify(folder: &Path) -> Check {
    let (code, title) = ("inotify", "limits of inotify");
    let read = |name: &str| {
        let text = fs::read_to_string(folder.join(name)).ok()?;
        text.trim().parse::<u64>().ok()
    };
    let (Some(watches), Some(instances)) = (read("max_user_watches"), read("max_user_instances"))
    else {
        return Check::skip(code, title, format!("{} cannot be read", folder.display()));
    };
    let detail = format!("{watches} watches, {instances} instances a user");
    if watches >= WATCHES && instances >= INSTANCES {
        return Check::ok(code, title, detail);
    }
    Check::warn(
        code,
        title,
        detail,
        format!(
            "sysctl fs.inotify.max_user_watches={WATCHES} fs.inotify.max_user_instances={INSTANCES}"
        ),
    )
}

fn cgroup(folder: &Path) -> Check {
    let (code, title) = ("cgroup", "cgroup v2");
    match fs::read_to_string(folder.join("cgroup.controllers")) {
        Ok(controllers) => {
            let missing = ["cpu", "memory", "pids"]
                .iter()
                .find(|name| !controllers.split_whitespace().any(|it| it == **name));
            match missing {
                None => Check::ok(code, title, controllers.trim()),
                Some(name) => Check::fail(
                    code,
                    title,
                    format!("the controller {name} is missing"),
                    "enable it on the kernel's command line (cgroup_enable)",
                ),
            }
        }
        Err(_) => Check::warn(
            code,
            title,
            "this machine has cgroup v1, which new kubelets refuse",
            "boot with systemd.unified_cgroup_hierarchy=1",
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
    use super::super::CheckStatus;
    use super::*;

    #[test]
    fn limits_of_the_kernel_are_read_and_judged() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(inotify(dir.path()).status, CheckStatus::Skip);
        fs::write(dir.path().join("max_user_watches"), "8192\n").unwrap();
        fs::write(dir.path().join("max_user_instances"), "128\n").unwrap();
        let it = inotify(dir.path());
        assert_eq!(
            (it.status, it.detail.as_str()),
            (CheckStatus::Warn, "8192 watches, 128 instances a user")
        );
        assert_eq!(cgroup(dir.path()).status, CheckStatus::Warn);
        fs::write(dir.path().join("cgroup.controllers"), "cpu io memory\n").unwrap();
        assert_eq!(cgroup(dir.path()).detail, "the controller pids is missing");
    }

    #[tokio::test]
    async fn a_machine_without_a_stack_is_judged_by_what_exists() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::new(dir.path().join("state"), "demo");
        assert_eq!(tunnel(&home).await.detail, "none runs");
        assert!(disk(home.root()).detail.contains("MiB free"));
        assert!(!home.root().exists(), "looking makes nothing");
    }
}
