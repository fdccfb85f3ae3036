//! Helm 3.18+ and 4: releases in, revisions out.
//! Must not wait for readiness, must not write a revision for nothing, and must not touch a lock without the stack's lease.

mod apply;
mod command;
mod history;
mod left;
mod look;
mod marks;
mod package;
mod remove;
mod render;
mod repair;
mod version;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use kedactl_exec::{CancellationToken, find};
use serde_json::{Map, Value};

pub use apply::Applied;
pub use history::{Revision, Status};
pub use left::clear;
pub use look::Looked;
pub use remove::Removed;
pub use render::Rendered;
pub use repair::{LeaseHeld, Repaired};
pub use version::{Version, version};

use crate::private::folder;
use crate::{Action, Mask, ReleaseName, ToolError};

/// How helm is driven for one stack.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The program; `None`: `helm`, beside this program or in PATH.
    pub program: Option<PathBuf>,
    /// A private folder of the stack: helm's homes, fetched charts and files of single runs.
    pub state: PathBuf,
    /// The stack's name; every release carries it as a label.
    pub stack: String,
    /// What this run is called in the releases' descriptions.
    pub run: String,
    /// The cluster; `None`: charts can be rendered, nothing else.
    pub cluster: Option<Cluster>,
    /// Version of the cluster's API server (`1.34.0`); charts ask for it. `None`: helm's own idea of the newest.
    pub kube_version: Option<String>,
    /// Kinds that the cluster has beside the usual ones (`keda.sh/v1alpha1`); charts ask for them too.
    pub api_versions: Vec<String>,
    /// Logins at registries, as helm and Docker keep them; `None`: no login.
    pub registry_config: Option<PathBuf>,
    /// Folder of vendored archives; `None`: there is none.
    pub vendored: Option<PathBuf>,
    /// How long one try to fetch a chart may take.
    pub fetch_within: Duration,
    /// What must not be seen in errors and events.
    pub mask: Mask,
}

/// The cluster that helm talks to. Never a default: the user's own context may be another cluster.
#[derive(Debug, Clone)]
pub struct Cluster {
    /// The file.
    pub kubeconfig: PathBuf,
    /// The context in it.
    pub context: String,
}

/// Where helm is.
fn program(named: Option<&Path>) -> Result<PathBuf, ToolError> {
    let program = named.map_or("helm".into(), Path::to_string_lossy);
    find(&program).map_err(|_| ToolError::Missing {
        program: program.into_owned(),
        what: "helm 3.18 or later",
        key: "helm.program",
    })
}

/// A helm that was found and asked for its version.
#[derive(Debug, Clone)]
pub struct Helm {
    program: PathBuf,
    version: Version,
    pub(crate) settings: Settings,
    beneath: BTreeMap<ReleaseName, Map<String, Value>>,
}

impl Helm {
    /// Finds helm and asks for its version.
    pub async fn open(settings: Settings, cancel: &CancellationToken) -> Result<Self, ToolError> {
        let program = program(settings.program.as_deref())?;
        folder(&settings.state)?;
        let mut helm = Self {
            program,
            version: Version { major: 0, minor: 0 },
            settings,
            beneath: BTreeMap::new(),
        };
        let said = helm
            .call(Action::Version, "itself", &["version", "--short"], cancel)
            .await?;
        helm.version = Version::parse(&said)?;
        Ok(helm)
    }

    /// Its version.
    pub fn version(&self) -> Version {
        self.version
    }

    /// Gives a release values that lie below its own files and values, such as those of its template.
    #[must_use]
    pub fn beneath(mut self, name: &ReleaseName, values: Map<String, Value>) -> Self {
        self.beneath.insert(name.clone(), values);
        self
    }

    /// Adds texts that must not be seen in errors and events.
    #[must_use]
    pub fn hiding(mut self, mask: &Mask) -> Self {
        self.settings.mask.extend(mask);
        self
    }
}
