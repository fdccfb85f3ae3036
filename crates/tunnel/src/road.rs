//! The way of one port into the cluster: by a node where that works, else to a pod, as long as a connection may wait.
//! Must not lose a byte of a connection that reached no pod: what was taken from the client goes to the next pod.

use std::fmt;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncWriteExt as _, copy_bidirectional};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::pool::{Endpoint, Pool};
use crate::sessions::Stream;
use crate::spec::Mode;
use crate::status::Route;

/// How long a node may take to accept.
const NODE_WITHIN: Duration = Duration::from_secs(1);
/// Between two attempts while the API server does not answer.
pub(crate) const AGAIN: Duration = Duration::from_millis(100);

/// Reaches one pod.
pub trait Dial: Send + Sync + 'static {
    /// Opens a connection to the pod's port.
    fn dial<'a>(&'a self, to: &'a Endpoint) -> Dialing<'a>;
}

/// A connection that is being opened.
pub type Dialing<'a> = Pin<Box<dyn Future<Output = Result<Link, DialError>> + Send + 'a>>;

/// Why a pod was not reached, and whose fault it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DialError {
    /// The pod's: another one may do.
    #[error("pod {pod}: {why}")]
    Pod {
        /// The pod.
        pod: String,
        /// What happened.
        why: String,
    },
    /// The way's: every pod is out of reach for now.
    #[error("{0}")]
    Way(String),
}

/// An open connection into the cluster.
#[derive(Debug)]
pub enum Link {
    /// Plain TCP.
    Tcp(TcpStream),
    /// A stream through the API server.
    Stream(Box<Stream>),
}

/// What was taken from a client and reached nobody yet.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Held {
    /// The bytes. That the client has ended need not be kept: its socket says so again.
    pub bytes: Vec<u8>,
}

/// How a connection ended.
#[derive(Debug)]
pub enum Carried {
    /// Some or all of it reached the other side.
    Over,
    /// Nothing reached the other side, and nothing came from it: another pod may be tried.
    Nowhere {
        /// What the next one is to get.
        held: Held,
        /// What happened.
        why: String,
        /// It was the way's fault, which has been mended: the same pod may do.
        stale: bool,
    },
}

impl Link {
    /// Copies both ways until both sides have ended.
    pub async fn carry(self, client: &mut TcpStream, held: Held) -> Carried {
        match self {
            Self::Stream(stream) => stream.carry(client, held).await,
            Self::Tcp(mut server) => {
                if let Err(error) = server.set_nodelay(true) {
                    tracing::debug!(%error, "nodelay");
                }
                if let Err(error) = copy(client, &mut server, held).await {
                    tracing::debug!(%error, "connection");
                }
                Carried::Over
            }
        }
    }
}

async fn copy(client: &mut TcpStream, server: &mut TcpStream, held: Held) -> std::io::Result<()> {
    server.write_all(&held.bytes).await?;
    copy_bidirectional(client, server).await?;
    Ok(())
}

/// The way of one port.
pub struct Road {
    /// The pods, where the way leads to pods.
    pub pool: Pool,
    mode: Mode,
    hold: Duration,
    dial: Arc<dyn Dial>,
    route: Mutex<Option<Route>>,
    pub(crate) open: AtomicU64,
    pub(crate) accepted: AtomicU64,
    pub(crate) failed: AtomicU64,
}

impl fmt::Debug for Road {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Road")
            .field("pool", &self.pool)
            .field("route", &self.route)
            .finish_non_exhaustive()
    }
}

impl Road {
    /// A way that does not lead anywhere yet: the pool is filled and the route is found by others.
    pub fn new(mode: Mode, hold: Duration, dial: Arc<dyn Dial>) -> Self {
        Self {
            pool: Pool::default(),
            mode,
            hold,
            dial,
            route: Mutex::new(None),
            open: AtomicU64::new(0),
            accepted: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        }
    }

    pub(crate) fn mode(&self) -> Mode {
        self.mode
    }

    /// The way that new connections take.
    pub fn route(&self) -> Option<Route> {
        *self.lock()
    }

    /// Sends new connections another way.
    pub fn set_route(&self, route: Option<Route>) {
        *self.lock() = route;
    }

    fn lock(&self) -> MutexGuard<'_, Option<Route>> {
        self.route.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Connections that are open now.
    pub fn open(&self) -> u64 {
        self.open.load(Ordering::Relaxed)
    }

    /// Carries one client's connection to its end.
    pub async fn carry(&self, mut client: TcpStream) {
        let deadline = Instant::now() + self.hold;
        let mut held = Held::default();
        loop {
            let (link, endpoint) = match self.connect(deadline).await {
                Ok(found) => found,
                Err(error) => {
                    self.failed.fetch_add(1, Ordering::Relaxed);
                    tracing::warn!(%error, "no pod took a connection in time");
                    return;
                }
            };
            match link.carry(&mut client, held).await {
                Carried::Over => return,
                Carried::Nowhere {
                    held: back,
                    why,
                    stale,
                } => {
                    tracing::debug!(why, stale, "another pod");
                    held = back;
                    if let Some(endpoint) = endpoint.filter(|_| !stale) {
                        self.pool.blame(&endpoint);
                    }
                }
            }
        }
    }

    /// Opens a connection; waits and tries again until the deadline.
    pub(crate) async fn connect(
        &self,
        deadline: Instant,
    ) -> Result<(Link, Option<Endpoint>), DialError> {
        loop {
            let error = match self.attempt(deadline).await {
                Ok(link) => return Ok(link),
                Err(error) => error,
            };
            if Instant::now() >= deadline {
                return Err(error);
            }
            let wait = async {
                match &error {
                    DialError::Way(_) if !self.pool.is_empty() => sleep(AGAIN).await,
                    DialError::Way(_) => self.pool.wait().await,
                    // Another pod is tried at once, the same one after its rest.
                    DialError::Pod { .. } => {}
                }
            };
            if timeout_at(deadline, wait).await.is_err() {
                return Err(error);
            }
        }
    }

    async fn attempt(&self, deadline: Instant) -> Result<(Link, Option<Endpoint>), DialError> {
        if let Some(Route::Node(address)) = self.route() {
            match to_node(address).await {
                Ok(link) => return Ok((link, None)),
                Err(error) if self.mode == Mode::NodePort => return Err(error),
                Err(error) => tracing::debug!(%error, "node port"),
            }
        } else if self.mode == Mode::NodePort {
            return Err(DialError::Way(
                "no node answers on the node port".to_owned(),
            ));
        }
        let Some(endpoint) = self.pool.pick() else {
            return Err(DialError::Way("no pod is ready".to_owned()));
        };
        match timeout_at(deadline, self.dial.dial(&endpoint)).await {
            Ok(Ok(link)) => Ok((link, Some(endpoint))),
            Ok(Err(error)) => {
                if matches!(error, DialError::Pod { .. }) {
                    self.pool.blame(&endpoint);
                }
                Err(error)
            }
            Err(_) => Err(DialError::Way("it took too long".to_owned())),
        }
    }
}

pub(crate) async fn to_node(address: SocketAddr) -> Result<Link, DialError> {
    match timeout(NODE_WITHIN, TcpStream::connect(address)).await {
        Ok(Ok(stream)) => Ok(Link::Tcp(stream)),
        Ok(Err(error)) => Err(DialError::Way(format!("node {address}: {error}"))),
        Err(_) => Err(DialError::Way(format!("node {address} does not answer"))),
    }
}
