//! A namespace of one test, gone with it; kubectl and helm for what the crate under test is not asked.
//! Must not touch another namespace.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use kedactl_exec::{ExecError, Run};
use kedactl_tunnel::{Access, connect};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// busybox, redis-server and redis-cli; on every node of a test cluster.
pub(crate) const SAMPLE: (&str, &str) = ("localhost/kedactl/sample", "1");
pub(crate) const WITHIN: Duration = Duration::from_mins(4);

pub(crate) struct Lab {
    pub(crate) namespace: String,
    pub(crate) kubeconfig: PathBuf,
}

impl Lab {
    #[expect(clippy::disallowed_methods, reason = "a test's own environment")]
    pub(crate) fn new(what: &str) -> Self {
        let kubeconfig = std::env::var("KEDACTL_TEST_KUBECONFIG")
            .expect("KEDACTL_TEST_KUBECONFIG is not set: run this with tests/cluster/lab exec");
        let lab = Self {
            namespace: format!("reach-{what}-{}", std::process::id()),
            kubeconfig: kubeconfig.into(),
        };
        lab.whole(&["create", "namespace", &lab.namespace], "")
            .unwrap();
        lab
    }

    fn whole(&self, args: &[&str], input: &str) -> Result<String, ExecError> {
        let run = Run::new("kubectl").env("KUBECONFIG", &self.kubeconfig);
        let run = run.args(args.iter().copied()).stdin(input).within(WITHIN);
        Ok(run.run()?.stdout)
    }

    pub(crate) fn kubectl(&self, args: &[&str]) -> Result<String, ExecError> {
        self.whole(&[&["--namespace", &self.namespace], args].concat(), "")
    }

    pub(crate) fn apply(&self, manifest: &str) {
        let args = ["--namespace", &self.namespace, "apply", "-f", "-"];
        self.whole(&args, manifest).unwrap();
    }

    /// Renders one of our charts and applies it.
    pub(crate) fn chart(&self, name: &str, values: &str) {
        let charts = concat!(env!("CARGO_MANIFEST_DIR"), "/../../templates/charts");
        let rendered = Run::new("helm")
            .args(["template", name, &format!("{charts}/{name}")])
            .args(["--namespace", &self.namespace, "--values", "-"])
            // Without a cluster to ask, helm takes the oldest that it knows.
            .args(["--kube-version", "1.34.0"])
            .stdin(values)
            .run()
            .unwrap();
        self.apply(&rendered.stdout);
    }

    /// A client whose way to the API server leads through a relay, and the relay.
    pub(crate) async fn client_by_relay(&self) -> (Client, Relay) {
        let mut file = Kubeconfig::read_from(&self.kubeconfig).unwrap();
        let cluster = file.clusters[0].cluster.as_mut().unwrap();
        let server: http::Uri = cluster.server.take().unwrap().parse().unwrap();
        let port = server.port_u16().unwrap_or(443);
        let relay = Relay::new(format!("{}:{port}", server.host().unwrap())).await;
        cluster.server = Some(format!("https://{}", relay.address));
        cluster.tls_server_name = server.host().map(str::to_owned);
        let config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await;
        let mut config = config.unwrap();
        config.default_retry = false;
        (Client::try_from(config).unwrap(), relay)
    }

    pub(crate) async fn client(&self) -> Client {
        let access = Access {
            kubeconfig: self.kubeconfig.clone(),
            context: None,
        };
        connect(&access).await.unwrap()
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let gone = ["delete", "namespace", &self.namespace, "--wait=false"];
        if let Err(error) = self.whole(&gone, "") {
            eprintln!("namespace {} is left: {error}", self.namespace);
        }
    }
}

/// Carries connections to the API server, so that it can be away for one client without being away for others.
pub(crate) struct Relay {
    address: SocketAddr,
    server: String,
    /// Aborted on drop.
    open: JoinSet<()>,
}

impl Relay {
    async fn new(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut relay = Self {
            address: listener.local_addr().unwrap(),
            server,
            open: JoinSet::new(),
        };
        relay.serve(listener);
        relay
    }

    fn serve(&mut self, listener: TcpListener) {
        let server = self.server.clone();
        self.open.spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((mut client, _)) = listener.accept().await {
                let server = server.clone();
                open.spawn(async move {
                    let mut server = TcpStream::connect(server).await.unwrap();
                    for side in [&client, &server] {
                        side.set_nodelay(true).unwrap();
                    }
                    drop(tokio::io::copy_bidirectional(&mut client, &mut server).await);
                });
            }
        });
    }

    /// Every connection breaks, and new ones are refused.
    pub(crate) async fn away(&mut self) {
        self.open.shutdown().await;
    }

    pub(crate) async fn back(&mut self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.serve(listener);
    }
}
