//! Sessions with the runtimes of pods that are free for the next connection, and one more than is asked for.
//! Must not lend a session to two connections at once: neither side of one could stop without stopping the other.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use kube::Client;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::pool::Endpoint;
use crate::road::{Carried, DialError, Held};
use crate::spdy::{Ending, Pair, Probed, Session};
use crate::upgrade::{of_pod, upgrade};

/// How long the API server, the kubelet and the runtime together may take to open a session.
const OPEN_WITHIN: Duration = Duration::from_secs(5);
/// How long a session that was used before may take for another connection.
const AGAIN_WITHIN: Duration = Duration::from_secs(1);
/// How long a session waits for the next connection. Less than what is in between may cut for being idle.
const IDLE: Duration = Duration::from_secs(30);
/// Free sessions that are kept for one pod.
const KEPT: usize = 32;

/// Namespace and name.
type Pod = (String, String);

/// The free sessions of one API server's pods.
pub(crate) struct Sessions {
    client: Client,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The one that was used last comes last.
    free: HashMap<Pod, Vec<Free>>,
    /// Pods for which a session is being opened ahead.
    ahead: HashSet<Pod>,
    looked_after: bool,
    /// Dropped with the sessions.
    tasks: JoinSet<()>,
}

struct Free {
    session: Session,
    since: Instant,
}

/// A connection to a pod's port, through the API server.
pub struct Stream {
    pair: Pair,
    /// The session was open before: it may lead to a pod of this name that is gone.
    again: bool,
    pod: Pod,
    home: Weak<Sessions>,
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream")
            .field("pod", &self.pod)
            .field("pair", &self.pair)
            .finish_non_exhaustive()
    }
}

/// What a runtime said instead of connecting.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) why: String,
    /// The pod was not asked: the session was too old.
    pub(crate) stale: bool,
}

impl Sessions {
    pub(crate) fn new(client: Client) -> Self {
        Self {
            client,
            state: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens a connection: over a free session where one still works, else over a new one.
    pub(crate) async fn open(self: &Arc<Self>, to: &Endpoint) -> Result<Stream, DialError> {
        let pod = (to.namespace.clone(), to.pod.clone());
        let (pair, again) = match self.again(&pod, to.port).await {
            Some(pair) => (pair, true),
            None => (self.anew(to).await?, false),
        };
        self.open_ahead(to);
        Ok(Stream {
            pair,
            again,
            pod,
            home: Arc::downgrade(self),
        })
    }

    async fn again(&self, pod: &Pod, port: u16) -> Option<Pair> {
        let free = self.lock().free.get_mut(pod).and_then(Vec::pop)?;
        match timeout(AGAIN_WITHIN, free.session.open(port)).await {
            Ok(Ok(pair)) => Some(pair),
            failed => {
                tracing::debug!(?failed, ?pod, "a free session is over");
                self.forget(pod);
                None
            }
        }
    }

    async fn anew(&self, to: &Endpoint) -> Result<Pair, DialError> {
        let open = async {
            let session = upgrade(&self.client, to).await?;
            let pair = session.open(to.port).await;
            pair.map_err(|error| of_pod(to, error.to_string()))
        };
        let late = |_| of_pod(to, format!("no answer within {OPEN_WITHIN:?}"));
        timeout(OPEN_WITHIN, open).await.map_err(late)?
    }

    /// Opens one more session where none is free, so that the next connection need not wait for it.
    fn open_ahead(self: &Arc<Self>, to: &Endpoint) {
        let pod = (to.namespace.clone(), to.pod.clone());
        let mut state = self.lock();
        while state.tasks.try_join_next().is_some() {}
        let enough = state.free.get(&pod).is_some_and(|free| !free.is_empty());
        if enough || !state.ahead.insert(pod.clone()) {
            return;
        }
        let (client, home, to) = (self.client.clone(), Arc::downgrade(self), to.clone());
        state.tasks.spawn(async move {
            let opened = timeout(OPEN_WITHIN, upgrade(&client, &to)).await;
            let Some(home) = home.upgrade() else {
                return;
            };
            home.lock().ahead.remove(&pod);
            if let Ok(Ok(session)) = opened {
                home.keep(pod, session);
            }
        });
    }

    /// Takes a session back, for the next connection to this pod.
    fn keep(self: &Arc<Self>, pod: Pod, session: Session) {
        let mut state = self.lock();
        let free = state.free.entry(pod).or_default();
        if free.len() >= KEPT {
            return;
        }
        let since = Instant::now();
        free.push(Free { session, since });
        if !state.looked_after {
            state.looked_after = true;
            state.tasks.spawn(look_after(Arc::downgrade(self)));
        }
    }

    /// Closes what nobody wanted for long, and says whether anything is left.
    fn close_idle(&self) -> bool {
        let mut state = self.lock();
        state.free.retain(|_, free| {
            free.retain(|free| free.since.elapsed() < IDLE);
            !free.is_empty()
        });
        state.looked_after = !state.free.is_empty();
        state.looked_after
    }

    fn forget(&self, pod: &Pod) {
        self.lock().free.remove(pod);
    }
}

/// Looks after free sessions until none is left.
async fn look_after(home: Weak<Sessions>) {
    loop {
        sleep(IDLE / 4).await;
        let Some(home) = home.upgrade() else {
            return;
        };
        if !home.close_idle() {
            return;
        }
    }
}

impl Stream {
    /// Carries a client's connection until both sides have ended.
    pub(crate) async fn carry(self, client: &mut TcpStream, held: Held) -> Carried {
        let (home, pod) = (self.home.clone(), self.pod.clone());
        let free = move |session| {
            if let Some(home) = home.upgrade() {
                home.keep(pod, session);
            }
        };
        match self.pair.carry(client, held, free).await {
            Ending::Over => Carried::Over,
            Ending::Nowhere(held, why) => {
                let stale = stale(self.again, &self.home, &self.pod, &why);
                Carried::Nowhere { held, why, stale }
            }
        }
    }

    /// Whether the pod takes connections.
    pub(crate) async fn probe(self, within: Duration) -> Result<(), Refused> {
        match self.pair.probe(within).await {
            Probed::Takes(session) => {
                if let (Some(home), Some(session)) = (self.home.upgrade(), session) {
                    home.keep(self.pod, session);
                }
                Ok(())
            }
            Probed::Refused(why) => {
                let stale = stale(self.again, &self.home, &self.pod, &why);
                Err(Refused { why, stale })
            }
        }
    }
}

/// Whether the session is to blame for a failure and not the pod. Then the other free ones are no better.
fn stale(again: bool, home: &Weak<Sessions>, pod: &Pod, why: &str) -> bool {
    // Only who reached the pod can be refused by it.
    let stale = again && !why.to_ascii_lowercase().contains("refused");
    if stale && let Some(home) = home.upgrade() {
        home.forget(pod);
    }
    stale
}

#[cfg(test)]
mod tests;
