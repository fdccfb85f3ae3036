//! `Redis`: one handle that follows the master through fail-overs.
//!
//! It must not resend a call: whether a call may be repeated is its caller's knowledge.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{Cmd, ErrorKind, Pipeline, RedisError, ServerErrorKind, Value};
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout_at};

use crate::clock::ServerClock;
use crate::config::{HostPort, RedisConfig};
use crate::connector::{Connector, Peer};
use crate::error::QueueError;
use crate::library::{self, Library};
use crate::supervisor::{Order, Supervisor};

/// Longest wait for an answer of a call that does not block.
pub(crate) const CALL_TIMEOUT: Duration = Duration::from_secs(2);
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// A handle to the queue's Redis; cloning is cheap, and the last one ends the supervisor.
#[derive(Debug, Clone)]
pub struct Redis {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    connector: Arc<Connector>,
    current: watch::Receiver<Option<Arc<Generation>>>,
    complaint: watch::Receiver<Option<String>>,
    orders: mpsc::UnboundedSender<Order>,
    clock: ServerClock,
    failovers: Arc<AtomicU64>,
    supervisor: AbortHandle,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.supervisor.abort();
    }
}

/// One period in which one server was known as master.
#[derive(Debug)]
pub struct Generation {
    /// Counts from 1.
    pub number: u64,
    pub addr: HostPort,
    /// The server process: another one than before may have lost the latest writes.
    pub run_id: String,
    pub version: String,
    pub since: Instant,
    /// Replicas that the Sentinels know, or that were connected: what durability `all` asks for.
    pub replicas: usize,
    pub(crate) conn: MultiplexedConnection,
}

impl Redis {
    /// Starts to look for the master and does not wait for it: for services that come up before Redis does.
    /// Needs a tokio runtime.
    pub fn start(config: RedisConfig) -> Result<Self, QueueError> {
        let connector = Arc::new(Connector::new(config)?);
        let clock = ServerClock::new();
        let (publish, current) = watch::channel(None);
        let (complain, complaint) = watch::channel(None);
        let (orders, inbox) = mpsc::unbounded_channel();
        let failovers = Arc::new(AtomicU64::new(0));
        let supervisor = Supervisor::new(
            Arc::clone(&connector),
            clock.clone(),
            publish,
            complain,
            inbox,
            Arc::clone(&failovers),
        );
        let supervisor = tokio::spawn(supervisor.run()).abort_handle();
        Ok(Self {
            inner: Arc::new(Inner {
                connector,
                current,
                complaint,
                orders,
                clock,
                failovers,
                supervisor,
            }),
        })
    }

    /// As [`Redis::start`], but waits up to 10 s for a master.
    pub async fn connect(config: RedisConfig) -> Result<Self, QueueError> {
        let redis = Self::start(config)?;
        redis.master(Duration::from_secs(10)).await?;
        Ok(redis)
    }

    /// Waits for a master, at most this long.
    pub async fn ready(&self, within: Duration) -> Result<(), QueueError> {
        self.master(within).await.map(drop)
    }

    /// The present generation; `None` while no master is known.
    pub fn generation(&self) -> Option<Arc<Generation>> {
        self.inner.current.borrow().clone()
    }

    /// Whether a master is known now.
    pub fn is_ready(&self) -> bool {
        self.inner.current.borrow().is_some()
    }

    /// The server's time in microseconds since 1970; 0 before the first connection.
    pub fn now_us(&self) -> u64 {
        self.inner.clock.now_us()
    }

    /// How often the master process changed under this handle.
    pub fn failovers(&self) -> u64 {
        self.inner.failovers.load(Ordering::Relaxed)
    }

    /// A round trip to the master.
    pub async fn ping(&self) -> Result<(), QueueError> {
        self.conn()
            .await?
            .query(&redis::cmd("PING"))
            .await
            .map(drop)
    }

    pub(crate) fn config(&self) -> &RedisConfig {
        self.inner.connector.config()
    }

    pub(crate) fn clock(&self) -> &ServerClock {
        &self.inner.clock
    }

    pub(crate) fn watch(&self) -> watch::Receiver<Option<Arc<Generation>>> {
        self.inner.current.clone()
    }

    /// Waits for a master.
    pub(crate) async fn master(&self, within: Duration) -> Result<Arc<Generation>, QueueError> {
        let mut current = self.watch();
        let until = Instant::now() + within;
        let found = timeout_at(until, current.wait_for(Option::is_some)).await;
        if let Ok(Ok(generation)) = found {
            return generation.clone().ok_or_else(|| unavailable("no master"));
        }
        let why = self.inner.complaint.borrow();
        let why = why.as_ref().map(|why| format!(": {why}"));
        let why = why.unwrap_or_default();
        Err(unavailable(format!("no master is known{why}")))
    }

