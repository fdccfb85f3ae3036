//! The recorded stack that a command looks at or acts on, wherever it runs: the one place that tells the places apart.
//!
//! It must not start or stop a stack.

mod alertmanager;
mod cluster;
mod collect;
mod doctor;
mod local;
mod observe;

pub(crate) use alertmanager::Alertmanager;
pub(crate) use collect::Collected;
pub(crate) use doctor::doctor;
pub(crate) use observe::StackObserver;

use crate::context::Context;
use crate::error::{Code, Error};
use crate::status::Look;
use cluster::OnCluster;
use kedactl_queue::{Inspector, QueueName, Redis, TaskId};
use local::Local;
use std::path::Path;
use std::sync::Arc;
use tokio::sync::mpsc;

/// A stack with a record.
#[derive(Debug)]
pub(crate) enum Running {
    /// Processes of this machine.
    Local(Local),
    /// Pods of a cluster.
    Cluster(Arc<OnCluster>),
}

/// What `logs` was asked for.
#[derive(Debug, Clone)]
pub(crate) struct LogRequest {
    /// Components, or single processes and pods; all where there are none.
    pub services: Vec<String>,
    /// Lines from before, of each.
    pub lines: usize,
    pub follow: bool,
    /// Only what may be about this task, and of that everything.
    pub task: Option<TaskId>,
}

/// One line of a process or pod.
#[derive(Debug)]
pub(crate) struct LogLine {
    pub process: String,
    pub text: String,
}

/// A fail-over that happened.
#[derive(Debug)]
pub(crate) struct Moved {
    pub from: String,
    pub to: String,
    pub took_ms: u64,
}

impl Running {
    /// The stack that the command line names.
    pub(crate) fn open(context: &Context) -> Result<Self, Error> {
        let name = context.stack_name();
        Self::find(context, &name)?.ok_or_else(|| {
            let dirs = [
                context.dir_of(&name),
                context.home(&name).map(|it| it.dir()),
            ];
            let dirs = dirs.into_iter().flatten();
            let dirs: Vec<String> = dirs.map(|it| it.display().to_string()).collect();
            Error::new(
                Code::NoStack,
                format!("no stack runs in {}", dirs.join(" or ")),
            )
        })
    }

    /// The stack of that name; `None` where there is none, an error where there are two.
    pub(crate) fn find(context: &Context, name: &str) -> Result<Option<Self>, Error> {
        let local = Local::find(context.dir_of(name)?)?;
        let cluster = OnCluster::find(context.home(name)?)?;
        match (local, cluster) {
            (Some(local), Some(cluster)) => Err(twice(name, &local, &cluster)),
            (Some(local), None) => Ok(Some(Self::Local(local))),
            (None, Some(cluster)) => Ok(Some(Self::Cluster(Arc::new(cluster)))),
            (None, None) => Ok(None),
        }
    }

    /// One look at everything.
    pub(crate) async fn look(&self) -> Result<Look, Error> {
        match self {
            Self::Local(it) => it.look().await,
            Self::Cluster(it) => Ok(it.look().await),
        }
    }

    /// Writes what a failed run needs into a folder, as far as it can be had.
    pub(crate) async fn collect(&self, into: &Path) -> Result<Collected, Error> {
        match self {
            Self::Local(it) => collect::of_local(it, into).await,
            Self::Cluster(it) => Box::pin(collect::of_cluster(it, into)).await,
        }
    }

    /// The queue that the stack's configuration names.
    pub(crate) fn queue(&self) -> Result<QueueName, Error> {
        match self {
            Self::Local(it) => it.queue(),
            Self::Cluster(it) => it.queue(),
        }
    }

    /// One who looks into the stack's queues; it is good for as long as this value is there.
    pub(crate) async fn inspector(&self) -> Result<Inspector, Error> {
        match self {
            Self::Local(it) => it.inspector().await,
            Self::Cluster(it) => it.inspector().await,
        }
    }

    /// A handle to the stack's Redis; it is good for as long as this value is there.
    pub(crate) async fn redis(&self) -> Result<Redis, Error> {
        match self {
            Self::Local(it) => it.redis().await,
            Self::Cluster(it) => it.redis().await,
        }
    }

    /// The Alertmanager that watches the stack.
    pub(crate) async fn alertmanager(&self) -> Result<Alertmanager, Error> {
        match self {
            Self::Local(it) => Ok(Alertmanager::here(it.alertmanager()?)),
            Self::Cluster(it) => Ok(Alertmanager::through(
                it.live().await?.alertmanager().await?,
            )),
        }
    }

    /// Makes the Sentinels promote a replica, and waits until it takes writes.
    pub(crate) async fn fail_over(&self) -> Result<Moved, Error> {
        match self {
            Self::Local(it) => it.fail_over().await,
            Self::Cluster(it) => it.fail_over().await,
        }
    }

    /// Sends what was written, and with `follow` what is being written, until nobody takes it any more.
    pub(crate) async fn logs(
        &self,
        request: &LogRequest,
        lines: mpsc::Sender<LogLine>,
    ) -> Result<(), Error> {
        match self {
            Self::Local(it) => it.logs(request, lines).await,
            Self::Cluster(it) => it.logs(request, lines).await,
        }
    }

    /// Where the API is reached from here.
    pub(crate) async fn api_url(&self) -> Result<String, Error> {
        match self {
            Self::Local(it) => it.api_url(),
            Self::Cluster(it) => it.api_url().await,
        }
    }

    /// Sizes of the targets while something happens to them.
    pub(crate) fn sizes(&self) -> Result<observe::Sizes, Error> {
        Ok(match self {
            Self::Local(it) => observe::Sizes::Local(it.sizes()?),
            Self::Cluster(it) => {
                observe::Sizes::Cluster(Arc::clone(it), kedactl_stack::ScaleWatch::default())
            }
        })
    }
}

fn twice(name: &str, local: &Local, cluster: &OnCluster) -> Error {
    let message = format!(
        "stack {name} runs on this machine ({}) and in the cluster of context {} ({})",
        local.dir().display(),
        cluster.context(),
        cluster.dir().display()
    );
    Error::new(Code::Elsewhere, message)
        .hint(format!("`kedactl down --stack {name}` ends the one in the cluster; once more, it ends the one on this machine"))
}

/// Reads a queue's name as a user gave it.
pub(crate) fn queue_name(text: &str) -> Result<QueueName, Error> {
    text.parse().map_err(|error| {
        Error::new(Code::Usage, format!("`{text}` is not the name of a queue")).source(error)
    })
}
