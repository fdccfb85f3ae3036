//! Images into the nodes of the stack's own cluster: what each lacks, by the shortest way; else by the program that made it.
//! Must not believe that program: it ends well also where no node took an image.

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use kedactl_config::{Config, ContainerRuntime};
use kedactl_exec::{ExecError, Output, find};
use kedactl_images::{
    DockerContainer, Feed, How, Image, ImageError, MinikubeSsh, NodeShell, Runtime, Store,
    kind_nodes, load_by, verify, whole,
};
use kedactl_plan::{Sink, Step};
use kedactl_tools::kind::Kind;
use kedactl_tools::minikube::{Minikube, Profile};
use kedactl_tools::{CancellationToken, PrivateDir, ToolError};

use super::{Built, Delivered};
use crate::job::told;
use crate::place::{Own, kind, minikube};
use crate::{Home, StackError};

/// The program that made the cluster.
#[derive(Debug)]
enum Program {
    Kind(Kind),
    Minikube(Minikube),
}

impl Program {
    /// Its own way to bring images to nodes, as a user would type it.
    fn way(&self) -> &'static str {
        match self {
            Self::Kind(_) => "kind load image-archive",
            Self::Minikube(_) => "minikube image load",
        }
    }

    async fn load(
        &self,
        cluster: &str,
        archive: &Path,
        stop: &CancellationToken,
    ) -> Result<(), ToolError> {
        match self {
            Self::Kind(kind) => kind.load_archive(cluster, archive, stop).await,
            Self::Minikube(minikube) => minikube.load_archive(cluster, archive, stop).await,
        }
    }
}

/// A node, by its container where it is one.
#[derive(Debug, Clone)]
enum Node {
    Container(DockerContainer),
    Ssh(MinikubeSsh),
}

impl NodeShell for Node {
    fn name(&self) -> &str {
        match self {
            Self::Container(node) => node.name(),
            Self::Ssh(node) => node.name(),
        }
    }

    async fn run(&self, argv: &[&str], input: Option<Feed>) -> Result<Output, ExecError> {
        match self {
            Self::Container(node) => node.run(argv, input).await,
            Self::Ssh(node) => node.run(argv, input).await,
        }
    }
}

/// Brings every image onto every node.
pub(super) async fn deliver(
    built: &Built,
    home: &Home,
    own: &Own,
    sink: &dyn Sink,
    stop: &CancellationToken,
) -> Result<Delivered, StackError> {
    let (program, runtime, nodes) = reached(home, &built.config, own, stop).await?;
    let loaded = load_by(runtime, &built.store, &built.images, &nodes, sink).await;
    let changed = match loaded {
        Ok(loaded) => loaded.iter().any(|it| it.how != How::Present),
        Err(ImageError::NotLoaded { reason, .. }) => {
            let step = Step::start(sink, "images/whole", program.way());
            step.progress(0, None, format!("the nodes did not take them: {reason}"));
            let by = Fallback {
                program: &program,
                cluster: own.name(),
                runtime,
                store: &built.store,
                tmp: home.dir().join("tmp"),
            };
            let loaded = by.load(&built.images, &nodes, reason, stop).await;
            told(step, loaded, |()| ("verified".to_owned(), true))?;
            true
        }
        Err(error) => return Err(error.into()),
    };
    Ok(Delivered {
        changed,
        places: nodes.len(),
    })
}

/// The nodes, what runs containers there, and the program that made them.
async fn reached(
    home: &Home,
    config: &Config,
    own: &Own,
    stop: &CancellationToken,
) -> Result<(Program, Runtime, Vec<Node>), StackError> {
    match own {
        Own::Kind(name) => {
            let nodes = kind_nodes(&find(&config.images.engine)?, name).await?;
            let nodes = nodes.into_iter().map(Node::Container).collect();
            let program = Program::Kind(kind::driver(home, config)?);
            Ok((program, Runtime::Containerd, nodes))
        }
        Own::Minikube(name) => {
            let driver = minikube::driver(home, config)?;
            let profile = minikube::profile(&driver, name, stop).await?;
            let runtime = match minikube::runtime(&profile) {
                ContainerRuntime::Containerd => Runtime::Containerd,
                ContainerRuntime::Docker => Runtime::Docker,
                ContainerRuntime::CriO => Runtime::CriO,
            };
            let nodes = nodes(&driver, &profile, config);
            Ok((Program::Minikube(driver), runtime, nodes))
        }
    }
}

fn nodes(driver: &Minikube, profile: &Profile, config: &Config) -> Vec<Node> {
    let engine = find(&config.images.engine).ok();
    let engine = engine.filter(|_| profile.driver == "docker");
    let node = |machine: &String| match &engine {
        Some(engine) => Node::Container(DockerContainer {
            engine: engine.clone(),
            container: machine.clone(),
        }),
        None => Node::Ssh(MinikubeSsh {
            program: driver.program().to_owned(),
            profile: profile.name.clone(),
            node: machine.clone(),
        }),
    };
    profile.nodes.iter().map(node).collect()
}

/// The last way.
struct Fallback<'a> {
    program: &'a Program,
    cluster: &'a str,
    runtime: Runtime,
    store: &'a Store,
    tmp: PathBuf,
}

impl Fallback<'_> {
    async fn load(
        &self,
        images: &[Image],
        nodes: &[Node],
        before: String,
        stop: &CancellationToken,
    ) -> Result<(), StackError> {
        for image in images {
            let dir = PrivateDir::inside(&self.tmp)?;
            let archive = dir.path().join("image.tar");
            self.write(image.clone(), archive.clone()).await?;
            self.program.load(self.cluster, &archive, stop).await?;
        }
        let verified = verify(self.runtime, images, nodes).await;
        verified.map_err(|error| match error {
            ImageError::NotLoaded {
                node,
                image,
                reason,
            } => ImageError::NotLoaded {
                node,
                image,
                reason: format!(
                    "{before}; then `{}` said that it did: {reason}",
                    self.program.way()
                ),
            },
            other => other,
        })?;
        Ok(())
    }

    async fn write(&self, image: Image, archive: PathBuf) -> Result<(), StackError> {
        let (runtime, store, path) = (self.runtime, self.store.clone(), archive.clone());
        let written = tokio::task::spawn_blocking(move || to_file(runtime, &store, &image, &path));
        match written.await {
            Ok(written) => written.map_err(StackError::file("write", archive)),
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        }
    }
}

fn to_file(runtime: Runtime, store: &Store, image: &Image, path: &Path) -> io::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    whole(runtime, store, image, &mut file)?;
    file.flush()
}

#[cfg(test)]
mod tests;