    /// The shared connection of the present generation, for calls that do not block.
    pub(crate) async fn conn(&self) -> Result<Conn, QueueError> {
        let generation = self.master(CALL_TIMEOUT).await?;
        Ok(Conn {
            raw: generation.conn.clone(),
            redis: self.clone(),
            generation,
            library: library::own(),
        })
    }

    /// A connection of its own to the present master.
    pub(crate) async fn own_conn(&self, response_timeout: Duration) -> Result<Conn, QueueError> {
        let generation = self.master(CALL_TIMEOUT).await?;
        self.own_conn_to(generation, response_timeout).await
    }

    /// A connection of its own to a given generation's master.
    pub(crate) async fn own_conn_to(
        &self,
        generation: Arc<Generation>,
        response_timeout: Duration,
    ) -> Result<Conn, QueueError> {
        let connected = self
            .inner
            .connector
            .connect(&generation.addr, Peer::Server, response_timeout)
            .await;
        let raw = connected.map_err(|e| self.judge(generation.number, e))?;
        Ok(Conn {
            raw,
            redis: self.clone(),
            generation,
            library: library::own(),
        })
    }

    /// Turns an error into ours, and tells the supervisor when it casts doubt on the master.
    fn judge(&self, generation: u64, error: RedisError) -> QueueError {
        let code = error.code().unwrap_or_default();
        let order = match error.kind() {
            ErrorKind::Server(
                ServerErrorKind::ReadOnly
                | ServerErrorKind::BusyLoading
                | ServerErrorKind::MasterDown,
            )
            | ErrorKind::Io
            | ErrorKind::Parse => Some(Order::Retire(generation)),
            _ if code == "UNBLOCKED"
                || error.is_io_error()
                || error.is_timeout()
                || error.is_connection_dropped() =>
            {
                Some(Order::Retire(generation))
            }
            _ if matches!(code, "NOREPLICAS" | "BUSY" | "MISCONF") => {
                Some(Order::Doubt(generation))
            }
            _ => None,
        };
        match order {
            Some(order) => {
                // Nobody listens only when the handle is being dropped.
                let _sent = self.inner.orders.send(order);
                unavailable(error.to_string())
            }
            None => QueueError::Refused(error),
        }
    }
}

pub(crate) fn unavailable(reason: impl Into<String>) -> QueueError {
    QueueError::Unavailable {
        reason: reason.into(),
        retry_after: RETRY_AFTER,
    }
}

/// A connection to one generation's master.
#[derive(Debug, Clone)]
pub(crate) struct Conn {
    raw: MultiplexedConnection,
    redis: Redis,
    pub(crate) generation: Arc<Generation>,
    /// What is loaded where a call says that it is missing.
    library: &'static Library,
}

impl Conn {
    /// For calls of another library than the queue's.
    pub(crate) fn of_library(mut self, library: &'static Library) -> Self {
        self.library = library;
        self
    }

    /// One command. A missing function library is loaded and the call repeated, because it was not carried out.
    pub(crate) async fn query(&mut self, command: &Cmd) -> Result<Value, QueueError> {
        let mut answer = self
            .unless_retired(self.raw.clone().send_packed_command(command))
            .await?;
        answer = answer.and_then(Value::extract_error);
        if let Err(error) = &answer
            && library::is_missing(error)
        {
            self.load().await?;
            answer = self
                .raw
                .send_packed_command(command)
                .await
                .and_then(Value::extract_error);
        }
        answer.map_err(|e| self.redis.judge(self.generation.number, e))
    }

    /// Several commands in one write; one answer each. An error of any of them is the error of all.
    pub(crate) async fn query_all(
        &mut self,
        pipeline: &Pipeline,
    ) -> Result<Vec<Value>, QueueError> {
        let n = pipeline.len();
        let sent = self
            .unless_retired(self.raw.clone().send_packed_commands(pipeline, 0, n))
            .await?;
        let sent = sent.and_then(|values| values.into_iter().map(Value::extract_error).collect());
        match sent {
            Err(error) if is_missing_in(&error) => {
                self.load().await?;
                Err(unavailable("the function library was missing"))
            }
            Err(error) => Err(self.redis.judge(self.generation.number, error)),
            Ok(values) => Ok(values),
        }
    }

    /// A call to a server that stopped answering ends with its generation, not with its own time-out.
    async fn unless_retired<T>(&self, call: impl Future<Output = T>) -> Result<T, QueueError> {
        let mut current = self.redis.watch();
        let number = self.generation.number;
        tokio::select! {
            biased;
            answer = call => Ok(answer),
            _ = current.wait_for(|g| g.as_ref().is_none_or(|g| g.number != number)) => {
                Err(unavailable("the master was given up while it was asked"))
            }
        }
    }

    async fn load(&mut self) -> Result<(), QueueError> {
        self.library
            .ensure(&mut self.raw)
            .await
            .map_err(|e| self.redis.judge(self.generation.number, e))
    }
}

fn is_missing_in(error: &RedisError) -> bool {
    library::is_missing(error) || error.to_string().contains("unction not found")
}
