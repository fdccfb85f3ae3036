//! What can go wrong with helm, kind and minikube.
//! Must not carry a secret: what a program said is masked before it comes here.

use std::fmt;
use std::io;
use std::path::PathBuf;

use kedactl_exec::ExecError;

use crate::minikube::Failure;

/// What a driver was doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Asking the program who it is.
    Version,
    /// Rendering a chart.
    Render,
    /// Fetching a chart.
    Fetch,
    /// Packing a chart's folder.
    Pack,
    /// Reading a release's revisions.
    History,
    /// Installing or upgrading.
    Upgrade,
    /// Going back to an earlier revision.
    Rollback,
    /// Uninstalling.
    Uninstall,
    /// Listing what is there.
    List,
    /// Creating a cluster.
    Create,
    /// Starting a cluster that is there.
    Start,
    /// Handing it images.
    Load,
    /// Deleting a cluster.
    Delete,
    /// Writing a cluster's kubeconfig.
    Kubeconfig,
    /// Collecting a cluster's logs.
    ExportLogs,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Version => "ask for the version",
            Self::Render => "render the chart",
            Self::Fetch => "fetch the chart",
            Self::Pack => "pack the chart",
            Self::History => "read the history",
            Self::Upgrade => "install or upgrade",
            Self::Rollback => "roll back",
            Self::Uninstall => "uninstall",
            Self::List => "list",
            Self::Create => "create",
            Self::Start => "start",
            Self::Load => "load images into",
            Self::Delete => "delete",
            Self::Kubeconfig => "write the kubeconfig",
            Self::ExportLogs => "export logs",
        })
    }
}

/// Why helm or kind did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    /// The program is nowhere.
    #[error("program {program} not found")]
    Missing {
        /// As it was looked for: a name or a path.
        program: String,
        /// What it is: "helm 3.18 or later".
        what: &'static str,
        /// The key of the configuration that names it.
        key: &'static str,
    },
    /// The program could not be started, hung or was cancelled.
    #[error(transparent)]
    Exec(#[from] ExecError),
    /// The program refused.
    #[error("{program} could not {action} {subject} ({how}): {said}")]
    Refused {
        /// `helm` or `kind`.
        program: &'static str,
        /// What it was asked for.
        action: Action,
        /// The release, chart or cluster.
        subject: String,
        /// "exit code 1".
        how: String,
        /// Its last words, masked.
        said: String,
    },
    /// minikube refused.
    #[error(transparent)]
    Minikube(Box<Failure>),
    /// A name that minikube would refuse for a profile.
    #[error(
        "`{name}` is not the name of a profile: 2 to 50 of a-z, 0-9 and -, none of them a dash at an end"
    )]
    Profile {
        /// The name.
        name: String,
    },
    /// A profile is there, but is not what is asked for.
    #[error("minikube profile {name} is another than asked for: {differs}")]
    OtherProfile {
        /// The profile.
        name: String,
        /// What differs, with the key.
        differs: String,
    },
    /// The release is locked by an operation that nobody may be running any more.
    #[error("release {release} is {status} since {since}")]
    Locked {
        /// The release.
        release: String,
        /// `pending-install`, `pending-upgrade`, `pending-rollback` or `uninstalling`.
        status: String,
        /// When it was locked, as helm says it.
        since: String,
    },
    /// A field belongs to somebody else, and helm does not take it by force.
    #[error("release {release} claims a field that another manager owns: {said}")]
    Conflict {
        /// The release.
        release: String,
        /// Helm's words: field and manager.
        said: String,
    },
    /// The program succeeded, but its effect is not there.
    #[error("{program} said that it could {action} {subject}, but {found}")]
    NoEffect {
        /// `helm` or `kind`.
        program: &'static str,
        /// What it was asked for.
        action: Action,
        /// The release or cluster.
        subject: String,
        /// What is there instead.
        found: String,
    },
    /// What it printed is not what it should be.
    #[error(
        "{program} printed something else than expected when asked to {action} {subject}: {problem}"
    )]
    Garbled {
        /// `helm` or `kind`.
        program: &'static str,
        /// What it was asked for.
        action: Action,
        /// The release, chart or cluster.
        subject: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The program is older than the oldest that is driven.
    #[error("{program} is {found}, {needed} is needed")]
    TooOld {
        /// `helm` or `kind`.
        program: &'static str,
        /// Its version.
        found: String,
        /// The oldest version.
        needed: &'static str,
    },
    /// A chart cannot be read.
    #[error("chart {chart}: {problem}")]
    Chart {
        /// The chart.
        chart: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A chart is not the one that was pinned.
    #[error(
        "chart {chart} is another one than was pinned: {wanted} was asked for, {found} is there"
    )]
    Digest {
        /// The chart, or its archive.
        chart: String,
        /// The digest of the release or of the lock.
        wanted: String,
        /// The archive's.
        found: String,
    },
    /// A chart's source did not give it.
    #[error("chart {chart} could not be fetched from {source_address}{}: {said}", times(*tries))]
    Fetch {
        /// The chart.
        chart: String,
        /// Repository, or host of the registry.
        source_address: String,
        /// How often it was tried.
        tries: u32,
        /// Last words, masked.
        said: String,
    },
    /// A declared release is wrong.
    #[error("release {release}: {problem}")]
    Declaration {
        /// The release.
        release: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A name that helm, kind or Kubernetes would refuse.
    #[error("`{name}` is not a name: lower-case letters, digits and dashes, at most {most}")]
    Name {
        /// The name.
        name: String,
        /// Longest length.
        most: usize,
    },
    /// A cluster is there, but was made from another configuration.
    #[error("cluster {name} was made from another configuration")]
    OtherCluster {
        /// The cluster.
        name: String,
    },
    /// The containers of a cluster are there, and its API server does not answer.
    #[error("the API server of cluster {name} does not answer")]
    Silent {
        /// The cluster.
        name: String,
    },
    /// A file could not be read or written.
    #[error("{}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The refusal.
        source: io::Error,
    },
}

