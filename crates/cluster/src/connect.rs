//! The way to one cluster, named by file and context, and who the cluster is.
//! Must not read the user's current context, nor fall back to another file or cluster.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use kube::Client;
use kube::config::{Config, KubeConfigOptions, Kubeconfig, KubeconfigError};
use tokio::sync::Mutex;

use crate::api::{ApiError, classify};
use crate::error::Error;
use crate::kinds::Kind;
use crate::object::text;

/// How long to wait for what.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// For a TCP and TLS connection.
    pub connect: Duration,
    /// For the whole answer to one request.
    pub request: Duration,
    /// For a server that is away or overloaded, before a request is given up. Not used while connecting.
    pub patience: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            request: Duration::from_secs(30),
            patience: Duration::from_secs(15),
        }
    }
}

/// Which cluster is meant.
#[derive(Debug, Clone)]
pub struct Target {
    /// The kubeconfig file.
    pub kubeconfig: PathBuf,
    /// The context in it. Never the file's own current one.
    pub context: String,
    /// How long to wait.
    pub timeouts: Timeouts,
}

impl Target {
    /// A target with the usual patience.
    pub fn new(kubeconfig: impl Into<PathBuf>, context: impl Into<String>) -> Self {
        Self {
            kubeconfig: kubeconfig.into(),
            context: context.into(),
            timeouts: Timeouts::default(),
        }
    }
}

/// A cluster that answered and said who it is. Cheap to clone.
#[derive(Clone)]
pub struct Cluster {
    inner: Arc<Inner>,
}

struct Inner {
    client: Client,
    context: String,
    server: String,
    timeouts: Timeouts,
    identity: Identity,
    kinds: Mutex<HashMap<(String, String), Kind>>,
}

#[derive(Debug, Default)]
struct Identity {
    uid: String,
    version: String,
    /// Seconds that the server's clock is ahead of ours.
    ahead: i64,
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster")
            .field("context", &self.inner.context)
            .field("server", &self.inner.server)
            .field("uid", &self.inner.identity.uid)
            .finish_non_exhaustive()
    }
}

impl Cluster {
    /// Connects, and asks the cluster for its identity (UID of the namespace kube-system) and version.
    pub async fn connect(target: &Target) -> Result<Self, Error> {
        let config = config(target).await?;
        let server = config.cluster_url.to_string();
        let server = server.trim_end_matches('/').to_owned();
        let plugin = config.auth_info.exec.as_ref();
        let plugin = plugin.and_then(|exec| exec.command.clone());
        let client = Client::try_from(config).map_err(|error| {
            let action = format!("use context {}", target.context);
            Error::api(action, classify(&error, &server).with_plugin(plugin))
        })?;
        // The first questions are asked once: who waits for a cluster that is not there waits elsewhere.
        let curt = Timeouts {
            request: target.timeouts.connect * 2,
            patience: Duration::ZERO,
            ..target.timeouts
        };
        let asking = Self::new(client, target, server, curt, Identity::default());
        let identity = asking.identify().await?;
        let (client, server) = (asking.client().clone(), asking.server().to_owned());
        Ok(Self::new(client, target, server, target.timeouts, identity))
    }

    fn new(
        client: Client,
        target: &Target,
        server: String,
        timeouts: Timeouts,
        identity: Identity,
    ) -> Self {
        Self {
            inner: Arc::new(Inner {
                client,
                context: target.context.clone(),
                server,
                timeouts,
                identity,
                kinds: Mutex::default(),
            }),
        }
    }

    /// A cluster that is a function, for tests of what happens when an answer comes.
    #[cfg(test)]
    pub(crate) fn over(client: Client) -> Self {
        let target = Target::new("/nowhere", "test");
        let identity = Identity {
            uid: "test-uid".into(),
            ..Identity::default()
        };
        Self::new(
            client,
            &target,
            "http://test".into(),
            target.timeouts,
            identity,
        )
    }

    async fn identify(&self) -> Result<Identity, Error> {
        let (system, version) = tokio::join!(
            self.get_path("/api/v1/namespaces/kube-system"),
            self.get_path("/version")
        );
        let action = || format!("ask context {} who it is", self.context());
        let system = system.map_err(|error| Error::api(action(), error))?;
        let uid = text(&system.body, "/metadata/uid").to_owned();
        if uid.is_empty() {
            let odd = ApiError::Answer("the namespace kube-system has no UID".into());
            return Err(Error::api(action(), odd));
        }
        let version = version.map(|it| text(&it.body, "/gitVersion").to_owned());
        Ok(Identity {
            uid,
            version: version.unwrap_or_default(),
            ahead: system
                .server_time
                .map_or(0, |it| it - local_us() / 1_000_000),
        })
    }

