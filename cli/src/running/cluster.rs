//! A stack in a cluster: the library asks the cluster, this turns its answers into what commands show.
//!
//! It must not connect before it is asked something.

use super::{LogLine, LogRequest, Moved, observe};
use crate::error::Error;
use crate::status::{Look, Status};
use kedactl_cluster::LogOptions;
use kedactl_queue::{Inspector, QueueName, Redis, TaskId};
use kedactl_stack::{Home, Live, Record, StackError};
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::sync::{OnceCell, mpsc};

/// By so much the clocks of nodes and of this machine may differ.
const CLOCKS_DIFFER_S: u64 = 120;

/// A stack with a record of its cluster.
#[derive(Debug)]
pub(crate) struct OnCluster {
    home: Home,
    record: Record,
    live: OnceCell<Live>,
}

impl OnCluster {
    /// The stack with this home; `None` where there is none.
    pub(super) fn find(home: Home) -> Result<Option<Self>, Error> {
        let record = Record::read(&home)?;
        Ok(record.map(|record| Self {
            home,
            record,
            live: OnceCell::new(),
        }))
    }

    pub(crate) fn home(&self) -> &Home {
        &self.home
    }

    pub(crate) fn record(&self) -> &Record {
        &self.record
    }

    pub(super) fn dir(&self) -> PathBuf {
        self.home.dir()
    }

    pub(super) fn context(&self) -> &str {
        &self.record.context
    }

    /// The stack in its cluster, connected once.
    pub(super) async fn live(&self) -> Result<&Live, StackError> {
        let open = || Live::open(self.home.clone(), self.record.clone());
        self.live.get_or_try_init(open).await
    }

    pub(super) async fn look(&self) -> Look {
        match self.live().await {
            Ok(live) => Look {
                status: Status::of_cluster(&self.home, &self.record, &live.status().await),
                error: None,
            },
            Err(error) => Look {
                status: Status::of_record(
                    &self.home,
                    &self.record,
                    &kedactl_stack::in_full(&error),
                ),
                error: Some(error.into()),
            },
        }
    }

    pub(super) fn queue(&self) -> Result<QueueName, Error> {
        super::queue_name(&self.record.config.queue.name)
    }

    pub(super) async fn inspector(&self) -> Result<Inspector, Error> {
        Ok(self.live().await?.inspector().await?)
    }

    pub(super) async fn redis(&self) -> Result<Redis, Error> {
        Ok(self.live().await?.ready_redis().await?.clone())
    }

    pub(super) async fn fail_over(&self) -> Result<Moved, Error> {
        let done = self.live().await?.fail_over().await?;
        Ok(Moved {
            from: done.from.to_string(),
            to: done.to.to_string(),
            took_ms: done.took.as_millis() as u64,
        })
    }

    pub(super) async fn api_url(&self) -> Result<String, Error> {
        Ok(self.live().await?.api_url().await?)
    }

    pub(super) async fn logs(
        &self,
        request: &LogRequest,
        lines: mpsc::Sender<LogLine>,
    ) -> Result<(), Error> {
        let live = self.live().await?;
        let since = |id: TaskId| {
            let now = SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default();
            (now.as_secs() + CLOCKS_DIFFER_S).saturating_sub(id.timestamp_ms() / 1000) as i64
        };
        let options = LogOptions {
            namespaces: live.namespaces().into_iter().collect(),
            components: request.services.clone(),
            tail: request.task.is_none().then_some(request.lines as i64),
            since_s: request.task.map(since),
            follow: request.follow,
            previous: request.task.is_some(),
            ..LogOptions::default()
        };
        let (sender, mut receiver) = mpsc::channel(256);
        let read = kedactl_cluster::follow_logs(live.cluster(), options, sender);
        let pass = async {
            let mut any = false;
            while let Some(line) = receiver.recv().await {
                any = true;
                if request
                    .task
                    .is_some_and(|id| !line.text.contains(id.as_str()))
                {
                    continue;
                }
                let process = name(&line);
                if lines
                    .send(LogLine {
                        process,
                        text: line.text,
                    })
                    .await
                    .is_err()
                {
                    break;
                }
            }
            // Dropped here, so that the reader ends when nobody listens.
            drop(receiver);
            any
        };
        let (read, any) = tokio::join!(read, pass);
        read.map_err(StackError::from)?;
        if any || request.services.is_empty() || request.task.is_some() {
            return Ok(());
        }
        Err(observe::no_log(&request.services))
    }
}

/// The pod; with the container where a pod has several that say something else.
fn name(line: &kedactl_cluster::LogLine) -> String {
    if line.container == line.component || line.pod.starts_with(&line.container) {
        line.pod.clone()
    } else {
        format!("{}/{}", line.pod, line.container)
    }
}
