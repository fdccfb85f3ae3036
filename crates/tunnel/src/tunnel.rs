//! The tunnel itself: binds, starts every part, and ends them in order.
//! Must not leave a listener, an address or a file behind, however it ends short of being killed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{SystemTime, UNIX_EPOCH};

use kedactl_exec::ProcId;
use kube::Client;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::TunnelError;
use crate::access::Access;
use crate::control;
use crate::forward::Forward;
use crate::home::{Home, Record, fail};
use crate::port::{self, Bound};
use crate::probe::{Health, News, Probe};
use crate::proxy::serve;
use crate::publish::{self, ADDRESS, Publish, Published};
use crate::road::Road;
use crate::service::{Target, resolve};
use crate::slices::{Followed, follow};
use crate::spec::{Mode, Spec};
use crate::status::{ServiceStatus, Status};

/// A running tunnel.
#[derive(Debug)]
pub struct Tunnel {
    home: Home,
    board: Board,
    news: watch::Receiver<u64>,
    /// Ends everything but the publishers, which come first.
    stop: CancellationToken,
    unpublish: CancellationToken,
    asked: CancellationToken,
    tasks: JoinSet<()>,
    publishers: JoinSet<Result<(), TunnelError>>,
}

/// Why a tunnel ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Told by `tunnel stop`.
    Asked,
    /// SIGINT.
    Interrupted,
    /// SIGTERM, or the terminal went away.
    Terminated,
}

/// What the status is made of.
#[derive(Debug, Clone)]
struct Board {
    process: ProcId,
    started_at: u64,
    lines: Arc<Vec<Line>>,
}

#[derive(Debug)]
struct Line {
    target: Target,
    local: std::net::SocketAddr,
    note: Option<String>,
    road: Arc<Road>,
    health: Arc<Health>,
    published: Arc<Published>,
}

impl Tunnel {
    /// Opens a tunnel. Every port is bound when this returns; whether anything answers behind it, the probes find out.
    ///
    /// `access` is how another process finds the cluster again, to repair what this one leaves if it is killed.
    pub async fn start(
        client: Client,
        home: Home,
        access: Option<Access>,
        spec: &Spec,
    ) -> Result<Self, TunnelError> {
        let targets = resolve(&client, spec).await?;
        let services = || targets.iter().filter(|it| it.balanced).map(name_of);
        let stale = home.stale.iter().flat_map(|stale| stale.published.clone());
        publish::repair(&client, stale.chain(services())).await?;
        let mut bound = Vec::new();
        for target in &targets {
            bound.push(port::bind(target, spec.any_port).await?);
        }
        let board = Board {
            process: ProcId::own().unwrap_or(ProcId {
                pid: 0,
                start_time: 0,
            }),
            started_at: now_ms(),
            lines: Arc::default(),
        };
        home.write(&Record {
            process: board.process,
            started_at: board.started_at,
            access,
            published: services().collect(),
        })?;
        let control = control::listen(home.dir())?;
        let (news, receiver) = watch::channel(0);
        let mut tunnel = Self {
            home,
            board,
            news: receiver,
            stop: CancellationToken::new(),
            unpublish: CancellationToken::new(),
            asked: CancellationToken::new(),
            tasks: JoinSet::new(),
            publishers: JoinSet::new(),
        };
        tunnel.begin(&client, targets, bound, spec, &Arc::new(news));
        let board = tunnel.board.clone();
        let status = Arc::new(move || board.status());
        let answer = control::answer(control, status, tunnel.asked.clone());
        let stop = tunnel.stop.clone();
        tunnel.tasks.spawn(async move {
            stop.run_until_cancelled(answer).await;
        });
        Ok(tunnel)
    }

