//! Ports of single pods on 127.0.0.1, for a program that has to reach each pod of a set by itself: Sentinels, replicas.
//! Must not send a connection to another pod than the one that its name says, and must not outlive its value.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use kube::Client;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::TunnelError;
use crate::forward::Forward;
use crate::pool::Endpoint;
use crate::proxy::accept;
use crate::road::{Carried, Dial, DialError, Held};
use crate::upgrade::of_pod;

/// A pod's port, and the host under which it is known in the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodPort {
    /// As it is announced there: `redis-node-0.redis-headless.keda.svc`.
    pub host: String,
    /// The pod and its port.
    pub endpoint: Endpoint,
}

impl PodPort {
    /// Every given port of every pod of a `StatefulSet`, under the names that its headless Service gives to the pods.
    pub fn of_set(
        namespace: &str,
        set: &str,
        service: &str,
        replicas: u16,
        ports: &[u16],
    ) -> Vec<Self> {
        let pods = (0..replicas).map(|ordinal| format!("{set}-{ordinal}"));
        let each = pods.flat_map(|pod| ports.iter().map(move |port| (pod.clone(), *port)));
        each.map(|(pod, port)| Self {
            host: format!("{pod}.{service}.{namespace}.svc"),
            endpoint: Endpoint {
                namespace: namespace.to_owned(),
                pod,
                port,
            },
        })
        .collect()
    }
}

/// Pods within reach for as long as this value lives; with it end its listeners and connections.
///
/// A connection to a pod that is away is closed at once. The pod that comes back under the same name is reached by the
/// same address.
///
/// ```no_run
/// # async fn open(client: kube::Client) -> Result<(), kedactl_tunnel::TunnelError> {
/// use kedactl_tunnel::{PodPort, PodPorts};
///
/// let pods = PodPort::of_set("keda", "redis-node", "redis-headless", 3, &[6379, 26379]);
/// let pods = PodPorts::open(client, pods).await?;
/// for (host, port, here) in pods.addresses() {
///     println!("{host}:{port} is {here} here");
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct PodPorts {
    lines: Vec<Line>,
    /// Dropped with this value, and every connection with them.
    _listeners: JoinSet<()>,
}

#[derive(Debug)]
struct Line {
    pod: PodPort,
    here: SocketAddr,
    trouble: Arc<Trouble>,
}

/// Why the last connection to a pod failed; nothing after one that worked.
#[derive(Debug, Default)]
struct Trouble(Mutex<Option<String>>);

impl Trouble {
    fn set(&self, why: Option<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = why;
    }

    fn get(&self) -> Option<String> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl PodPorts {
    /// Listens for each of the pods, and reaches them through this client's API server. Asks the cluster nothing yet:
    /// a pod that is not there, or the right to create `pods/portforward` that is missing, is [trouble](Self::troubles) of
    /// the connections to come.
    pub async fn open(client: Client, pods: Vec<PodPort>) -> Result<Self, TunnelError> {
        Self::by(Arc::new(Forward::new(client)), pods).await
    }

    /// As [`Self::open`], by another way to the pods.
    pub async fn by(dial: Arc<dyn Dial>, pods: Vec<PodPort>) -> Result<Self, TunnelError> {
        let (mut lines, mut listeners) = (Vec::new(), JoinSet::new());
        for pod in pods {
            let bound = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
            let listener = bound.map_err(|source| TunnelError::Listen { source })?;
            let here = listener.local_addr();
            let here = here.map_err(|source| TunnelError::Listen { source })?;
            let trouble: Arc<Trouble> = Arc::default();
            let way = (
                Arc::clone(&dial),
                pod.endpoint.clone(),
                Arc::clone(&trouble),
            );
            listeners.spawn(async move {
                let mut open = JoinSet::new();
                loop {
                    let client = accept(&listener, &mut open).await;
                    let (dial, to, trouble) = way.clone();
                    open.spawn(async move {
                        let carried = carry(&*dial, &to, client, &trouble).await;
                        if let Err(error) = carried {
                            tracing::debug!(%error, pod = to.pod, "pod port");
                            trouble.set(Some(error.to_string()));
                        }
                    });
                }
            });
            lines.push(Line { pod, here, trouble });
        }
        Ok(Self {
            lines,
            _listeners: listeners,
        })
    }

    /// The hosts and ports as they are announced in the cluster, each with its address here.
    pub fn addresses(&self) -> impl Iterator<Item = (String, u16, SocketAddr)> {
        let lines = self.lines.iter();
        lines.map(|line| (line.pod.host.clone(), line.pod.endpoint.port, line.here))
    }

    /// The pods whose last connection failed, and why.
    pub fn troubles(&self) -> impl Iterator<Item = (&PodPort, String)> {
        let lines = self.lines.iter();
        lines.filter_map(|line| Some((&line.pod, line.trouble.get()?)))
    }
}

async fn carry(
    dial: &dyn Dial,
    to: &Endpoint,
    mut client: TcpStream,
    trouble: &Trouble,
) -> Result<(), DialError> {
    let mut bytes = Held::default();
    loop {
        let link = dial.dial(to).await?;
        trouble.set(None);
        match link.carry(&mut client, bytes).await {
            Carried::Over => return Ok(()),
            Carried::Nowhere { held, stale, .. } if stale => bytes = held,
            Carried::Nowhere { why, .. } => return Err(of_pod(to, why)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pods_of_a_set_have_the_names_of_its_headless_service() {
        let pods = PodPort::of_set("keda", "redis-node", "redis-headless", 2, &[6379, 26379]);
        let named = |pod: &PodPort| {
            let at = &pod.endpoint;
            format!("{}:{} {}/{}", pod.host, at.port, at.namespace, at.pod)
        };
        let named: Vec<String> = pods.iter().map(named).collect();
        assert_eq!(
            named,
            [
                "redis-node-0.redis-headless.keda.svc:6379 keda/redis-node-0",
                "redis-node-0.redis-headless.keda.svc:26379 keda/redis-node-0",
                "redis-node-1.redis-headless.keda.svc:6379 keda/redis-node-1",
                "redis-node-1.redis-headless.keda.svc:26379 keda/redis-node-1",
            ]
        );
    }
}
