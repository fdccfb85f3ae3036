//! What runs containers on a node, and what such a node says about an image.
//! Must not know the words of any of them; a file each does.

use std::collections::BTreeSet;

use kedactl_exec::ExecError;

use super::archive::Form;
use super::{containerd, crio, docker};
use crate::store::Image;
use crate::{Digest, Feed, ImageError, NodeShell};

/// What runs containers on a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Runtime {
    /// containerd, asked by `ctr`.
    Containerd,
    /// A Docker engine, asked by `docker`.
    Docker,
    /// CRI-O, whose images `podman` shares.
    CriO,
}

/// What a node says about its content and one image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct State {
    /// Blobs of it, or of others, that need not be sent again.
    pub(super) blobs: BTreeSet<Digest>,
    /// Digest that the image's name points at.
    pub(super) digest: Option<Digest>,
    /// Whether all content of the image is there.
    pub(super) complete: bool,
    /// Whether its layers are unpacked.
    pub(super) unpacked: bool,
    /// Whether Kubernetes sees it; always where containerd runs without its part for Kubernetes.
    pub(super) visible: bool,
}

impl State {
    /// As an engine has it whose image is there whole or not at all; `found` is what its name leads to, `right` whether
    /// that is the image.
    pub(super) fn whole(
        image: &Image,
        found: Option<Digest>,
        right: bool,
        blobs: BTreeSet<Digest>,
    ) -> Self {
        Self {
            blobs,
            digest: if right {
                Some(image.manifest.digest.clone())
            } else {
                found
            },
            complete: right,
            unpacked: right,
            visible: true,
        }
    }

    /// What is still wrong with the image; nothing is the only good answer.
    pub(super) fn lacks(&self, image: &Image) -> Option<String> {
        match &self.digest {
            None => Some("it does not know the name".to_owned()),
            Some(digest) if *digest != image.manifest.digest => Some(format!(
                "its name points at {digest}, {} is right",
                image.manifest.digest
            )),
            Some(_) if !self.complete => Some("its content is not complete".to_owned()),
            Some(_) if !self.unpacked => Some("its layers are not unpacked".to_owned()),
            Some(_) if !self.visible => Some("Kubernetes does not see it".to_owned()),
            Some(_) => None,
        }
    }
}

impl Runtime {
    /// The form of an archive that it takes.
    pub(super) fn form(self) -> Form {
        match self {
            Self::Containerd => Form::Oci,
            Self::Docker => Form::Both,
            Self::CriO => Form::Docker,
        }
    }

    /// Asks the node about one image.
    pub(super) async fn state(
        self,
        node: &impl NodeShell,
        image: &Image,
    ) -> Result<State, ImageError> {
        let mut states = self.states(node, &[image]).await?;
        Ok(states.pop().unwrap_or_default())
    }

    /// Asks the node once about several images; the answers are in their order.
    pub(super) async fn states(
        self,
        node: &impl NodeShell,
        images: &[&Image],
    ) -> Result<Vec<State>, ImageError> {
        match self {
            Self::Containerd => containerd::states(node, images).await,
            Self::Docker => docker::states(node, images).await,
            Self::CriO => crio::states(node, images).await,
        }
    }

    /// Feeds the node an archive.
    pub(super) async fn import(
        self,
        node: &impl NodeShell,
        archive: Feed,
    ) -> Result<(), ExecError> {
        match self {
            Self::Containerd => containerd::import(node, archive).await,
            Self::Docker => docker::import(node, archive).await,
            Self::CriO => crio::import(node, archive).await,
        }
    }

    /// Removes the image's name from the node.
    pub(super) async fn forget(
        self,
        node: &impl NodeShell,
        image: &Image,
    ) -> Result<(), ExecError> {
        match self {
            Self::Containerd => containerd::forget(node, &image.reference).await,
            // Both write an image's name after everything that belongs to it.
            Self::Docker | Self::CriO => Ok(()),
        }
    }
}

/// Asks a node by a script, which gets a word for each image; its answer is understood whole or is none.
pub(super) async fn asked(
    node: &impl NodeShell,
    script: &str,
    words: &[String],
    named: impl FnOnce(ExecError) -> ExecError,
    read: impl FnOnce(&str) -> Option<Vec<State>>,
) -> Result<Vec<State>, ImageError> {
    let mut argv = vec!["sh", "-c", script, "sh"];
    argv.extend(words.iter().map(String::as_str));
    let output = node.run(&argv, None).await;
    let output = output.map_err(|source| ImageError::Node {
        node: node.name().to_owned(),
        source: named(source),
    })?;
    read(&output.stdout).ok_or_else(|| ImageError::Answer {
        node: node.name().to_owned(),
        answer: output.stdout.chars().take(200).collect(),
    })
}

/// The names of images, as a script gets them.
pub(super) fn names(images: &[&Image]) -> Vec<String> {
    images.iter().map(|it| it.reference.to_string()).collect()
}

/// A failure of a script by its essential command: nobody wants to read the script.
pub(super) fn named(mut error: ExecError, name: &str) -> ExecError {
    if let ExecError::Start { command, .. } = &mut error {
        // It is the way to the node that is missing, not what should run there.
        command.truncate(command.find(' ').unwrap_or(command.len()));
    }
    if let ExecError::Failed { command, .. }
    | ExecError::TimedOut { command, .. }
    | ExecError::Feed { command, .. } = &mut error
    {
        name.clone_into(command);
    }
    error
}
