//! Where a stack's files lie below the folder of all stacks' state.
//! Must not read or write them.

use std::path::{Path, PathBuf};

/// The folders of one stack on a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home {
    root: PathBuf,
    stack: String,
}

impl Home {
    /// The stack `stack` below `root`, the folder of all state.
    pub fn new(root: impl Into<PathBuf>, stack: impl Into<String>) -> Self {
        Self {
            root: root.into(),
            stack: stack.into(),
        }
    }

    /// The stack's name.
    pub fn stack(&self) -> &str {
        &self.stack
    }

    /// The stack's own folder.
    pub fn dir(&self) -> PathBuf {
        self.root.join("clusters").join(&self.stack)
    }

    /// What is known of the stack.
    pub(crate) fn record(&self) -> PathBuf {
        self.dir().join("stack.json")
    }

    /// Helm's homes and fetched charts.
    pub(crate) fn helm(&self) -> PathBuf {
        self.dir().join("helm")
    }

    /// Charts and values files of the bundle that the stack was brought up from.
    pub fn bundle(&self) -> PathBuf {
        self.dir().join("bundle")
    }

    /// The store of images that were pulled for bundles.
    pub fn pulled(&self) -> PathBuf {
        self.root.join("pulled")
    }

    /// Logs of nodes that could not be made.
    pub(crate) fn logs(&self) -> PathBuf {
        self.dir().join("logs")
    }

    /// kubeconfigs of the kind clusters that were made here.
    pub(crate) fn kind(&self) -> PathBuf {
        self.root.join("kind")
    }

    /// kubeconfigs of the minikube profiles that were made here.
    pub(crate) fn minikube(&self) -> PathBuf {
        self.root.join("minikube")
    }

    /// The stack's tunnel.
    pub fn tunnel(&self) -> PathBuf {
        self.root.join("tunnel").join(&self.stack)
    }

    /// The store of images, which all stacks share.
    pub fn images(&self) -> PathBuf {
        self.root.join("images")
    }

    /// The folder of all state.
    pub fn root(&self) -> &Path {
        &self.root
    }
}
