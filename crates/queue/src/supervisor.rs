//! Keeps the generation of a `Redis` handle current: resolves, connects, checks, publishes, and retires.
//!
//! It must not answer a call itself, and holds no lock: readers see the last published generation.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use redis::{PushInfo, PushKind};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};

use crate::clock::ServerClock;
use crate::config::{HostPort, Topology};
use crate::connector::Connector;
use crate::id::random_unit;
use crate::library;
use crate::redis_handle::{CALL_TIMEOUT, Generation};
use crate::resolve::{self, Named};

const HEALTH_EVERY: Duration = Duration::from_secs(1);
const HEALTH_TIMEOUT: Duration = Duration::from_millis(1500);
/// Sentinels that lost their files count from 0 again. So long may a fail-over's news take to reach them all; whoever
/// most of them name after it is master, whatever his number.
const OLDER_EPOCH_FOR: Duration = Duration::from_secs(10);
const ROLE_TIMEOUT: Duration = Duration::from_secs(1);

/// What users of a connection tell the supervisor.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Order {
    /// This generation's server does not answer as a master does.
    Retire(u64),
    /// It answers, but somebody else may be master by now.
    Doubt(u64),
}

/// The task behind a `Redis` handle.
#[derive(Debug)]
pub(crate) struct Supervisor {
    connector: Arc<Connector>,
    clock: ServerClock,
    publish: watch::Sender<Option<Arc<Generation>>>,
    /// Why the last attempt found no master.
    complaint: watch::Sender<Option<String>>,
    orders: mpsc::UnboundedReceiver<Order>,
    number: u64,
    epoch: u64,
    /// Since when the Sentinels name an older epoch than was seen.
    older_since: Option<Instant>,
    replicas: usize,
    run_id: String,
    failovers: Arc<AtomicU64>,
}

impl Supervisor {
    pub(crate) fn new(
        connector: Arc<Connector>,
        clock: ServerClock,
        publish: watch::Sender<Option<Arc<Generation>>>,
        complaint: watch::Sender<Option<String>>,
        orders: mpsc::UnboundedReceiver<Order>,
        failovers: Arc<AtomicU64>,
    ) -> Self {
        let (number, epoch, replicas, run_id) = (0, 0, 0, String::new());
        Self {
            connector,
            clock,
            publish,
            complaint,
            orders,
            number,
            epoch,
            older_since: None,
            replicas,
            run_id,
            failovers,
        }
    }

    pub(crate) async fn run(mut self) {
        let (notices, mut switched) = mpsc::unbounded_channel();
        // The listeners end with the supervisor: dropping the set aborts them.
        let mut listeners = JoinSet::new();
        if let Topology::Sentinel { addrs, master } = &self.connector.config().topology {
            for addr in addrs.clone() {
                listeners.spawn(listen(
                    Arc::clone(&self.connector),
                    addr,
                    master.clone(),
                    notices.clone(),
                ));
            }
        }
        loop {
            let generation = self.establish().await;
            tracing::info!(generation = generation.number, master = %generation.addr, "redis master found");
            self.complaint.send_replace(None);
            self.publish.send_replace(Some(Arc::clone(&generation)));
            let cause = self.watch_over(&generation, &mut switched).await;
            tracing::warn!(generation = generation.number, master = %generation.addr, cause, "redis master retired");
            self.publish.send_replace(None);
        }
    }

    /// Tries until there is a master; the waits grow to half a second and are jittered.
    async fn establish(&mut self) -> Arc<Generation> {
        let mut wait_ms = 20_u64;
        loop {
            match self.try_establish().await {
                Ok(generation) => return Arc::new(generation),
                Err(reason) => {
                    tracing::debug!(reason, "no redis master yet");
                    self.complaint.send_replace(Some(reason));
                }
            }
            sleep(Duration::from_millis(wait_ms).mul_f64(0.5 + random_unit() / 2.0)).await;
            wait_ms = (wait_ms * 2).min(500);
        }
    }

