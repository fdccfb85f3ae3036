//! A stack of processes on this machine: its state, checked against what really runs, and the way to its Redis.
//!
//! It must not start or stop anything.

use super::{LogLine, LogRequest, Moved, observe, queue_name};
use crate::error::{Code, Error};
use crate::status::{Look, Queue, Status};
use crate::tail::{Tail, everything, names};
use kedactl_local::{Layout, StackState};
use kedactl_queue::{Inspector, QueueName, Redis};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::{OnceCell, mpsc};

/// How long the queue's numbers may take before a look goes without them.
const PATIENCE: Duration = Duration::from_millis(400);
/// How often log files are looked at.
const EVERY: Duration = Duration::from_millis(200);

/// A stack with a state.
#[derive(Debug)]
pub(crate) struct Local {
    layout: Layout,
    redis: OnceCell<Redis>,
}

impl Local {
    /// The stack in this folder; `None` where there is none.
    pub(super) fn find(dir: PathBuf) -> Result<Option<Self>, Error> {
        let state = kedactl_local::read_state(&dir)?;
        Ok(state.map(|_| Self {
            layout: Layout::new(dir),
            redis: OnceCell::new(),
        }))
    }

    pub(super) fn dir(&self) -> &Path {
        self.layout.dir()
    }

    /// The state as it is now.
    fn state(&self) -> Result<StackState, Error> {
        let state = kedactl_local::read_state(self.dir())?;
        state.ok_or_else(|| Error::new(Code::NoStack, "the stack was removed"))
    }

    pub(super) async fn look(&self) -> Result<Look, Error> {
        let state = self.state()?;
        let numbers = async {
            let queue = self.queue()?;
            Queue::read(&self.inspector().await?, &queue).await
        };
        let queue = tokio::time::timeout(PATIENCE, numbers).await;
        let queue = queue.ok().and_then(Result::ok);
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.unwrap_or(Duration::ZERO).as_millis() as u64;
        Ok(Look {
            status: Status::of_local(&state, queue, now),
            error: None,
        })
    }

    pub(super) fn queue(&self) -> Result<QueueName, Error> {
        let desired = kedactl_local::read_desired(self.dir())?;
        let desired = desired
            .ok_or_else(|| Error::new(Code::NoStack, "the stack has no recorded configuration"))?;
        queue_name(&desired.config.queue.name)
    }

    pub(super) async fn inspector(&self) -> Result<Inspector, Error> {
        Ok(Inspector::new(&self.redis().await?))
    }

    /// A handle to its Redis, once a master is there.
    pub(super) async fn redis(&self) -> Result<Redis, Error> {
        let connect = || async {
            let config = kedactl_local::redis_config(&self.state()?)?;
            Ok::<_, Error>(Redis::connect(config).await?)
        };
        Ok(self.redis.get_or_try_init(connect).await?.clone())
    }

    pub(super) async fn fail_over(&self) -> Result<Moved, Error> {
        let done = kedactl_local::failover(self.dir()).await?;
        Ok(Moved {
            from: done.from,
            to: done.to,
            took_ms: done.took_ms,
        })
    }

    pub(super) fn api_url(&self) -> Result<String, Error> {
        Ok(format!("http://{}", self.state()?.endpoints.api))
    }

    pub(super) fn alertmanager(&self) -> Result<String, Error> {
        let missing = || Error::new(Code::NoAlertmanager, "the stack has no Alertmanager");
        self.state()?.endpoints.alertmanager.ok_or_else(missing)
    }

    pub(super) fn sizes(&self) -> Result<observe::LocalSizes, Error> {
        let state = self.state()?;
        Ok(observe::LocalSizes::new(self.dir().to_owned(), &state))
    }

    /// Logs, journal and state as texts, by the names of files that they make.
    pub(super) fn texts(&self) -> Result<Vec<(String, std::io::Result<String>)>, Error> {
        let read = |path: PathBuf| {
            std::fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        };
        let mut texts = vec![
            ("journal.jsonl".to_owned(), read(self.layout.journal())),
            ("state.json".to_owned(), read(self.layout.state())),
        ];
        for name in names(&self.dir().join("logs"), &[])? {
            texts.push((format!("logs/{name}.log"), read(self.layout.log(&name))));
        }
        Ok(texts)
    }

    pub(super) async fn logs(
        &self,
        request: &LogRequest,
        lines: mpsc::Sender<LogLine>,
    ) -> Result<(), Error> {
        let folder = self.dir().join("logs");
        let mut tails = BTreeMap::new();
        let found = names(&folder, &request.services)?;
        if found.is_empty() && !request.follow {
            return Err(observe::no_log(&request.services));
        }
        if let Some(id) = &request.task {
            for name in found {
                let about = everything(&self.layout.log(&name), id.as_str())?;
                if !send(&lines, &name, about).await {
                    break;
                }
            }
            return Ok(());
        }
        for name in found {
            let (last, tail) = Tail::open(&self.layout.log(&name), request.lines)?;
            tails.insert(name.clone(), tail);
            if !send(&lines, &name, last).await {
                return Ok(());
            }
        }
        if !request.follow {
            return Ok(());
        }
        let mut beat = tokio::time::interval(EVERY);
        loop {
            beat.tick().await;
            for name in names(&folder, &request.services)? {
                let tail = tails
                    .entry(name.clone())
                    .or_insert_with(|| Tail::from_start(&self.layout.log(&name)));
                if !send(&lines, &name, tail.more()).await {
                    return Ok(());
                }
            }
        }
    }
}

/// Whether somebody still takes lines.
async fn send(lines: &mpsc::Sender<LogLine>, process: &str, texts: Vec<String>) -> bool {
    for text in texts {
        let process = process.to_owned();
        if lines.send(LogLine { process, text }).await.is_err() {
            return false;
        }
    }
    !lines.is_closed()
}
