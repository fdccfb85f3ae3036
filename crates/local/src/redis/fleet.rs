//! All servers and Sentinels together: who starts as master, in which order, and how they are doing.
//! Must not change a role: it looks, and writes what it sees on the board.

use std::fs;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use kedactl_exec::ProcId;
use serde_json::json;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::files::{Memory, remember};
use super::link::Link;
use super::server::{Keeper, Server};
use super::view;
use crate::board::now_ms;
use crate::context::Context;
use crate::desired::digest;
use crate::identity::Identity;
use crate::layout::Layout;
use crate::{ServerState, StackState};

/// How often the servers are asked, while all is well and while it is not.
const LOOK: Duration = Duration::from_secs(1);
const LOOK_CLOSELY: Duration = Duration::from_millis(100);

/// The running servers.
#[derive(Debug)]
pub(crate) struct Fleet {
    servers: Vec<(CancellationToken, JoinHandle<()>)>,
    sentinels: Vec<(CancellationToken, JoinHandle<()>)>,
    observer: JoinHandle<()>,
    /// Port of the master, where all servers are started at once.
    cold: Option<u16>,
    /// Whether a Sentinel ran already.
    watched: bool,
}

/// Ids of the Sentinels with their ports; the same at every start of the stack.
pub(crate) fn sentinel_ids(identity: &Identity) -> Vec<(String, u16)> {
    identity
        .sentinels
        .iter()
        .enumerate()
        .map(|(index, port)| {
            let part = |n: usize| digest(&(&identity.stack_id, "sentinel", index, n));
            let id: String = [part(0), part(1), part(2)].concat();
            (id.chars().take(40).collect(), *port)
        })
        .collect()
}

/// Port of a server by name.
pub(crate) fn port_of(identity: &Identity, name: &str) -> Option<u16> {
    let index: usize = name.strip_prefix("redis-")?.parse().ok()?;
    identity.redis.get(index).copied()
}

/// Empty places in the state for the servers of an identity; what an earlier supervisor wrote is kept.
pub(crate) fn places(identity: &Identity, earlier: Option<&StackState>, state: &mut StackState) {
    let place = |name: String, port: u16, role: &str, old: Option<&ServerState>| ServerState {
        name,
        port,
        role: role.to_owned(),
        process: old
            .and_then(|old| old.process)
            .filter(|process| process.alive()),
        ready: old.is_some_and(|old| old.ready),
        restarts: old.map_or(0, |old| old.restarts),
        started_at: old.map_or(0, |old| old.started_at),
        last_exit: old.and_then(|old| {
            let ended = old.process.is_some_and(|process| !process.alive());
            if ended {
                Some("ended while no supervisor ran".to_owned())
            } else {
                old.last_exit.clone()
            }
        }),
    };
    let redis = earlier.map(|earlier| &earlier.redis);
    for (index, port) in identity.redis.iter().enumerate() {
        let old = redis.and_then(|redis| redis.servers.get(index));
        state
            .redis
            .servers
            .push(place(Server::Redis(index).name(), *port, "", old));
    }
    for (index, port) in identity.sentinels.iter().enumerate() {
        let old = redis.and_then(|redis| redis.sentinels.get(index));
        state.redis.sentinels.push(place(
            Server::Sentinel(index).name(),
            *port,
            "sentinel",
            old,
        ));
    }
    if let Some(redis) = redis {
        state.redis.master.clone_from(&redis.master);
        state.redis.failovers = redis.failovers;
        state.redis.last_failover_at = redis.last_failover_at;
    }
}

