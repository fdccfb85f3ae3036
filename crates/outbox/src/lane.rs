//! The way in: entries that come together are written together, and one WAIT is for all of them.
//! Must not answer an entry before a replica has it, where the master has one.

use std::time::Duration;

use kedactl_queue::{Channel, QueueError};
use redis::{Pipeline, Value};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout_at};

use crate::accept::{Accepted, Entry};
use crate::error::OutboxError;
use crate::outbox::{OutboxOptions, call};
use crate::reply;

/// Most entries of one write.
const MOST: usize = 128;
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(20);

/// An entry on its way.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) entry: Entry,
    pub(crate) deadline: Instant,
    pub(crate) answer: oneshot::Sender<Result<Accepted, OutboxError>>,
}

#[derive(Debug)]
pub(crate) struct Lane {
    channel: Channel,
    options: OutboxOptions,
    waiting: mpsc::Receiver<Pending>,
}

impl Lane {
    pub(crate) fn new(
        channel: Channel,
        options: OutboxOptions,
        waiting: mpsc::Receiver<Pending>,
    ) -> Self {
        Self {
            channel,
            options,
            waiting,
        }
    }

    /// Runs until the last handle is gone.
    pub(crate) async fn run(mut self) {
        let mut batch = Vec::new();
        while self.waiting.recv_many(&mut batch, MOST).await > 0 {
            let now = Instant::now();
            let late: Vec<_> = batch.extract_if(.., |it| it.deadline <= now).collect();
            answer_all(late, |_| Err(OutboxError::Full));
            if let Some(deadline) = batch.iter().map(|it| it.deadline).max() {
                let batch = std::mem::take(&mut batch);
                self.commit(batch, deadline).await;
            }
        }
    }

    /// Writes until it is stored or the time is over. An entry that is written twice is one, by its key.
    async fn commit(&mut self, batch: Vec<Pending>, deadline: Instant) {
        // What a try said first counts: the next one finds its keys there.
        let mut first: Option<Vec<Accepted>> = None;
        let mut error = OutboxError::NotReplicated;
        while Instant::now() < deadline {
            match timeout_at(deadline, self.write(&batch)).await {
                Ok(Ok((accepted, confirmed))) => {
                    let accepted = first.get_or_insert(accepted);
                    if confirmed {
                        let mut accepted = accepted.clone().into_iter();
                        return answer_all(batch, |_| {
                            accepted.next().ok_or(OutboxError::NotReplicated)
                        });
                    }
                    error = OutboxError::NotReplicated;
                }
                Ok(Err(QueueError::Unavailable {
                    reason,
                    retry_after,
                })) => {
                    let unavailable = QueueError::Unavailable {
                        reason,
                        retry_after,
                    };
                    error = OutboxError::Redis(unavailable);
                }
                Ok(Err(refused)) => {
                    error = OutboxError::Redis(refused);
                    break;
                }
                Err(_) => break,
            }
            sleep(PAUSE).await;
        }
        answer_all(batch, |_| Err(error.clone()));
    }

    /// One round: every entry, and the wait for a replica in the same write.
    async fn write(&mut self, batch: &[Pending]) -> Result<(Vec<Accepted>, bool), QueueError> {
        let options = &self.options;
        let mut pipeline = Pipeline::with_capacity(batch.len() + 1);
        for pending in batch {
            let mut command = call("accept");
            command
                .arg(pending.entry.key.as_str())
                .arg(options.known_for.as_millis() as u64)
                .arg(options.kept_for.as_millis() as u64);
            pending.entry.add_to(&mut command);
            pipeline.add_command(command);
        }
        let replicated = self.channel.replicas().await? > 0;
        if replicated {
            let within = options.replica_within.as_millis() as u64;
            pipeline.cmd("WAIT").arg(1).arg(within);
        }
        let values = self.channel.send(&pipeline).await?;
        let accepted = values.iter().take(batch.len()).map(accepted);
        let accepted = accepted.collect::<Result<Vec<_>, _>>()?;
        let confirmed = !replicated || reply::number(values.last())? > 0;
        Ok((accepted, confirmed))
    }
}

fn accepted(value: &Value) -> Result<Accepted, QueueError> {
    let fields = reply::list(value)?;
    Ok(Accepted {
        duplicate: reply::number(fields.first())? == 1,
        updated: reply::number(fields.get(1))?.max(0) as usize,
    })
}

fn answer_all(
    batch: Vec<Pending>,
    mut answer: impl FnMut(&Entry) -> Result<Accepted, OutboxError>,
) {
    for pending in batch {
        let said = answer(&pending.entry);
        // A caller that went away needs no answer.
        let _gone = pending.answer.send(said);
    }
}
