//! How Redis and its Sentinels are, under the names of `redis_exporter`, so that a stack without one can be watched with the same
//! rules. Every replica says the same: take the maximum.
//!
//! It must not make a scrape wait for Redis: it looks by itself, as long as somebody asks.

use std::time::Duration;

use kedactl_queue::{MasterView, RedisConfig, Survey, Topology, survey};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::state::ApiState;

/// Between two looks.
const EVERY: Duration = Duration::from_secs(2);

/// The master's name among the Sentinels.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct MasterLabel {
    master_name: String,
}

/// The same, with what they think of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StatusLabels {
    master_name: String,
    master_status: &'static str,
}

/// Every handle.
#[derive(Debug, Default)]
pub struct RedisGauges {
    up: Gauge,
    replicas: Gauge,
    clients: Gauge,
    memory: Gauge,
    max_memory: Gauge,
    appended: Gauge,
    rewritten: Gauge,
    saved: Gauge,
    commands: Counter,
    sentinels: Family<MasterLabel, Gauge>,
    able: Family<MasterLabel, Gauge>,
    slaves: Family<MasterLabel, Gauge>,
    online: Family<MasterLabel, Gauge>,
    quorum: Family<MasterLabel, Gauge>,
    status: Family<StatusLabels, Gauge>,
}

impl RedisGauges {
    /// Registers them under the names that `redis_exporter` gives them.
    pub(super) fn register(&self, r: &mut Registry) {
        let mut gauge = |name: &str, help: &str, it: &Gauge| r.register(name, help, it.clone());
        gauge("redis_up", "1 where the master answers", &self.up);
        gauge(
            "redis_connected_slaves",
            "Replicas of the master",
            &self.replicas,
        );
        gauge(
            "redis_connected_clients",
            "Connections of clients",
            &self.clients,
        );
        gauge(
            "redis_memory_used_bytes",
            "Memory that the master uses",
            &self.memory,
        );
        gauge(
            "redis_memory_max_bytes",
            "Most that it may use; 0: no limit",
            &self.max_memory,
        );
        gauge(
            "redis_aof_last_write_status",
            "1 where the append-only file could be written",
            &self.appended,
        );
        gauge(
            "redis_aof_last_bgrewrite_status",
            "1 where it could be rewritten",
            &self.rewritten,
        );
        gauge(
            "redis_rdb_last_bgsave_status",
            "1 where the snapshot could be written",
            &self.saved,
        );
        r.register(
            "redis_commands_processed",
            "Commands that the master ran",
            self.commands.clone(),
        );
        let mut family = |name: &str, help: &str, it: &Family<MasterLabel, Gauge>| {
            r.register(name, help, it.clone());
        };
        family(
            "redis_sentinel_master_sentinels",
            "Sentinels that the settings name",
            &self.sentinels,
        );
        family(
            "redis_sentinel_master_ok_sentinels",
            "Sentinels that answer",
            &self.able,
        );
        family(
            "redis_sentinel_master_slaves",
            "Replicas of the master",
            &self.slaves,
        );
        family(
            "redis_sentinel_master_ok_slaves",
            "Replicas that receive what it writes",
            &self.online,
        );
        family(
            "redis_sentinel_master_ckquorum_status",
            "1 where most Sentinels could order a fail-over",
            &self.quorum,
        );
        r.register(
            "redis_sentinel_master_status",
            "1 for what is the case",
            self.status.clone(),
        );
    }

    /// Gives every family a series, for whoever lists what is exported.
    pub(crate) fn touch(&self) {
        let label = MasterLabel {
            master_name: String::new(),
        };
        for family in [
            &self.sentinels,
            &self.able,
            &self.slaves,
            &self.online,
            &self.quorum,
        ] {
            drop(family.get_or_create(&label));
        }
        let labels = StatusLabels {
            master_name: String::new(),
            master_status: "ok",
        };
        drop(self.status.get_or_create(&labels));
    }

    fn set(&self, seen: &Survey, config: &RedisConfig) {
        match &seen.master {
            Ok(master) => self.set_master(master),
            Err(error) => {
                tracing::debug!(error, "the master does not answer");
                self.up.set(0);
                self.replicas.set(0);
            }
        }
        let Topology::Sentinel { master, .. } = &config.topology else {
            return;
        };
        let label = MasterLabel {
            master_name: master.clone(),
        };
        let set = |family: &Family<MasterLabel, Gauge>, n: usize| {
            family.get_or_create(&label).set(n as i64);
        };
        let answering = seen.sentinels.iter().filter(|it| it.master.is_ok()).count();
        set(&self.sentinels, seen.sentinels.len());
        set(&self.able, answering);
        set(&self.quorum, usize::from(seen.quorum()));
        let up = seen.master.as_ref().ok();
        set(&self.slaves, up.map_or(0, |it| it.replicas.len()));
        set(&self.online, up.map_or(0, MasterView::online));
        for (master_status, is) in [("ok", up.is_some()), ("down", up.is_none())] {
            let labels = StatusLabels {
                master_name: master.clone(),
                master_status,
            };
            self.status.get_or_create(&labels).set(i64::from(is));
        }
    }

    fn set_master(&self, it: &MasterView) {
        self.up.set(1);
        self.replicas.set(it.replicas.len() as i64);
        self.clients.set(it.clients as i64);
        self.memory.set(it.memory as i64);
        self.max_memory.set(it.max_memory as i64);
        self.appended.set(i64::from(it.append_only_error.is_none()));
        self.rewritten.set(i64::from(it.rewrite_error.is_none()));
        self.saved.set(i64::from(it.snapshot_error.is_none()));
        let commands = self.commands.inner();
        commands.store(it.commands, std::sync::atomic::Ordering::Relaxed);
    }
}

/// Looks again and again while somebody asks for metrics.
pub(super) async fn watch(state: ApiState, stop: CancellationToken) {
    let config = &state.settings.redis;
    loop {
        match survey(config).await {
            Ok(seen) => state.metrics.redis.set(&seen, config),
            Err(error) => tracing::debug!(%error, "no metrics of Redis"),
        }
        let pause = async {
            sleep(EVERY).await;
            state.scraped.notified().await;
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = pause => {}
        }
    }
}