/// The master for a start of all servers at once: what the Sentinels remember, unless its data is gone and others' is not.
pub(crate) fn cold_master(layout: &Layout, identity: &Identity, name: &str) -> u16 {
    let memories: Vec<Memory> = (0..identity.sentinels.len())
        .filter_map(|index| {
            let file = layout
                .data(&Server::Sentinel(index).name())
                .join("sentinel.conf");
            remember(&fs::read_to_string(file).ok()?, name)
        })
        .collect();
    let remembered = memories.iter().max().map(|memory| memory.master);
    let newest = (0..identity.redis.len())
        .filter_map(|index| Some((written(layout, index)?, identity.redis[index])))
        .max();
    let has_data = |port: u16| {
        identity
            .redis
            .iter()
            .position(|own| *own == port)
            .is_some_and(|index| written(layout, index).is_some())
    };
    match (remembered, newest) {
        (Some(port), _) if has_data(port) => port,
        (_, Some((_, port))) => port,
        (Some(port), None) if identity.redis.contains(&port) => port,
        _ => identity.redis[0],
    }
}

/// Removes Sentinel files that speak of other servers than the present ones; they are made anew.
pub(crate) fn forget_stale_sentinels(layout: &Layout, identity: &Identity, name: &str) {
    let mut expected: Vec<u16> = identity
        .redis
        .iter()
        .chain(&identity.sentinels)
        .copied()
        .collect();
    expected.sort_unstable();
    for (index, own) in identity.sentinels.iter().enumerate() {
        let file = layout
            .data(&Server::Sentinel(index).name())
            .join("sentinel.conf");
        let Some(memory) = fs::read_to_string(&file)
            .ok()
            .and_then(|text| remember(&text, name))
        else {
            continue;
        };
        let mut named = memory.others.clone();
        named.extend([memory.master, *own]);
        named.sort_unstable();
        named.dedup();
        if named != expected && fs::remove_file(&file).is_ok() {
            tracing::info!(sentinel = index, "servers moved, its memory is made anew");
        }
    }
}

/// When a server last wrote its append-only file; `None` where it has none.
fn written(layout: &Layout, index: usize) -> Option<SystemTime> {
    let directory = layout
        .data(&Server::Redis(index).name())
        .join("appendonlydir");
    fs::read_dir(directory)
        .ok()?
        .filter_map(|entry| {
            let meta = entry.ok()?.metadata().ok()?;
            (meta.len() > 0).then_some(meta.modified().ok()?)
        })
        .max()
}

impl Fleet {
    /// Starts or adopts all servers.
    pub(crate) fn start(context: &Arc<Context>) -> Self {
        let (any_server, any_sentinel) = context.board.read(|state| {
            let runs = |servers: &[ServerState]| {
                servers
                    .iter()
                    .any(|server| server.process.is_some_and(ProcId::alive))
            };
            (runs(&state.redis.servers), runs(&state.redis.sentinels))
        });
        let name = &context.config.redis.master;
        let cold = (!any_server).then(|| cold_master(&context.layout, &context.identity, name));
        if !any_server && !any_sentinel {
            forget_stale_sentinels(&context.layout, &context.identity, name);
        }
        Self {
            servers: (0..context.identity.redis.len())
                .map(|index| keep(context, Server::Redis(index), cold))
                .collect(),
            sentinels: Vec::new(),
            observer: tokio::spawn(observe(Arc::clone(context))),
            cold,
            watched: any_sentinel,
        }
    }

    /// Starts or adopts the Sentinels: at once where some run, else when the replicas are online.
    pub(crate) async fn start_sentinels(&mut self, context: &Arc<Context>) {
        if !self.watched {
            let online = context
                .board
                .until(|state| state.redis.servers.iter().all(|server| server.ready));
            // Sentinels learn the replicas from the master; a replica that takes long is found later.
            let _in_time = tokio::time::timeout(Duration::from_secs(20), online).await;
        }
        self.sentinels = (0..context.identity.sentinels.len())
            .map(|index| keep(context, Server::Sentinel(index), self.cold))
            .collect();
    }

    /// Whether Redis does all that it should.
    pub(crate) fn ready(state: &StackState) -> bool {
        let redis = &state.redis;
        let all = |servers: &[ServerState]| servers.iter().all(|server| server.ready);
        redis.master.is_some()
            && all(&redis.servers)
            && all(&redis.sentinels)
            && (redis.sentinels.is_empty() || redis.quorum)
    }

