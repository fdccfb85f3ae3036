//! A recorded stack whose cluster answers, and the ways into it that are opened when they are first needed.
//!
//! Must not write to the cluster.

use std::collections::BTreeSet;
use std::time::Duration;

use kedactl_cluster::{Cluster, Picture};
use kedactl_queue::{Inspector, QueueName, Redis};
use tokio::sync::OnceCell;

use crate::status::{Status, gather};
use crate::{Home, Reached, Record, StackError};

/// How long a master is waited for: a fail-over takes a few seconds.
const MASTER_WITHIN: Duration = Duration::from_secs(10);

/// A stack on a cluster that was reached.
pub struct Live {
    home: Home,
    record: Record,
    cluster: Cluster,
    redis: OnceCell<Reached>,
    handle: OnceCell<Redis>,
}

impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Live")
            .field("stack", &self.home.stack())
            .field("cluster", &self.cluster)
            .finish_non_exhaustive()
    }
}

impl Live {
    /// Connects to the cluster that the stack is bound to.
    pub async fn open(home: Home, record: Record) -> Result<Self, StackError> {
        let cluster = record.connect().await?;
        Ok(Self {
            home,
            record,
            cluster,
            redis: OnceCell::new(),
            handle: OnceCell::new(),
        })
    }

    /// Where its files lie.
    pub fn home(&self) -> &Home {
        &self.home
    }

    /// What is recorded of it.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// Its cluster.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// Every namespace in which something of it may be.
    pub fn namespaces(&self) -> BTreeSet<String> {
        let config = &self.record.config;
        let releases = config.wanted_releases();
        let of_releases = releases.filter_map(|(_, release)| release.namespace.clone());
        of_releases
            .chain([config.namespace.clone(), config.keda.namespace.clone()])
            .collect()
    }

    /// The queue that its configuration names.
    pub fn queue(&self) -> Result<QueueName, StackError> {
        let name = &self.record.config.queue.name;
        name.parse().map_err(|_| StackError::Config {
            problem: format!("`{name}` is not the name of a queue"),
            cure: "correct queue.name".to_owned(),
        })
    }

    /// The way to its Redis, opened once.
    pub async fn redis(&self) -> Result<&Reached, StackError> {
        let open = || crate::redis::redis(&self.record, &self.cluster);
        self.redis.get_or_try_init(open).await
    }

    /// A handle to its Redis. It is not waited for: who gives up has lost nothing, the connecting goes on.
    pub(crate) async fn handle(&self) -> Result<&Redis, StackError> {
        let start = || async {
            let reached = self.redis().await?;
            Ok(Redis::start(reached.config().clone())?)
        };
        self.handle.get_or_try_init(start).await
    }

    /// One who looks into its queues, once a master is there.
    pub async fn inspector(&self) -> Result<Inspector, StackError> {
        Ok(Inspector::new(self.ready_redis().await?))
    }

    /// A handle to its Redis, once a master is there; it is good for as long as this value is there.
    pub async fn ready_redis(&self) -> Result<&Redis, StackError> {
        let redis = self.handle().await?;
        match redis.ready(MASTER_WITHIN).await {
            Ok(()) => Ok(redis),
            Err(error) => Err(StackError::of_queue(error, self.redis().await?)),
        }
    }

    /// Everything in its namespaces as texts, for whoever looks when the cluster is gone.
    pub async fn picture(&self) -> Picture {
        kedactl_cluster::picture(&self.cluster, &self.namespaces()).await
    }

    /// One look at everything.
    pub async fn status(&self) -> Status {
        // Many requests at once make a large future.
        Box::pin(gather(self)).await
    }
}
