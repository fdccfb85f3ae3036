//! `minikube tunnel` under supervision, for those who ask for it: its routes and addresses in place of our ports.
//! Must not believe an address before a probe through it passed, and must not end minikube but by SIGINT: it hears no other signal.

mod child;
mod root;
mod watch;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use kedactl_exec::ProcId;
use kube::Client;
use serde::{Deserialize, Serialize};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, watch as channel};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::TunnelError;
use crate::access::Access;
use crate::control;
use crate::home::{Home, Record, fail};
use crate::service::resolve;
use crate::spec::Spec;
use crate::status::Status;
use crate::tunnel::Ended;
use child::Child;
use watch::{Line, Watch};

/// How long minikube may take to take routes and addresses back.
pub(crate) const PATIENCE: Duration = Duration::from_secs(15);

/// Which minikube, and which profile of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Minikube {
    /// The program.
    pub program: PathBuf,
    /// The profile.
    pub profile: String,
}

/// Runs it until a signal or `tunnel stop`; `look` is told about every change.
pub(crate) async fn run(
    home: Home,
    client: Client,
    access: Access,
    spec: &Spec,
    mut look: impl FnMut(&Status),
) -> Result<Ended, TunnelError> {
    let minikube = spec.minikube.clone().ok_or(TunnelError::NoProfile)?;
    let targets = resolve(&client, spec).await?;
    root::ready(&targets).await?;
    let process = ProcId::own().unwrap_or(ProcId {
        pid: 0,
        start_time: 0,
    });
    let started_at = SystemTime::now().duration_since(UNIX_EPOCH);
    let record = Record {
        process,
        started_at: started_at.map_or(0, |since| since.as_millis() as u64),
        access: Some(access.clone()),
        published: Vec::new(),
    };
    home.write(&record)?;
    let socket = control::listen(home.dir())?;
    let lines: Arc<Vec<Line>> = Arc::new(targets.into_iter().map(Line::new).collect());
    let (news, mut changed) = channel::channel(0);
    let (stop, asked) = (CancellationToken::new(), CancellationToken::new());
    let sick = Arc::new(Notify::new());
    let child = Child::new(minikube, access.kubeconfig, home.dir());
    let watch = Watch {
        client,
        lines: Arc::clone(&lines),
        trouble: child.trouble(),
        sick: Arc::clone(&sick),
        news,
    };
    let status = move || Status {
        process,
        started_at: record.started_at,
        services: lines.iter().map(Line::status).collect(),
    };
    let mut beside = JoinSet::new();
    let answer = control::answer(socket, Arc::new(status.clone()), asked.clone());
    let (first, second) = (stop.clone(), stop.clone());
    beside.spawn(async move { first.run_until_cancelled(answer).await });
    beside.spawn(async move { second.run_until_cancelled(watch.run()).await });
    let listen = |kind| signal(kind).map_err(fail("listen for signals of", home.dir()));
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut terminate = listen(SignalKind::terminate())?;
    let mut hang_up = listen(SignalKind::hangup())?;
    let kept = child.keep(stop.clone(), sick);
    tokio::pin!(kept);
    let ended = loop {
        look(&status());
        tokio::select! {
            failed = &mut kept => {
                stop.cancel();
                while beside.join_next().await.is_some() {}
                home.clear()?;
                return failed.map(|()| Ended::Asked);
            }
            () = asked.cancelled() => break Ended::Asked,
            _ = interrupt.recv() => break Ended::Interrupted,
            _ = terminate.recv() => break Ended::Terminated,
            _ = hang_up.recv() => break Ended::Terminated,
            _ = changed.changed() => {}
        }
    };
    stop.cancel();
    let kept = kept.await;
    while beside.join_next().await.is_some() {}
    home.clear()?;
    kept.map(|()| ended)
}