    /// Stops all: Sentinels first, so that nobody fails over; then the master, whose replicas take its last writes; then those.
    pub(crate) async fn stop(mut self, context: &Context) {
        end_all(std::mem::take(&mut self.sentinels)).await;
        self.observer.abort();
        let master = context.board.read(|state| state.redis.master.clone());
        let index = master
            .and_then(|name| port_of(&context.identity, &name))
            .and_then(|port| context.identity.redis.iter().position(|own| *own == port));
        if let Some(index) = index.filter(|index| *index < self.servers.len()) {
            end_all(vec![self.servers.swap_remove(index)]).await;
        }
        end_all(self.servers).await;
    }
}

pub(crate) async fn end_all(tasks: Vec<(CancellationToken, JoinHandle<()>)>) {
    for (token, _) in &tasks {
        token.cancel();
    }
    for (_, task) in tasks {
        if let Err(error) = task.await {
            tracing::error!(%error, "server task");
        }
    }
}

/// Starts the task that keeps one server.
pub(crate) fn keep(
    context: &Arc<Context>,
    server: Server,
    cold: Option<u16>,
) -> (CancellationToken, JoinHandle<()>) {
    let stop = CancellationToken::new();
    let mut adopt = None;
    context
        .board
        .update(|state| adopt = server.slot(state).and_then(|slot| slot.process));
    let keeper = Keeper {
        context: Arc::clone(context),
        server,
        adopt,
        first_master: cold,
        stop: stop.clone(),
    };
    (stop, tokio::spawn(keeper.keep()))
}

/// Asks everybody again and again, and writes it on the board.
async fn observe(context: Arc<Context>) {
    let identity = &context.identity;
    let link = |port: &u16, password: &str| Link::new(*port, password);
    let mut servers: Vec<Link> = identity
        .redis
        .iter()
        .map(|port| link(port, &context.redis_password))
        .collect();
    let mut sentinels: Vec<Link> = identity
        .sentinels
        .iter()
        .map(|port| link(port, &context.sentinel_password))
        .collect();
    loop {
        look(&context, &mut servers, &mut sentinels).await;
        let well = context.board.read(Fleet::ready);
        sleep(if well { LOOK } else { LOOK_CLOSELY }).await;
    }
}

async fn look(context: &Context, servers: &mut [Link], sentinels: &mut [Link]) {
    let name = &context.config.redis.master;
    let mut roles = Vec::new();
    for link in servers.iter_mut() {
        roles.push(view::role(link).await);
    }
    let mut answers = Vec::new();
    for link in sentinels.iter_mut() {
        answers.push(view::word(link, name).await);
    }
    let quorum = view::quorum(sentinels, name).await;
    let said = answers.iter().flatten().max().map(|word| word.master);
    let itself = || {
        roles
            .iter()
            .position(|role| role.as_ref().is_some_and(|role| role.name == "master"))
    };
    let index = match said {
        Some(port) => context.identity.redis.iter().position(|own| *own == port),
        None => itself(),
    };
    let mut switched = None;
    context.board.update(|state| {
        for (slot, role) in state.redis.servers.iter_mut().zip(&roles) {
            slot.ready = role.as_ref().is_some_and(|role| role.online);
            role.as_ref()
                .map_or("", |role| role.name)
                .clone_into(&mut slot.role);
        }
        for (slot, answer) in state.redis.sentinels.iter_mut().zip(&answers) {
            slot.ready = answer.is_some();
        }
        state.redis.quorum = quorum;
        let master = index.map(|index| Server::Redis(index).name());
        let role = index.and_then(|index| roles[index].as_ref());
        state.redis.replicas_online = role.map_or(0, |role| role.replicas.len() as u32);
        if master.is_some() && master != state.redis.master {
            if state.redis.master.is_some() {
                state.redis.failovers += 1;
                state.redis.last_failover_at = Some(now_ms());
                switched = Some((state.redis.master.clone(), master.clone()));
            }
            state.redis.master = master;
        }
    });
    if let Some((from, to)) = switched {
        context
            .board
            .record("failover", json!({"from": from, "to": to}));
    }
}
