//! What is in the outbox, and what an operator may do about it.
//! Must not change anything by looking.

use std::collections::BTreeMap;
use std::time::Duration;

use kedactl_queue::Channel;
use serde::Serialize;

use crate::accept::{GroupId, State};
use crate::error::OutboxError;
use crate::outbox::{Outbox, answered, call, channel};
use crate::reply;

/// How much there is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Depth {
    /// Groups with a state that is not shown yet, but for those that are being sent.
    pub waiting: u64,
    pub sending: u64,
    /// Groups that are not tried again by themselves.
    pub dead: u64,
    /// How long the oldest state has waited.
    pub oldest: Duration,
    /// Chats that nothing gets into.
    pub closed_chats: u64,
    /// What was counted since the outbox is there: `accepted`, `deduplicated`, `sent`, `edited`, `limited`, …
    pub counts: BTreeMap<String, u64>,
}

/// Where a group is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Waiting,
    Sending,
    Dead,
}

/// A group with something that is not shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    pub group: GroupId,
    pub kind: Kind,
    pub chat: i64,
    pub thread: Option<i64>,
    pub route: String,
    /// Milliseconds since the Unix epoch; `None` where nothing waits.
    pub since: Option<u64>,
    pub tries: u32,
    /// Why it is dead or waits for longer; empty where nothing is wrong.
    pub why: String,
    pub state: Option<State>,
}

/// Asks whether anything can be kept, again and again on one connection.
#[derive(Debug)]
pub struct Prober(Channel);

impl Prober {
    /// Writes a little, as everything that is accepted is written: an error says why nothing could be. The server's time
    /// since the Unix epoch.
    pub async fn probe(&mut self) -> Result<Duration, OutboxError> {
        let answer = answered(&mut self.0, call("probe")).await?;
        let ms = reply::number(Some(&answer))?.max(0) as u64;
        Ok(Duration::from_millis(ms))
    }
}

impl Outbox {
    /// One that asks whether anything can be kept.
    pub fn prober(&self) -> Prober {
        Prober(channel(self.redis(), Duration::ZERO))
    }

    /// How much there is.
    pub async fn depth(&self) -> Result<Depth, OutboxError> {
        let answer = self.call(call("depth")).await?;
        let fields = reply::list(&answer)?;
        let number = |at: usize| reply::number(fields.get(at)).map(|it| it.max(0) as u64);
        let counts = fields
            .get(5)
            .map(reply::list)
            .transpose()?
            .unwrap_or_default();
        let counts = counts.chunks_exact(2).map(|pair| {
            let count = reply::number(pair.get(1))?.max(0) as u64;
            Ok((reply::text(pair.first()), count))
        });
        Ok(Depth {
            waiting: number(0)?,
            sending: number(1)?,
            dead: number(2)?,
            oldest: Duration::from_millis(number(3)?),
            closed_chats: number(4)?,
            counts: counts.collect::<Result<_, OutboxError>>()?,
        })
    }

    /// Groups with something that is not shown: dead ones, those that are being sent, those that wait.
    pub async fn list(&self, most: u32) -> Result<Vec<Row>, OutboxError> {
        let mut command = call("list");
        command.arg(most);
        let answer = self.call(command).await?;
        let rows = reply::list(&answer)?.iter();
        rows.map(|row| {
            let fields = reply::list(row)?;
            let text = |at: usize| reply::text(fields.get(at));
            Ok(Row {
                group: GroupId::known(text(0)),
                kind: match text(1).as_str() {
                    "dead" => Kind::Dead,
                    "sending" => Kind::Sending,
                    _ => Kind::Waiting,
                },
                chat: text(2).parse().unwrap_or_default(),
                thread: text(3).parse().ok(),
                route: text(4),
                since: text(6).parse().ok(),
                tries: text(8).parse().unwrap_or_default(),
                why: text(9),
                state: serde_json::from_str(&text(10)).ok(),
            })
        })
        .collect()
    }

    /// Lets a dead group be tried again, or all of them; and what waits for a closed chat at once. How many.
    pub async fn retry(&self, group: Option<&GroupId>) -> Result<u64, OutboxError> {
        self.act("retry", group).await
    }

    /// Forgets a group, or all dead ones. How many.
    pub async fn drop_groups(&self, group: Option<&GroupId>) -> Result<u64, OutboxError> {
        self.act("drop", group).await
    }

    async fn act(&self, function: &str, group: Option<&GroupId>) -> Result<u64, OutboxError> {
        let mut command = call(function);
        command.arg(group.map_or("", GroupId::as_str));
        let answer = self.call(command).await?;
        Ok(reply::number(Some(&answer))?.max(0) as u64)
    }
}
