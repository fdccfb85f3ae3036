//! Keeps one server process running: starts or adopts it, waits, starts it again, stops it in the end.
//! Must not start a crashed master as master while the others can still make one of theirs.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use kedactl_exec::{Exit, ProcId, Signal, Spawn, Watched};
use serde_json::json;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::files::{SentinelFile, ServerFile};
use super::link::Link;
use super::view;
use crate::backoff::Backoff;
use crate::board::now_ms;
use crate::context::{Context, helper};
use crate::layout::{fail, make_dir, write_private};
use crate::monitoring::{self, NAMES};
use crate::{LocalError, ServerState, StackState};

/// How long a server may take to end after SIGTERM; a master uses it to let its replicas catch up.
const GRACE: Duration = Duration::from_secs(30);

/// Which server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Server {
    /// The n-th Redis server.
    Redis(usize),
    /// The n-th Sentinel.
    Sentinel(usize),
    /// The service proxy.
    Proxy,
    /// Prometheus or Alertmanager, by its place in [`NAMES`].
    Monitoring(usize),
}

impl Server {
    /// Its name in state, logs and marks.
    pub(crate) fn name(self) -> String {
        match self {
            Self::Redis(index) => format!("redis-{index}"),
            Self::Sentinel(index) => format!("sentinel-{index}"),
            Self::Proxy => "proxy".to_owned(),
            Self::Monitoring(index) => NAMES[index].to_owned(),
        }
    }

    /// Its place in the state.
    pub(crate) fn slot(self, state: &mut StackState) -> Option<&mut ServerState> {
        match self {
            Self::Redis(index) => state.redis.servers.get_mut(index),
            Self::Sentinel(index) => state.redis.sentinels.get_mut(index),
            Self::Proxy => state.proxy.as_mut(),
            Self::Monitoring(index) => state.monitoring.get_mut(index),
        }
    }
}

/// One server and what it takes to keep it.
#[derive(Debug)]
pub(crate) struct Keeper {
    pub(crate) context: Arc<Context>,
    pub(crate) server: Server,
    /// The process that runs already.
    pub(crate) adopt: Option<ProcId>,
    /// Port of the master for a first start; `None` lets the Sentinels say it.
    pub(crate) first_master: Option<u16>,
    pub(crate) stop: CancellationToken,
}

