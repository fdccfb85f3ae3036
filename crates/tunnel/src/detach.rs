//! A tunnel in a process of its own, which lives on when the command that started it has ended.
//! Must not say that it runs before it answers.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use kedactl_exec::Spawn;
use kedactl_plan::Step;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use crate::TunnelError;
use crate::access::{Access, connect};
use crate::control::ask;
use crate::home::{Home, LOG, SPEC, fail, read_json, write_json};
use crate::minikube;
use crate::spec::{Mode, Spec};
use crate::status::Status;
use crate::tunnel::{Ended, Tunnel};

/// How often the new process is asked.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How much of a dead tunnel's log is shown.
const TAIL: usize = 2;

/// A tunnel to be started in the background.
#[derive(Debug, Clone)]
pub struct Detach {
    /// Its folder.
    pub dir: PathBuf,
    /// Its cluster.
    pub access: Access,
    /// What it does.
    pub spec: Spec,
    /// Program and first arguments of the process; the folder is appended.
    pub helper: Vec<OsString>,
    /// How long to wait until every probe passes.
    pub within: Duration,
}

#[derive(Debug, Serialize, Deserialize)]
struct Order {
    access: Access,
    spec: Spec,
}

/// What the detached tunnel of a folder was last asked for; `None` where there never was one.
pub fn order(dir: &Path) -> Result<Option<(Access, Spec)>, TunnelError> {
    let order: Option<Order> = read_json(&dir.join(SPEC))?;
    Ok(order.map(|it| (it.access, it.spec)))
}

/// Starts the process and waits until every probe passes. Where one does not in time, the tunnel is left running.
pub async fn detach(detach: &Detach, step: &Step<'_>) -> Result<Status, TunnelError> {
    let dir = &detach.dir;
    // Held for a moment: a second start is refused here, with the holder's name. What a killed one left, the child repairs.
    drop(Home::take(dir)?);
    let order = Order {
        access: detach.access.clone(),
        spec: detach.spec.clone(),
    };
    write_json(&dir.join(SPEC), &order)?;
    let log = dir.join(LOG);
    fs::write(&log, "").map_err(fail("write", &log))?;
    let (program, args) = detach
        .helper
        .split_first()
        .ok_or(TunnelError::NotRunning { dir: dir.clone() })?;
    let args = args.iter().cloned().chain([dir.clone().into()]).collect();
    let child = Spawn {
        program: program.into(),
        args,
        env: environment(&detach.spec),
        cwd: PathBuf::from("/"),
        log: log.clone(),
        own_group: false,
    };
    let mut child = child.start()?;
    let deadline = Instant::now() + detach.within;
    loop {
        tokio::select! {
            _ = child.exited() => {
                let log_tail = tail(&log);
                return Err(TunnelError::Died { log, log_tail });
            }
            () = sleep(LOOK_EVERY) => {}
        }
        // It may not have opened its socket yet.
        let status = ask(dir).await.ok().flatten();
        let Some(status) = status.filter(|status| status.process == child.id()) else {
            if Instant::now() > deadline {
                return Err(unready("the tunnel", "it did not answer"));
            }
            continue;
        };
        let Some(service) = status.unready() else {
            return Ok(status);
        };
        let reason = service
            .problem
            .clone()
            .unwrap_or_else(|| "the first probe".to_owned());
        if Instant::now() > deadline {
            return Err(unready(&service.service, &reason));
        }
        step.waiting(format!("{} ({reason})", service.service));
    }
}

/// minikube finds its profiles and its engine by what the user has set.
fn environment(spec: &Spec) -> BTreeMap<String, OsString> {
    if spec.mode != Mode::Minikube {
        return BTreeMap::new();
    }
    kedactl_exec::inherited(&[
        "MINIKUBE_HOME",
        "DOCKER_HOST",
        "DOCKER_CONTEXT",
        "DOCKER_CONFIG",
        "DOCKER_CERT_PATH",
        "DOCKER_TLS_VERIFY",
        "SSH_AUTH_SOCK",
    ])
}

fn unready(service: &str, reason: &str) -> TunnelError {
    TunnelError::NotReady {
        service: service.to_owned(),
        reason: reason.to_owned(),
    }
}

fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
    lines[lines.len().saturating_sub(TAIL)..].join("; ")
}

/// The main of the detached process.
pub fn helper_main(dir: &Path) -> Result<(), TunnelError> {
    // A session of its own: neither Ctrl-C nor the end of the terminal reaches it.
    if let Err(error) = rustix::process::setsid() {
        tracing::debug!(%error, "setsid");
    }
    let order: Option<Order> = read_json(&dir.join(SPEC))?;
    let order = order.ok_or_else(|| TunnelError::NotRunning {
        dir: dir.to_owned(),
    })?;
    run(dir, order.access, &order.spec, |_| {}).map(drop)
}

/// Opens a tunnel and keeps it until a signal or `tunnel stop`; `look` is told about every change.
/// Has a runtime of its own: it must not be called in one.
pub fn run(
    dir: &Path,
    access: Access,
    spec: &Spec,
    look: impl FnMut(&Status),
) -> Result<Ended, TunnelError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(fail("start", dir))?;
    runtime.block_on(async {
        let home = Home::take(dir)?;
        // A `minikube tunnel` that outlived its owner would hold the routes.
        kedactl_exec::end_left_behind(dir, minikube::PATIENCE).await?;
        let client = connect(&access).await?;
        if spec.mode == Mode::Minikube {
            return minikube::run(home, client, access, spec, look).await;
        }
        let mut tunnel = Tunnel::start(client, home, Some(access), spec).await?;
        let ended = tunnel.until_ended(look).await;
        tunnel.close().await?;
        ended
    })
}
