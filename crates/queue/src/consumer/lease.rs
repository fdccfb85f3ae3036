//! The lease: beaten from a thread and a connection of their own, which no handler can block.
//!
//! It must not register: a lease that ran out is reported, and the session makes a new worker instance.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use super::Shared;
use crate::config::RedisConfig;
use crate::error::QueueError;
use crate::id::TaskId;
use crate::keys;
use crate::library;
use crate::name::QueueName;
use crate::redis_handle::{CALL_TIMEOUT, Conn, Redis, unavailable};
use crate::reply;

/// What the thread needs; it does not keep the consumer alive.
struct Lease {
    shared: Weak<Shared>,
    config: RedisConfig,
    queues: Vec<QueueName>,
    length: Duration,
    cancellations: broadcast::Sender<TaskId>,
    stop: CancellationToken,
}

/// Starts the thread. It ends with the consumer.
pub(super) fn spawn(shared: &Arc<Shared>) -> Result<(), QueueError> {
    let lease = Lease {
        shared: Arc::downgrade(shared),
        config: shared.redis.config().clone(),
        queues: shared.options.queues.clone(),
        length: shared.options.lease,
        cancellations: shared.cancellations.clone(),
        stop: shared.stop.clone(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|e| QueueError::Config {
        what: format!("no runtime for the lease: {e}"),
    })?;
    let thread = std::thread::Builder::new().name("queue-lease".to_owned());
    let started = thread.spawn(move || runtime.block_on(lease.run()));
    started.map(drop).map_err(|e| QueueError::Config {
        what: format!("no thread for the lease: {e}"),
    })
}

impl Lease {
    async fn run(self) {
        let Ok(redis) = Redis::start(self.config.clone()) else {
            return;
        };
        let mut conn = None;
        while !self.stop.is_cancelled() {
            tokio::select! {
                beaten = self.beat(&redis, &mut conn) => {
                    if let Err(error) = beaten {
                        conn = None;
                        tracing::debug!(%error, "lease not beaten");
                        tokio::time::sleep(Duration::from_millis(200)).await;
                    }
                }
                () = self.stop.cancelled() => return,
            }
        }
    }

    /// Beats once, then waits a third of the lease for cancellations.
    async fn beat(&self, redis: &Redis, conn: &mut Option<Conn>) -> Result<(), QueueError> {
        let generation = redis.master(CALL_TIMEOUT).await?;
        let pause = self.length / 3;
        if conn
            .as_ref()
            .is_none_or(|c| c.generation.number != generation.number)
        {
            *conn = Some(redis.own_conn_to(generation, pause + CALL_TIMEOUT).await?);
        }
        let Some(open) = conn.as_mut() else {
            return Err(unavailable("no connection"));
        };
        let Some(instance) = self.instance() else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            return Ok(());
        };
        for queue in &self.queues {
            let mut call = library::call("beat", queue);
            call.arg(&instance).arg(self.length.as_millis() as u64);
            let answer = open.query(&call).await?;
            if reply::number(reply::array(&answer)?.get(1))? == 1 {
                self.lost(&instance);
                tokio::time::sleep(Duration::from_millis(100)).await;
                return Ok(());
            }
        }
        self.wait_for_cancellations(open, &instance, pause).await
    }

    async fn wait_for_cancellations(
        &self,
        conn: &mut Conn,
        instance: &str,
        pause: Duration,
    ) -> Result<(), QueueError> {
        let mut command = redis::cmd("BLPOP");
        for queue in &self.queues {
            command.arg(keys::cancel_inbox(queue, instance));
        }
        command.arg(format!("{:.3}", pause.as_secs_f64()));
        let answer = conn.query(&command).await?;
        if let Ok(pair) = reply::array(&answer)
            && let Ok(id) = reply::id(pair.get(1))
        {
            // Nobody may be listening.
            let _unheard = self.cancellations.send(id);
        }
        Ok(())
    }

    fn instance(&self) -> Option<String> {
        let instance = self.shared.upgrade()?.books().instance.clone();
        (!instance.is_empty()).then_some(instance)
    }

    /// Only the instance that is still in use counts: another one may be registered by now.
    fn lost(&self, instance: &str) {
        if let Some(shared) = self.shared.upgrade()
            && shared.books().instance == instance
        {
            tracing::warn!(instance, "the lease ran out");
            shared.lease_lost.store(true, Ordering::Release);
        }
    }
}
