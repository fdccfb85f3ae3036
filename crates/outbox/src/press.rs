//! The way of a press on a button: one asks for presses at a time, and each is acted upon once.
//! Must not know what a press is for.

use std::time::Duration;

use kedactl_alerts::Marks;
use kedactl_queue::{Channel, QueueError};
use redis::{Pipeline, Value};
use tokio::time::{Instant, sleep};

use crate::accept::{GroupId, State};
use crate::error::OutboxError;
use crate::outbox::{Outbox, answered, call, channel};
use crate::reply;
use crate::send::name;

/// An Alertmanager that could not be asked is asked again.
const AGAIN_AFTER: Duration = Duration::from_mins(1);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(20);

/// Whether this one may ask for presses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Poll {
    /// From this number on.
    From(i64),
    /// Somebody else does for so long, unless he dies.
    Wait(Duration),
}

/// What a press is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begun {
    /// Somebody else asks for presses by now.
    Ousted,
    /// It was acted upon.
    Known,
    /// Its button stands for nothing any more: the incident is over.
    Nothing,
    Wanted(Box<Wanted>),
}

/// A group that somebody wants something for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Somebody began to act upon this press before, and nobody knows how far it went.
    pub again: bool,
    pub route: String,
    pub state: State,
    pub marks: Marks,
}

/// Keeps a poller's right to ask while that one is busy.
#[derive(Debug)]
pub struct Keeper(Right);

#[derive(Debug)]
struct Right {
    channel: Channel,
    name: String,
    lease: Duration,
}

impl Right {
    async fn poll(&mut self) -> Result<Poll, OutboxError> {
        let mut command = call("poll");
        command.arg(&self.name).arg(self.lease.as_millis() as u64);
        let answer = answered(&mut self.channel, command).await?;
        let fields = reply::list(&answer)?;
        let number = reply::number(fields.get(1))?;
        Ok(if reply::number(fields.first())? == 1 {
            Poll::From(number)
        } else {
            Poll::Wait(Duration::from_millis(number.max(0) as u64))
        })
    }
}

impl Keeper {
    /// Keeps it for the whole of a lease from now on; `false` where somebody else has it by now.
    pub async fn keep(&mut self) -> Result<bool, OutboxError> {
        Ok(matches!(self.0.poll().await?, Poll::From(_)))
    }

    /// How long it is kept.
    pub fn lease(&self) -> Duration {
        self.0.lease
    }
}

/// A group whose silence is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsilenced {
    group: GroupId,
    number: i64,
    pub state: State,
    pub marks: Marks,
}

/// As marks are kept; writing them into memory cannot fail.
fn written(marks: &Marks) -> String {
    serde_json::to_string(marks).unwrap_or_default()
}

/// One that asks for presses.
#[derive(Debug)]
pub struct Poller {
    right: Right,
    /// For an act, and for a replica to have it.
    patience: (Duration, Duration),
}

impl Poller {
    /// One more; whoever does not ask again within `lease` is thought dead.
    pub fn new(outbox: &Outbox, lease: Duration) -> Self {
        let patience = outbox.patience();
        let channel = channel(outbox.redis(), patience.1);
        let name = name();
        Self {
            right: Right {
                channel,
                name,
                lease,
            },
            patience,
        }
    }

    /// What keeps its right to ask while it is busy, on a connection of its own.
    pub fn keeper(&self, outbox: &Outbox) -> Keeper {
        Keeper(Right {
            channel: channel(outbox.redis(), Duration::ZERO),
            name: self.right.name.clone(),
            lease: self.right.lease,
        })
    }

    /// Asks for the right to ask, or keeps it.
    pub async fn poll(&mut self) -> Result<Poll, OutboxError> {
        self.right.poll().await
    }

    /// Gives the right back.
    pub async fn leave(&mut self) -> Result<(), OutboxError> {
        let mut command = call("unpoll");
        command.arg(&self.right.name);
        answered(&mut self.right.channel, command).await.map(drop)
    }

