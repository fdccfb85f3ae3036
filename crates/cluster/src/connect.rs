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

fn local_us() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_micros() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn addresses_tell_where_they_point() {
        let all = [
            ("https://127.0.0.1:6443", Locality::Loopback),
            ("https://localhost:6443", Locality::Loopback),
            ("https://[::1]:6443", Locality::Loopback),
            ("https://192.168.49.2:8443", Locality::Private),
            ("https://172.18.0.2:6443", Locality::Private),
            ("https://34.1.2.3", Locality::Public),
            ("https://ABC.eks.amazonaws.com", Locality::Name),
        ];
        for (server, expected) in all {
            assert_eq!(locality(server), expected, "{server}");
        }
    }

    fn kubeconfig(server: &str, extra: &str) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config");
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: prod\n\
             clusters:\n- name: c\n  cluster: {{server: '{server}'}}\n\
             contexts:\n- name: dev\n  context: {{cluster: c, user: u}}\n\
             users:\n- name: u\n  user: {{{extra}}}\n"
        );
        fs::write(&path, text).unwrap();
        (dir, path)
    }

    async fn fails(path: &Path, context: &str) -> Error {
        let mut target = Target::new(path, context);
        target.timeouts.connect = Duration::from_millis(500);
        Cluster::connect(&target).await.unwrap_err()
    }

    #[tokio::test]
    async fn the_context_is_taken_by_name_only() {
        let (_dir, path) = kubeconfig("https://127.0.0.1:1", "");
        let error = fails(&path, "other").await;
        assert!(error.to_string().starts_with("context other is not in"));
        assert_eq!(error.hint().unwrap(), "it holds dev");
    }

    #[tokio::test]
    async fn a_file_that_is_not_there_or_not_a_kubeconfig_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let error = fails(&dir.path().join("none"), "dev").await;
        assert!(error.to_string().contains("cannot be read"), "{error}");
        let path = dir.path().join("bad");
        fs::write(&path, "users: [{token: very-secret").unwrap();
        let error = fails(&path, "dev").await;
        assert!(!format!("{error:?}{error}").contains("very-secret"));
    }

    #[tokio::test]
    async fn nobody_at_the_address_is_told_at_once() {
        let (_dir, path) = kubeconfig("https://127.0.0.1:1", "");
        let error = fails(&path, "dev").await;
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert!(
            source.contains("nothing answers at https://127.0.0.1:1"),
            "{source}"
        );
        assert_eq!(error.class(), crate::Class::Connection);
    }

    #[tokio::test]
    async fn a_missing_credential_plugin_is_told_before_any_request() {
        let exec = "exec: {apiVersion: client.authentication.k8s.io/v1, command: no-such-plugin, interactiveMode: Never}";
        let (_dir, path) = kubeconfig("https://127.0.0.1:1", exec);
        let error = fails(&path, "dev").await;
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert!(source.contains("no-such-plugin"), "{source}");
        assert!(error.hint().unwrap().contains("install no-such-plugin"));
    }

    #[tokio::test]
    async fn a_server_that_speaks_no_tls_is_told_as_such() {
        use tokio::io::AsyncWriteExt as _;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                socket.write_all(b"HTTP/1.0 400 no\r\n\r\n").await.ok();
            }
        });
        let (_dir, path) = kubeconfig(&format!("https://{address}"), "");
        let error = fails(&path, "dev").await;
        let source = std::error::Error::source(&error).unwrap().to_string();
        server.abort();
        assert!(source.contains("no secure connection"), "{source}");
    }
}