impl Keeper {
    /// Runs until stopped, and returns when the process is gone.
    pub(crate) async fn keep(mut self) {
        let name = self.server.name();
        let second = Duration::from_secs(1);
        let mut backoff = Backoff::new(second / 5, 10 * second, 60 * second);
        let mut adopted = self.adopt.take().and_then(Watched::adopt);
        loop {
            let started = Instant::now();
            let watched = if let Some(watched) = adopted.take() {
                Ok(watched)
            } else {
                tokio::select! {
                    () = self.stop.cancelled() => return,
                    watched = self.start() => watched,
                }
            };
            match watched {
                Ok(watched) => {
                    self.note_start(&watched);
                    let Some(exit) = self.watch(watched).await else {
                        return;
                    };
                    self.note_exit(&name, &exit);
                }
                Err(error) => {
                    tracing::error!(%error, server = %name, "start");
                    self.context.board.record(
                        "start_failed",
                        json!({"server": name, "error": error.to_string()}),
                    );
                }
            }
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = sleep(backoff.after(started.elapsed())) => {}
            }
        }
    }

    /// Waits for the end of the process: its exit, or `None` when it was stopped.
    async fn watch(&self, mut watched: Watched) -> Option<Exit> {
        tokio::select! {
            exit = watched.exited() => Some(exit),
            () = self.stop.cancelled() => {
                end(&mut watched, Signal::TERM, GRACE).await;
                self.context.board.update_now(|state| {
                    if let Some(slot) = self.server.slot(state) {
                        slot.process = None;
                        slot.ready = false;
                    }
                });
                None
            }
        }
    }

    fn note_start(&self, watched: &Watched) {
        let id = watched.id();
        let mut restarted = false;
        self.context.board.update_now(|state| {
            if let Some(slot) = self.server.slot(state) {
                restarted = slot.process != Some(id);
                if restarted {
                    slot.process = Some(id);
                    slot.started_at = now_ms();
                    slot.restarts += u32::from(slot.last_exit.is_some());
                }
            }
        });
        if restarted {
            self.context.board.record(
                "started",
                json!({"server": self.server.name(), "pid": id.pid}),
            );
        }
    }

    fn note_exit(&mut self, name: &str, exit: &Exit) {
        self.first_master = None;
        self.context.board.update_now(|state| {
            if let Some(slot) = self.server.slot(state) {
                slot.process = None;
                slot.ready = false;
                slot.last_exit = Some(exit.how.clone());
            }
        });
        self.context
            .board
            .record("exited", json!({"server": name, "how": exit.how}));
    }

    async fn start(&self) -> Result<Watched, LocalError> {
        let spawn = match self.server {
            Server::Redis(index) => self.redis(index).await?,
            Server::Sentinel(index) => self.sentinel(index).await?,
            Server::Proxy => {
                let context = &self.context;
                helper(
                    &context.helper,
                    "proxy",
                    &context.layout,
                    &context.identity.stack_id,
                )
                .ok_or_else(|| not_running(context))?
            }
            Server::Monitoring(index) => {
                let context = &self.context;
                let name = NAMES[index];
                let (program, args) = monitoring::files::command(context, name)
                    .ok_or_else(|| not_running(context))?;
                context.process(name, program, args)
            }
        };
        Ok(spawn.start()?)
    }

    async fn redis(&self, index: usize) -> Result<Spawn, LocalError> {
        let context = &self.context;
        let port = context.identity.redis[index];
        let master = match self.first_master {
            Some(master) => master,
            None => self.master_to_follow(port).await,
        };
        let name = self.server.name();
        let directory = context.layout.data(&name);
        make_dir(&directory)?;
        let file = directory.join("redis.conf");
        let text = ServerFile {
            port,
            directory: &directory,
            password: &context.redis_password,
            settings: &context.config.redis,
            master: (master != port).then_some(master),
        }
        .text();
        write_private(&file, text.as_bytes())?;
        Ok(context.process(
            &name,
            context.programs.redis_server.clone(),
            vec![file.into()],
        ))
    }

    async fn sentinel(&self, index: usize) -> Result<Spawn, LocalError> {
        let context = &self.context;
        let name = self.server.name();
        let directory = context.layout.data(&name);
        make_dir(&directory)?;
        let file = directory.join("sentinel.conf");
        let port = context.identity.sentinels[index];
        if !self.keeps(&file, port) {
            let master = match self.first_master {
                Some(master) => master,
                None => self.master_to_follow(0).await,
            };
            let text = SentinelFile {
                port,
                directory: &directory,
                password: &context.redis_password,
                sentinel_password: &context.sentinel_password,
                settings: &context.config.redis,
                master,
                servers: &context.identity.redis,
                sentinels: &super::fleet::sentinel_ids(&context.identity),
            }
            .text();
            write_private(&file, text.as_bytes())?;
        }
        let (program, more) = &context.programs.sentinel;
        let mut args = vec![file.into()];
        args.extend(more.iter().cloned());
        Ok(context.process(&name, program.clone(), args))
    }

    /// Whether the Sentinel's own file is there and speaks of this port.
    fn keeps(&self, file: &Path, port: u16) -> bool {
        let own = format!("port {port}");
        std::fs::read_to_string(file)
            .map_err(fail("read", file))
            .is_ok_and(|text| {
                text.lines().any(|line| line.trim() == own)
                    && super::files::remember(&text, &self.context.config.redis.master).is_some()
            })
    }

    /// The master that a server started again must follow; its own port where it must be master.
    ///
    /// A crashed master may lack the last writes that its replicas have (the file is written behind a slow flush), and a replica that
    /// follows it would drop them. So it waits until the Sentinels have made another master, as long as they can.
    async fn master_to_follow(&self, own: u16) -> u16 {
        let context = &self.context;
        let settings = &context.config.redis;
        let millis = u64::from(settings.down_after_ms) + u64::from(settings.failover_timeout_ms);
        let limit = Duration::from_millis(millis) + Duration::from_secs(5);
        let mut links: Vec<Link> = context
            .identity
            .sentinels
            .iter()
            .map(|port| Link::new(*port, &context.sentinel_password))
            .collect();
        let begin = Instant::now();
        loop {
            let named = view::master(&mut links, &settings.master).await;
            match named {
                Some(master) if master != own => return master,
                _ if links.is_empty() || begin.elapsed() > limit || !self.others_run() => break,
                _ => sleep(Duration::from_millis(100)).await,
            }
        }
        let last = context.board.read(|state| state.redis.master.clone());
        let known = last.and_then(|name| super::fleet::port_of(&context.identity, &name));
        view::master(&mut links, &settings.master)
            .await
            .or(known)
            .unwrap_or(if own == 0 {
                context.identity.redis[0]
            } else {
                own
            })
    }

    fn others_run(&self) -> bool {
        let own = self.server.name();
        self.context.board.read(|state| {
            let mut servers = state.redis.servers.iter();
            servers.any(|server| server.name != own && server.process.is_some_and(ProcId::alive))
        })
    }
}

fn not_running(context: &Context) -> LocalError {
    LocalError::NotRunning {
        dir: context.layout.dir().to_owned(),
    }
}

/// Ends a process: the signal, the grace period, SIGKILL to its whole group.
pub(crate) async fn end(watched: &mut Watched, signal: Signal, grace: Duration) {
    let id = watched.id();
    let told = id.signal(signal);
    if id.frozen() {
        // A stopped process would keep the signal until the grace period is over.
        let _woken = id.signal(Signal::CONT);
    }
    if told.is_ok() && timeout(grace, watched.exited()).await.is_ok() {
        return;
    }
    match id.kill_group() {
        Ok(_) => {
            let _exit = watched.exited().await;
        }
        Err(error) => tracing::error!(%error, "kill"),
    }
}
