//! What the Sentinels and servers say about who is master.
//! Must not believe one Sentinel over a newer one: the highest configuration epoch wins.

use std::collections::HashMap;

use redis::{Cmd, Value, cmd};

use super::link::Link;

/// One Sentinel's word on the master.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Word {
    /// Number of the fail-over that made it master.
    pub(crate) epoch: u64,
    /// Its port.
    pub(crate) master: u16,
}

/// Asks one Sentinel.
pub(crate) async fn word(link: &mut Link, name: &str) -> Option<Word> {
    let answer: HashMap<String, String> = link
        .ask(cmd("SENTINEL").arg("MASTER").arg(name))
        .await
        .ok()?;
    Some(Word {
        epoch: answer.get("config-epoch")?.parse().ok()?,
        master: answer.get("port")?.parse().ok()?,
    })
}

/// Asks all Sentinels; the newest word counts.
pub(crate) async fn master(links: &mut [Link], name: &str) -> Option<u16> {
    let mut newest: Option<Word> = None;
    for link in links {
        let word = word(link, name).await;
        newest = newest.max(word);
    }
    newest.map(|word| word.master)
}

/// Whether enough Sentinels are there to agree on a fail-over.
pub(crate) async fn quorum(links: &mut [Link], name: &str) -> bool {
    for link in links {
        let answer: redis::RedisResult<String> =
            link.ask(cmd("SENTINEL").arg("CKQUORUM").arg(name)).await;
        if answer.is_ok() {
            return true;
        }
    }
    false
}

/// What a server says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Role {
    /// `master` or `replica`.
    pub(crate) name: &'static str,
    /// A replica: whether its link to the master works. A master: yes.
    pub(crate) online: bool,
    /// A master: the ports of its replicas.
    pub(crate) replicas: Vec<u16>,
}

/// Asks a server for its role; `None` while it does not answer or loads its data.
pub(crate) async fn role(link: &mut Link) -> Option<Role> {
    let answer: Vec<Value> = link.ask(&role_command()).await.ok()?;
    let text = |value: &Value| redis::from_redis_value::<String>(value.clone()).ok();
    let first = text(answer.first()?)?;
    if first == "master" {
        let replicas = match answer.get(2)? {
            Value::Array(list) => list
                .iter()
                .filter_map(|entry| match entry {
                    Value::Array(parts) => text(parts.get(1)?)?.parse().ok(),
                    _ => None,
                })
                .collect(),
            _ => Vec::new(),
        };
        return Some(Role {
            name: "master",
            online: true,
            replicas,
        });
    }
    Some(Role {
        name: "replica",
        online: text(answer.get(3)?)? == "connected",
        replicas: Vec::new(),
    })
}

fn role_command() -> Cmd {
    cmd("ROLE")
}