fn times(tries: u32) -> String {
    match tries {
        1 => String::new(),
        tries => format!(" in {tries} tries"),
    }
}

impl ToolError {
    /// What to do about it, where that is known.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Missing { what, key, .. } => {
                format!("install {what}, or name its path in {key}")
            }
            Self::Locked { release, .. } => {
                format!("run `kedactl up` again: it repairs the lock while it holds the stack's lease (or `helm history {release}`)")
            }
            Self::Conflict { .. } => {
                "take the field out of the chart's values; a count of replicas belongs to the autoscaler".to_owned()
            }
            Self::TooOld { program, needed, .. } => format!("install {program} {needed} or newer"),
            Self::OtherCluster { name } => {
                format!(
                    "leave out kind.config and kind.image to take a cluster of somebody else as it is, name another one by \
                     kind.cluster, or delete this one where it is yours: `kind delete cluster --name {name}`"
                )
            }
            Self::Silent { name } => format!(
                "`docker logs {name}-control-plane` says why. Several nodes do not always live through a restart of their machine: \
                 `kedactl down --purge` and `kedactl up` make the cluster anew, or, where it is not the stack's own, `kind delete cluster --name {name}`"
            ),
            Self::Minikube(failure) => return failure.hint(),
            Self::Profile { .. } => {
                "name another one with minikube.profile, or the stack with --stack".to_owned()
            }
            Self::OtherProfile { name, .. } => format!(
                "leave out that key to take the profile as it is, name another one with minikube.profile, or delete this one \
                 where it is yours: `minikube delete -p {name}`"
            ),
            Self::Refused { said, .. } | Self::Fetch { said, .. } => {
                return hint_of(said).map(str::to_owned);
            }
            Self::Digest { .. } => {
                "find out who changed the archive; where it is meant, give the release the new `digest`".to_owned()
            }
            _ => return None,
        })
    }

    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }
}

impl From<Failure> for ToolError {
    fn from(failure: Failure) -> Self {
        Self::Minikube(Box::new(failure))
    }
}

/// Cures for what helm and kind are known to say; the first that fits counts.
const KNOWN: &[(&str, &str)] = &[
    // Its own words end with those of a missing kind, whose cure would lead astray.
    (
        "from current release manifest",
        "the last revision has an object of an API version that the cluster serves no more: helm's plugin mapkubeapis rewrites \
         the record, or take the release away and bring it up again",
    ),
    (
        "data: Too long",
        "helm keeps a release in one Secret, which holds 1 MiB: leave files and values out of the chart, or split it",
    ),
    (
        "rate limiter Wait",
        "the cluster has so many kinds that helm slowed itself down until its time was over: raise the release's timeout",
    ),
    (
        "cannot be imported into the current release",
        "an object of that name belongs to somebody else: rename the release, or delete the object",
    ),
    (
        "is invalid: annotations: Too long",
        "the object is too large for client-side apply: use helm 4, which applies on the server",
    ),
    (
        "ensure CRDs are installed first",
        "install the release that brings these kinds first (`dependsOn`)",
    ),
    (
        "updates to statefulset spec for fields other than",
        "size and class of a volume stay what they were at the first install: put them back, or take the release away first",
    ),
    (
        "context deadline exceeded",
        "a hook did not end in time: look at its Job's pods, or raise the release's timeout",
    ),
    (
        "Kubernetes cluster unreachable",
        "the API server does not answer: check the cluster and the kubeconfig",
    ),
    (
        "is forbidden",
        "the user of this kubeconfig lacks a permission: ask for it, or use another context",
    ),
    (
        "401 Unauthorized",
        "the source wants a login: give the release `access` with username and passwordFile, or run `docker login` for oci://",
    ),
    (
        "status code 401",
        "the source wants a login: run `docker login`, or give the release `access` with username and passwordFile",
    ),
    (
        "basic credential not found",
        "the source wants a login: run `docker login`, or give the release `access` with username and passwordFile",
    ),
    (
        "certificate signed by unknown authority",
        "name the file with the authority's certificate in the release's `access.caFile`",
    ),
    (
        "not found in",
        "the source has no chart of this name and version: check `chart` and `version` of the release",
    ),
    (
        "node(s) already exist",
        "a cluster of that name was half made: delete it with `kind delete cluster --name NAME`",
    ),
    (
        "Cannot connect to the Docker daemon",
        "start the Docker engine, or name another with DOCKER_HOST",
    ),
    (
        "port is already allocated",
        "another program has the port: free it, or change the port mappings",
    ),
    (
        "inotify",
        "raise fs.inotify.max_user_watches to 524288 and fs.inotify.max_user_instances to 512",
    ),
];

fn hint_of(said: &str) -> Option<&'static str> {
    // The two majors of helm do not agree on capitals.
    let said = said.to_lowercase();
    KNOWN
        .iter()
        .find(|(words, _)| said.contains(&words.to_lowercase()))
        .map(|(_, hint)| *hint)
}
