//! Images into the nodes of a minikube profile: what each lacks, by the shortest way; `minikube image load` where that fails.
//! Must not believe minikube: it ends well also where no node took an image.

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use kedactl_config::{Config, ContainerRuntime};
use kedactl_exec::{ExecError, Output, find};
use kedactl_images::{
    DockerContainer, Feed, How, Image, ImageError, MinikubeSsh, NodeShell, Runtime, Store, load_by,
    verify, whole,
};
use kedactl_plan::{Sink, Step};
use kedactl_tools::minikube::{Minikube, Profile};
use kedactl_tools::{CancellationToken, PrivateDir};

use super::{Built, Delivered};
use crate::job::told;
use crate::place::minikube as place;
use crate::{Home, StackError};

/// A node of a profile, by its container where it is one.
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
    store: &Store,
    home: &Home,
    name: &str,
    sink: &dyn Sink,
    stop: &CancellationToken,
) -> Result<Delivered, StackError> {
    let driver = place::driver(home, &built.config)?;
    let profile = place::profile(&driver, name, stop).await?;
    let runtime = match place::runtime(&profile) {
        ContainerRuntime::Containerd => Runtime::Containerd,
        ContainerRuntime::Docker => Runtime::Docker,
        ContainerRuntime::CriO => Runtime::CriO,
    };
    let nodes = nodes(&driver, &profile, &built.config);
    let loaded = load_by(runtime, store, &built.images, &nodes, sink).await;
    let changed = match loaded {
        Ok(loaded) => loaded.iter().any(|it| it.how != How::Present),
        Err(ImageError::NotLoaded { reason, .. }) => {
            let step = Step::start(sink, "images/minikube", "minikube image load");
            step.progress(0, None, format!("the nodes did not take them: {reason}"));
            let by = Fallback {
                driver: &driver,
                name,
                runtime,
                store,
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
    driver: &'a Minikube,
    name: &'a str,
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
            self.driver.load_archive(self.name, &archive, stop).await?;
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
                reason: format!("{before}; then `minikube image load` said that it did: {reason}"),
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