    async fn try_establish(&mut self) -> Result<Generation, String> {
        let named = resolve::named(&self.connector).await?;
        self.accept_epoch(&named)?;
        let mut master = resolve::connect(&self.connector, &named, ROLE_TIMEOUT).await?;
        master.conn.set_response_timeout(CALL_TIMEOUT);
        library::own()
            .ensure(&mut master.conn)
            .await
            .map_err(|e| e.to_string())?;
        let asked = self.clock.ask();
        let (s, us): (u64, u64) = redis::cmd("TIME")
            .query_async(&mut master.conn)
            .await
            .map_err(|e| e.to_string())?;
        self.clock.set(asked, s * 1_000_000 + us);
        let replaced = !self.run_id.is_empty() && self.run_id != master.run_id;
        self.failovers
            .fetch_add(u64::from(replaced), Ordering::Relaxed);
        self.number += 1;
        self.epoch = named.epoch;
        self.older_since = None;
        self.replicas = self
            .replicas
            .max(named.replicas)
            .max(master.connected_replicas);
        self.run_id.clone_from(&master.run_id);
        Ok(Generation {
            number: self.number,
            addr: named.addr,
            run_id: master.run_id,
            version: master.version,
            since: Instant::now(),
            replicas: self.replicas,
            conn: master.conn,
        })
    }

    fn accept_epoch(&mut self, named: &Named) -> Result<(), String> {
        if named.epoch >= self.epoch {
            self.older_since = None;
            return Ok(());
        }
        let since = *self.older_since.get_or_insert_with(Instant::now);
        if named.by_most && since.elapsed() >= OLDER_EPOCH_FOR {
            return Ok(());
        }
        Err(format!(
            "{} was master in epoch {}, {} was seen",
            named.addr, named.epoch, self.epoch
        ))
    }

    /// Returns with the reason once the generation is no longer to be trusted.
    async fn watch_over(
        &mut self,
        generation: &Generation,
        switched: &mut mpsc::UnboundedReceiver<HostPort>,
    ) -> &'static str {
        let mut health = interval(HEALTH_EVERY);
        health.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                order = self.orders.recv() => match order {
                    Some(Order::Retire(number)) if number == generation.number => return "a call failed",
                    Some(Order::Doubt(number)) if number == generation.number => {
                        if !self.still_named(generation).await {
                            return "the sentinels name another master";
                        }
                        if self.retired_meanwhile(generation) {
                            return "a call failed";
                        }
                    }
                    Some(_) => {}
                    None => return "the handle is gone",
                },
                Some(addr) = switched.recv() => {
                    if addr != generation.addr {
                        return "a sentinel announced another master";
                    }
                }
                _ = health.tick() => {
                    if !self.healthy(generation).await {
                        return "no answer to a health check";
                    }
                }
            }
        }
    }

    /// One look at the Sentinels answers every doubt that came until its end: without this, doubts of a long outage
    /// would keep what comes behind them waiting.
    fn retired_meanwhile(&mut self, generation: &Generation) -> bool {
        while let Ok(order) = self.orders.try_recv() {
            if matches!(order, Order::Retire(number) if number == generation.number) {
                return true;
            }
        }
        false
    }

    async fn still_named(&self, generation: &Generation) -> bool {
        match resolve::named(&self.connector).await {
            Ok(Named { addr, .. }) => addr == generation.addr,
            // Sentinels that do not answer cannot name another one.
            Err(_) => true,
        }
    }

    async fn healthy(&self, generation: &Generation) -> bool {
        let mut conn = generation.conn.clone();
        let asked = self.clock.ask();
        let command = redis::cmd("TIME");
        match timeout(HEALTH_TIMEOUT, command.query_async::<(u64, u64)>(&mut conn)).await {
            Ok(Ok((s, us))) => {
                // A slow answer says little about the clock.
                if self.clock.ask() - asked < 20_000 {
                    self.clock.set(asked, s * 1_000_000 + us);
                }
                true
            }
            _ => false,
        }
    }
}

/// Hears `+switch-master` of one Sentinel, for ever.
async fn listen(
    connector: Arc<Connector>,
    addr: HostPort,
    master: String,
    to: mpsc::UnboundedSender<HostPort>,
) {
    loop {
        let (push, mut pushed) = mpsc::unbounded_channel::<PushInfo>();
        if let Ok(_conn) = connector.listen(&addr, push).await {
            while let Some(notice) = pushed.recv().await {
                if notice.kind == PushKind::Disconnection {
                    break;
                }
                if let Some(new) = new_master(&notice, &master)
                    && to.send(new).is_err()
                {
                    return;
                }
            }
        }
        sleep(Duration::from_secs(1)).await;
    }
}

/// The message is `<name> <old host> <old port> <new host> <new port>`.
fn new_master(notice: &PushInfo, master: &str) -> Option<HostPort> {
    let text: String = redis::from_redis_value(notice.data.last()?.clone()).ok()?;
    let mut words = text.split(' ');
    if notice.kind != PushKind::Message || words.next() != Some(master) {
        return None;
    }
    let (host, port) = (words.nth(2)?, words.next()?);
    Some(HostPort::new(host, port.parse().ok()?))
}