    fn begin(
        &mut self,
        client: &Client,
        targets: Vec<Target>,
        bound: Vec<Bound>,
        spec: &Spec,
        news: &News,
    ) {
        let forward: Arc<Forward> = Arc::new(Forward::new(client.clone()));
        let mut lines: Vec<Line> = Vec::new();
        for (target, bound) in targets.into_iter().zip(bound) {
            let road = Arc::new(Road::new(spec.mode, spec.hold, forward.clone()));
            let health: Arc<Health> = Arc::default();
            let probe = Probe {
                client: client.clone(),
                forward: Arc::clone(&forward),
                road: Arc::clone(&road),
                node_port: target.node_port,
                health: Arc::clone(&health),
                news: Arc::clone(news),
            };
            self.tasks.spawn(probe.run(self.stop.clone()));
            let stop = self.stop.clone();
            self.tasks
                .spawn(serve(bound.listener, Arc::clone(&road), stop));
            let known = lines
                .iter()
                .find(|line| name_of(&line.target) == name_of(&target));
            let published = known.map(|line| Arc::clone(&line.published));
            lines.push(Line {
                published: published.unwrap_or_default(),
                local: bound.address,
                note: bound.note,
                target,
                road,
                health,
            });
        }
        let mut services: BTreeMap<(String, String), Vec<&Line>> = BTreeMap::new();
        for line in &lines {
            services
                .entry(name_of(&line.target))
                .or_default()
                .push(line);
        }
        for ((namespace, name), lines) in services {
            let publish = publisher(client, (&namespace, &name), &lines, news);
            self.publishers.spawn(publish.run(self.unpublish.clone()));
            if spec.mode == Mode::NodePort {
                continue;
            }
            let followed = lines.iter().map(|line| Followed {
                port_name: line.target.port_name.clone(),
                road: Arc::clone(&line.road),
            });
            let followed = followed.collect();
            let follow = follow(client.clone(), namespace, name, followed, self.stop.clone());
            self.tasks.spawn(follow);
        }
        self.board.lines = Arc::new(lines);
    }

    /// What it does now.
    pub fn status(&self) -> Status {
        self.board.status()
    }

    /// Waits until a probe or an address says something new.
    pub async fn changed(&mut self) {
        if self.news.changed().await.is_err() {
            // Every probe has ended: nothing new will come.
            std::future::pending::<()>().await;
        }
    }

    /// Waits for a signal or for `tunnel stop`, and tells `look` about every change until then.
    pub async fn until_ended(
        &mut self,
        mut look: impl FnMut(&Status),
    ) -> Result<Ended, TunnelError> {
        let listen = |kind| signal(kind).map_err(fail("listen for signals of", self.home.dir()));
        let mut interrupt: Signal = listen(SignalKind::interrupt())?;
        let mut terminate: Signal = listen(SignalKind::terminate())?;
        let mut hang_up: Signal = listen(SignalKind::hangup())?;
        let asked = self.asked.clone();
        loop {
            look(&self.status());
            tokio::select! {
                () = asked.cancelled() => return Ok(Ended::Asked),
                _ = interrupt.recv() => return Ok(Ended::Interrupted),
                _ = terminate.recv() => return Ok(Ended::Terminated),
                _ = hang_up.recv() => return Ok(Ended::Terminated),
                () = self.changed() => {}
            }
        }
    }

    /// Ends it: addresses first, then listeners and connections, then the files.
    /// Where an address could not be taken back, the record stays for the next one to repair.
    pub async fn close(mut self) -> Result<(), TunnelError> {
        self.unpublish.cancel();
        let mut left = Vec::new();
        while let Some(ended) = self.publishers.join_next().await {
            if let Ok(Err(TunnelError::Published { services })) = ended {
                left.push(services);
            }
        }
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
        if !left.is_empty() {
            return Err(TunnelError::Published {
                services: left.join(", "),
            });
        }
        self.home.clear()
    }
}

fn name_of(target: &Target) -> (String, String) {
    (target.namespace.clone(), target.name.clone())
}

fn publisher(
    client: &Client,
    (namespace, name): (&str, &str),
    lines: &[&Line],
    news: &News,
) -> Publish {
    let moved = lines
        .iter()
        .find(|line| line.local.port() != line.target.port);
    let never = if lines.iter().all(|line| line.target.balanced) {
        moved.map(|line| format!("port {} is {} here", line.target.port, line.local.port()))
    } else {
        Some("the service is not of type LoadBalancer".to_owned())
    };
    Publish {
        client: client.clone(),
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        ports: lines.iter().map(|line| Arc::clone(&line.health)).collect(),
        never,
        published: lines
            .first()
            .map(|line| Arc::clone(&line.published))
            .unwrap_or_default(),
        news: Arc::clone(news),
    }
}

impl Board {
    fn status(&self) -> Status {
        Status {
            process: self.process,
            started_at: self.started_at,
            services: self.lines.iter().map(Line::status).collect(),
        }
    }
}

impl Line {
    fn status(&self) -> ServiceStatus {
        let (healthy, problem) = self.health.get();
        let (published, unpublished) = self.published.get();
        ServiceStatus {
            service: self.target.service(),
            port: self.target.port,
            local: self.local,
            note: self.note.clone(),
            route: self.road.route(),
            healthy,
            problem,
            endpoints: self.road.pool.len(),
            open: self.road.open(),
            accepted: self.road.accepted.load(Ordering::Relaxed),
            failed: self.road.failed.load(Ordering::Relaxed),
            external_ip: published.then(|| ADDRESS.to_owned()),
            unpublished,
        }
    }
}

fn now_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis() as u64)
}
