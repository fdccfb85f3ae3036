//! Groups by what is in them: for whoever tries the way from Alertmanager to a chat.
//! Must not hold Redis up: it goes through the groups in small steps.

use kedactl_alerts::Status;
use redis::{Pipeline, Value, cmd};
use serde::Serialize;

use crate::accept::{GroupId, status};
use crate::error::OutboxError;
use crate::outbox::{Outbox, PREFIX};
use crate::reply;

/// Keys that are looked at in one step.
const STEP: u32 = 512;

/// A group and what its chat is shown of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Found {
    pub group: GroupId,
    pub chat: i64,
    /// Of its newest state.
    pub status: Status,
    /// Whether that is what the chat shows.
    pub shown: bool,
    /// Why it was not shown at the last try; empty where nothing was wrong.
    pub why: String,
}

impl Outbox {
    /// Groups whose newest state holds a text. It goes through all of them.
    pub async fn find(&self, text: &str) -> Result<Vec<Found>, OutboxError> {
        let (mut found, mut cursor) = (Vec::new(), "0".to_owned());
        let prefix = format!("{PREFIX}:g:");
        // What stands for something in a pattern is escaped; the braces of the prefix do not.
        let pattern = format!("{prefix}*");
        loop {
            let mut step = Pipeline::new();
            step.add_command(
                cmd("SCAN")
                    .arg(&cursor)
                    .arg("MATCH")
                    .arg(&pattern)
                    .arg("COUNT")
                    .arg(STEP)
                    .clone(),
            );
            let answer = self.ask(&step).await?.pop().unwrap_or(Value::Nil);
            let parts = reply::list(&answer)?;
            let keys = parts
                .get(1)
                .map(reply::list)
                .transpose()?
                .unwrap_or_default();
            let keys: Vec<String> = keys.iter().map(|key| reply::text(Some(key))).collect();
            found.extend(self.those_with(&keys, &prefix, text).await?);
            cursor = reply::text(parts.first());
            if cursor == "0" || cursor.is_empty() {
                return Ok(found);
            }
        }
    }

    async fn those_with(
        &self,
        keys: &[String],
        prefix: &str,
        text: &str,
    ) -> Result<Vec<Found>, OutboxError> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let mut all = Pipeline::new();
        for key in keys {
            all.cmd("HMGET")
                .arg(key)
                .arg(&["chat", "status", "want", "sent", "why", "state"]);
        }
        let answers = self.ask(&all).await?;
        let mut found = Vec::new();
        for (key, answer) in keys.iter().zip(&answers) {
            let fields = reply::list(answer)?;
            let field = |at: usize| reply::text(fields.get(at));
            if field(5).contains(text) {
                found.push(Found {
                    group: GroupId::known(key.trim_start_matches(prefix).to_owned()),
                    chat: field(0).parse().unwrap_or_default(),
                    status: status(&field(1)),
                    shown: !field(2).is_empty() && field(2) == field(3),
                    why: field(4),
                });
            }
        }
        Ok(found)
    }
}
