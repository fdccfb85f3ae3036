//! The seam to a node: something that runs a command where the node's containerd is.
//! Must not know what is run; the loader does.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use kedactl_exec::{ExecError, Output, Run};

use crate::ImageError;

/// How long one command on a node may take; a first load on a slow disk is the longest.
const WITHIN: Duration = Duration::from_mins(10);

/// Writes a command's standard input, once, on a thread of its own.
pub type Feed = Box<dyn FnOnce(&mut dyn Write) -> io::Result<()> + Send>;

/// A node on which commands can be run.
pub trait NodeShell: Send + Sync + 'static {
    /// What a user calls it.
    fn name(&self) -> &str;

    /// Runs a command to its end, `ctr` of the node's containerd among what it finds; its standard input is
    /// `input`, streamed. A failure is an error with the command's last words.
    fn run(
        &self,
        argv: &[&str],
        input: Option<Feed>,
    ) -> impl Future<Output = Result<Output, ExecError>> + Send;
}

/// A node that is a container: kind's, or minikube's with its docker driver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DockerContainer {
    /// The engine's client: `docker`, or `podman`, which takes the same words.
    pub engine: PathBuf,
    /// The container's name.
    pub container: String,
}

impl NodeShell for DockerContainer {
    fn name(&self) -> &str {
        &self.container
    }

    async fn run(&self, argv: &[&str], input: Option<Feed>) -> Result<Output, ExecError> {
        let interactive = input.as_ref().map(|_| "-i");
        let run = Run::new(&self.engine)
            .arg("exec")
            .args(interactive)
            .arg(&self.container)
            .args(argv.iter().copied());
        to_end(run, input).await
    }
}

/// A containerd of this machine, by its socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerdSocket {
    socket: PathBuf,
    name: String,
}

impl ContainerdSocket {
    /// The containerd that listens on this socket.
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        let socket = socket.into();
        let name = socket.display().to_string();
        Self { socket, name }
    }
}

impl NodeShell for ContainerdSocket {
    fn name(&self) -> &str {
        &self.name
    }

    async fn run(&self, argv: &[&str], input: Option<Feed>) -> Result<Output, ExecError> {
        let (program, args) = argv.split_first().unwrap_or((&"ctr", &[]));
        let run = Run::new(program)
            .args(args.iter().copied())
            .env("CONTAINERD_ADDRESS", &self.socket);
        to_end(run, input).await
    }
}

/// A node of minikube that is no container: by `minikube ssh`, whose user may become root without a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MinikubeSsh {
    /// The program.
    pub program: PathBuf,
    /// The profile.
    pub profile: String,
    /// The node's machine: `demo-m02`.
    pub node: String,
}

impl NodeShell for MinikubeSsh {
    fn name(&self) -> &str {
        &self.node
    }

    async fn run(&self, argv: &[&str], input: Option<Feed>) -> Result<Output, ExecError> {
        // What ssh gets becomes one line for a shell over there.
        let line: Vec<String> = argv.iter().map(|word| quoted(word)).collect();
        // minikube's own client asks for a terminal, which would turn and echo the bytes of an archive.
        let run = Run::new(&self.program)
            .args(["ssh", "-p", &self.profile, "-n", &self.node])
            .args(["--native-ssh=false", "--", "sudo"])
            .args(line);
        to_end(run, input).await
    }
}

fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

async fn to_end(run: Run, input: Option<Feed>) -> Result<Output, ExecError> {
    let run = run.within(WITHIN);
    let command = run.command_line();
    let ended = tokio::task::spawn_blocking(move || match input {
        Some(feed) => run.run_fed(feed),
        None => run.run(),
    });
    ended.await.unwrap_or_else(|error| {
        Err(ExecError::Feed {
            command,
            source: io::Error::other(error),
        })
    })
}

/// The nodes of a kind cluster, without the load balancer that a cluster of several control planes has.
pub async fn kind_nodes(engine: &Path, cluster: &str) -> Result<Vec<DockerContainer>, ImageError> {
    let run = Run::new(engine).args([
        "ps",
        "--filter",
        &format!("label=io.x-k8s.kind.cluster={cluster}"),
        "--format",
        r#"{{.Names}} {{.Label "io.x-k8s.kind.role"}}"#,
    ]);
    let output = to_end(run, None).await.map_err(|source| ImageError::Node {
        node: format!("of kind cluster {cluster}"),
        source,
    })?;
    let lines = output
        .stdout
        .lines()
        .filter_map(|line| line.split_once(' '));
    let mut names: Vec<&str> = lines
        .filter(|(_, role)| *role != "external-load-balancer")
        .map(|(name, _)| name)
        .collect();
    names.sort_unstable();
    if names.is_empty() {
        return Err(ImageError::NoNode(format!("kind cluster {cluster}")));
    }
    let node = |name: &str| DockerContainer {
        engine: engine.to_owned(),
        container: name.to_owned(),
    };
    Ok(names.into_iter().map(node).collect())
}