    /// The client, for what speaks to the API server beside this crate (tunnels).
    pub fn client(&self) -> &Client {
        &self.inner.client
    }

    /// UID of the namespace kube-system: the identity of the cluster.
    pub fn uid(&self) -> &str {
        &self.inner.identity.uid
    }

    /// `v1.34.1`; empty where it may not be asked.
    pub fn version(&self) -> &str {
        &self.inner.identity.version
    }

    /// Address of the API server.
    pub fn server(&self) -> &str {
        &self.inner.server
    }

    /// The context by which it was reached.
    pub fn context(&self) -> &str {
        &self.inner.context
    }

    /// What the address tells: information, never a reason to let somebody in.
    pub fn locality(&self) -> Locality {
        locality(&self.inner.server)
    }

    pub(crate) fn timeouts(&self) -> Timeouts {
        self.inner.timeouts
    }

    pub(crate) fn known_kinds(&self) -> &Mutex<HashMap<(String, String), Kind>> {
        &self.inner.kinds
    }

    /// Microseconds since the epoch by the server's clock, as far as it is known (its Date header has seconds).
    pub(crate) fn now_us(&self) -> i64 {
        local_us() + self.inner.identity.ahead * 1_000_000
    }
}

/// Where an API server's address points.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Locality {
    /// This machine.
    Loopback,
    /// A private network.
    Private,
    /// Anywhere.
    Public,
    /// A name, which may point anywhere.
    Name,
}

impl fmt::Display for Locality {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Loopback => "an address of this machine",
            Self::Private => "a private address",
            Self::Public => "a public address",
            Self::Name => "a host name",
        })
    }
}

fn locality(server: &str) -> Locality {
    let host = server
        .parse::<http::Uri>()
        .ok()
        .and_then(|uri| uri.host().map(str::to_owned))
        .unwrap_or_default();
    if host == "localhost" {
        return Locality::Loopback;
    }
    match host.trim_matches(['[', ']']).parse::<IpAddr>() {
        Ok(ip) if ip.is_loopback() => Locality::Loopback,
        Ok(IpAddr::V4(ip)) if ip.is_private() || ip.is_link_local() => Locality::Private,
        Ok(IpAddr::V6(ip)) if ip.is_unique_local() || ip.is_unicast_link_local() => {
            Locality::Private
        }
        Ok(_) => Locality::Public,
        Err(_) => Locality::Name,
    }
}

async fn config(target: &Target) -> Result<Config, Error> {
    let path = &target.kubeconfig;
    let file = Kubeconfig::read_from(path).map_err(|error| unusable(path, &error))?;
    if !file.contexts.iter().any(|it| it.name == target.context) {
        return Err(Error::NoContext {
            context: target.context.clone(),
            path: path.clone(),
            known: file.contexts.into_iter().map(|it| it.name).collect(),
        });
    }
    let options = KubeConfigOptions {
        context: Some(target.context.clone()),
        ..KubeConfigOptions::default()
    };
    let own_proxy = file.clusters.iter().any(|it| {
        let cluster = it.cluster.as_ref();
        cluster.is_some_and(|cluster| cluster.proxy_url.is_some())
    });
    let mut config = Config::from_custom_kubeconfig(file, &options)
        .await
        .map_err(|error| unusable(path, &error))?;
    config.connect_timeout = Some(target.timeouts.connect);
    // Bounded here, per request, with one budget in all.
    config.default_retry = false;
    config.read_timeout = None;
    if !own_proxy && locality(&config.cluster_url.to_string()) == Locality::Loopback {
        // As every Kubernetes client does: a proxy of the environment is not asked for this machine.
        config.proxy_url = None;
    }
    Ok(config)
}

/// A kubeconfig holds credentials: a parser's quotation of it is not repeated.
fn unusable(path: &Path, error: &KubeconfigError) -> Error {
    let problem = match error {
        KubeconfigError::ReadConfig(source, _) => format!("cannot be read: {source}"),
        KubeconfigError::Parse(_) => "is not YAML of a kubeconfig".to_owned(),
        KubeconfigError::LoadClusterOfContext(name) => {
            format!("has a context whose cluster {name} is missing")
        }
        other => format!("cannot be used: {other}"),
    };
    Error::Kubeconfig {
        path: path.to_owned(),
        problem,
    }
}

pub(crate) fn local_us() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_micros() as i64)
}

#[cfg(test)]
#[path = "connect_tests.rs"]
mod tests;