    /// Says what a press is about, before it is acted upon.
    pub async fn begin(&mut self, press: i64, button: &str) -> Result<Begun, OutboxError> {
        let mut command = call("begin");
        command.arg(&self.right.name).arg(press).arg(button);
        let answer = answered(&mut self.right.channel, command).await?;
        let fields = reply::list(&answer)?;
        let text = |at: usize| reply::text(fields.get(at));
        Ok(match reply::number(fields.first())? {
            0 => Begun::Ousted,
            1 => Begun::Known,
            2 => Begun::Nothing,
            _ => Begun::Wanted(Box::new(Wanted {
                again: reply::number(fields.get(1))? == 1,
                route: text(2),
                state: serde_json::from_str(&text(3))
                    .map_err(|_| QueueError::Answer("not a state"))?,
                marks: serde_json::from_str(&text(4)).unwrap_or_default(),
            })),
        })
    }

    /// Says that a press was acted upon, and what its group shows of it from now on, in its chat and as these other groups.
    /// Returns when a replica has it, where there is one; `false`: somebody else asks for presses by now.
    pub async fn acted(
        &mut self,
        press: i64,
        button: &str,
        marks: Option<&Marks>,
        others: &[GroupId],
    ) -> Result<bool, OutboxError> {
        let ends = marks.and_then(|it| it.silence.as_ref());
        let ends = ends.map(|it| (it.until * 1000).to_string());
        let mut command = call("acted");
        command
            .arg(&self.right.name)
            .arg(press)
            .arg(button)
            .arg(marks.map(written).unwrap_or_default())
            .arg(ends.unwrap_or_default());
        for other in others {
            command.arg(other.as_str());
        }
        let deadline = Instant::now() + self.patience.0;
        loop {
            let mut pipeline = Pipeline::with_capacity(2);
            pipeline.add_command(command.clone());
            match self.confirmed(pipeline).await {
                Ok((answer, true)) => return Ok(reply::number(answer.as_ref())? == 1),
                Ok((_, false)) if Instant::now() >= deadline => {
                    return Err(OutboxError::NotReplicated);
                }
                Err(error) if Instant::now() >= deadline => return Err(error),
                _ => sleep(PAUSE).await,
            }
        }
    }

    /// A group that still fires as far as anybody said, and whose silence is over. It is handed out again after a while where
    /// [`Poller::settle`] is not heard of.
    pub async fn unsilenced(&mut self) -> Result<Option<Unsilenced>, OutboxError> {
        let mut command = call("unsilenced");
        command
            .arg(&self.right.name)
            .arg(AGAIN_AFTER.as_millis() as u64);
        let answer = answered(&mut self.right.channel, command).await?;
        let fields = reply::list(&answer)?;
        if reply::number(fields.first())? == 0 {
            return Ok(None);
        }
        let text = |at: usize| reply::text(fields.get(at));
        Ok(Some(Unsilenced {
            group: GroupId::known(text(1)),
            number: reply::number(fields.get(2))?,
            state: serde_json::from_str(&text(3)).map_err(|_| QueueError::Answer("not a state"))?,
            marks: serde_json::from_str(&text(4)).unwrap_or_default(),
        }))
    }

    /// Says whether anything of it fires, and what is shown of what people did from now on.
    pub async fn settle(&mut self, it: &Unsilenced, over: bool) -> Result<(), OutboxError> {
        let mut command = call("settle");
        command
            .arg(&self.right.name)
            .arg(it.group.as_str())
            .arg(it.number)
            .arg(u8::from(over))
            .arg(written(&it.marks));
        answered(&mut self.right.channel, command).await.map(drop)
    }

    /// The first answer, and whether a replica has what was written, where there is one.
    async fn confirmed(
        &mut self,
        mut pipeline: Pipeline,
    ) -> Result<(Option<Value>, bool), OutboxError> {
        let replicated = self.right.channel.replicas().await? > 0;
        if replicated {
            let within = self.patience.1.as_millis() as u64;
            pipeline.cmd("WAIT").arg(1).arg(within);
        }
        let values = self.right.channel.send(&pipeline).await?;
        let confirmed = !replicated || reply::number(values.last())? > 0;
        Ok((values.into_iter().next(), confirmed))
    }
}
