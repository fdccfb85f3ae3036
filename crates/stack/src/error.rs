//! What can go wrong with a stack on a cluster, and what to do about it.
//! Must not decide exit codes: the program that prints maps variants to codes.

use std::io;
use std::path::PathBuf;

use kedactl_bundle::{BundleError, Place};
use kedactl_cluster::Error as ClusterError;
use kedactl_config::NotAName;
use kedactl_exec::ExecError;
use kedactl_images::ImageError;
use kedactl_plan::GraphError;
use kedactl_queue::{FailoverError, QueueError};
use kedactl_render::RenderError;
use kedactl_tools::ToolError;
use kedactl_tunnel::TunnelError;

/// Why a stack on a cluster could not be brought up, down, or looked at.
#[derive(Debug, thiserror::Error)]
pub enum StackError {
    /// The templates do not make manifests of the configuration.
    #[error(transparent)]
    Render(#[from] RenderError),
    /// A release on the cluster has a name that cannot be declared.
    #[error(transparent)]
    Name(#[from] NotAName),
    /// The cluster.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// helm or kind.
    #[error(transparent)]
    Tool(#[from] ToolError),
    /// An image.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The bundle.
    #[error(transparent)]
    Bundle(Box<BundleError>),
    /// An image would have to be pulled, though everything is to come out of a bundle.
    #[error("{image} is not in the bundle; {place}{}", and_more(*more))]
    Outside {
        /// The image.
        image: String,
        /// Where it stands.
        place: Box<Place>,
        /// How many others there are.
        more: usize,
    },
    /// The tunnel.
    #[error(transparent)]
    Tunnel(#[from] TunnelError),
    /// This machine lacks something that a cluster needs, or has it in use.
    #[error("{what}: {problem}")]
    Machine {
        /// "memory for nodes", "port 8000 of 127.0.0.1".
        what: String,
        /// What was found.
        problem: String,
        /// What to do about it.
        cure: String,
    },
    /// A program that the job needs is nowhere.
    #[error("program {program} not found: {purpose} it")]
    Missing {
        /// As it was looked for: a name or a path.
        program: String,
        /// "images reach nodes through".
        purpose: &'static str,
        /// What to install or to name, and where.
        cure: String,
    },
    /// A program.
    #[error(transparent)]
    Exec(#[from] ExecError),
    /// The order of the nodes is wrong: a fault of this program or of a template.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// Redis.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// Redis does not answer on the way through the cluster.
    #[error("{source}; {}", ways.join("; "))]
    OutOfReach {
        /// What was missed.
        source: QueueError,
        /// What happened to the connections, `pod: reason`.
        ways: Vec<String>,
    },
    /// Redis was not failed over.
    #[error(transparent)]
    Failover(#[from] FailoverError),
    /// The stack's API is reached from nowhere outside the cluster.
    #[error("the API of stack {stack} has no address outside its cluster{}", because(why.as_deref()))]
    NoAddress {
        /// Its name.
        stack: String,
        /// What is wrong with the tunnel, where there is one.
        why: Option<String>,
    },
    /// The configuration cannot be carried out.
    #[error("{problem}")]
    Config {
        /// What is wrong, with the key.
        problem: String,
        /// What to set.
        cure: String,
    },
    /// An image cannot be made from its recipe.
    #[error("{problem}")]
    Recipe {
        /// What is wrong.
        problem: String,
        /// What to do about it.
        cure: String,
    },
    /// No stack of that name was brought up.
    #[error("no stack {stack} is recorded in {}", dir.display())]
    NoStack {
        /// Its name.
        stack: String,
        /// Where its record would be.
        dir: PathBuf,
    },
    /// The stack runs somewhere else already.
    #[error("stack {stack} runs on {there} already, and {here} was asked for")]
    Elsewhere {
        /// Its name.
        stack: String,
        /// Where it runs.
        there: String,
        /// Where it was to run.
        here: String,
    },
    /// The record of the stack cannot be used.
    #[error("{} is not the record of a stack: {problem}", path.display())]
    Record {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A cluster that was made does not come to life.
    #[error("cluster {name} was not ready after {waited_s} s: {missing}")]
    ClusterNotReady {
        /// The cluster.
        name: String,
        /// What is missing.
        missing: String,
        /// Seconds.
        waited_s: u64,
        /// What shows its nodes, by the words of the program that made it.
        look: String,
    },
    /// A check at the end failed.
    #[error("{what} failed: {why}")]
    Check {
        /// The check.
        what: String,
        /// What was seen.
        why: String,
    },
    /// A node ended because the job was told to stop.
    #[error("stopped")]
    Stopped,
    /// The job was told to stop and did.
    #[error("stopped; {sentence}")]
    Interrupted {
        /// What is done and what is not.
        sentence: String,
    },
    /// A file of the stack cannot be used.
    #[error("could not {what} {}", path.display())]
    File {
        /// "read", "write".
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// The refusal.
        source: io::Error,
    },
}

impl From<BundleError> for StackError {
    fn from(error: BundleError) -> Self {
        Self::Bundle(Box::new(error))
    }
}

impl StackError {
    /// Whether it says no more than that the job was told to stop.
    pub(crate) fn is_stop(&self) -> bool {
        matches!(
            self,
            Self::Stopped
                | Self::Interrupted { .. }
                | Self::Cluster(ClusterError::Stopped)
                | Self::Tool(ToolError::Exec(ExecError::Cancelled { .. }))
        )
    }

    /// What to do about it, where that is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Render(error) => error.hint.clone(),
            Self::Cluster(error) => error.hint(),
            Self::Tool(error) => error.hint(),
            Self::Image(error) => error.hint(),
            Self::Tunnel(error) => error.hint(),
            Self::Bundle(error) => error.hint(),
            Self::Outside { image, .. } => Some(format!(
                "make the bundle again with these values, or pass --outside {image} where the nodes can get it without the bundle"
            )),
            Self::Missing { cure, .. } | Self::Config { cure, .. } | Self::Machine { cure, .. } | Self::Recipe { cure, .. } => {
                Some(cure.clone())
            }
            Self::NoStack { .. } => Some("`kedactl up --provider kind` (or context) makes one".into()),
            Self::Elsewhere { stack, .. } => Some(format!(
                "take it down first (`kedactl down --stack {stack}`), or give this one another name with --stack"
            )),
            Self::Record { path, .. } => Some(format!(
                "run `kedactl up` with the version that wrote it, or remove {} and bring the stack up again",
                path.display()
            )),
            Self::ClusterNotReady { look, .. } => Some(look.clone()),
            Self::NoAddress { .. } => Some(
                "`kedactl tunnel --detach` brings it to this machine".to_owned(),
            ),
            Self::OutOfReach { .. } => Some(
                "`kedactl status` shows Redis' pods; the way to them needs the right to create pods/portforward".to_owned(),
            ),
            Self::Name(_)
            | Self::Exec(_)
            | Self::Queue(_)
            | Self::Failover(_)
            | Self::Graph(_)
            | Self::Check { .. }
            | Self::Stopped
            | Self::Interrupted { .. }
            | Self::File { .. } => None,
        }
    }

    /// An error of Redis with what is known of the way to it.
    pub(crate) fn of_queue(source: QueueError, reached: &crate::Reached) -> Self {
        match (source, reached.troubles()) {
            (source @ QueueError::Unavailable { .. }, ways) if !ways.is_empty() => {
                Self::OutOfReach { source, ways }
            }
            (source, _) => Self::Queue(source),
        }
    }

    pub(crate) fn file(
        what: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { what, path, source }
    }
}

fn and_more(more: usize) -> String {
    if more == 0 {
        String::new()
    } else {
        format!(" (and {more} more places)")
    }
}

fn because(why: Option<&str>) -> String {
    why.map_or_else(String::new, |why| format!(": {why}"))
}
