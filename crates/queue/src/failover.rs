//! A fail-over that somebody ordered: the old master holds back writes until its replicas have everything, the Sentinels
//! carry it out, and it is over when the new master takes writes.
//!
//! It must not choose the new master, and must not lose what was accepted: Sentinel's own order lets the old master accept
//! what the next one, chosen before, will not have.

use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use tokio::time::{Instant, sleep};

use crate::config::{HostPort, RedisConfig, Topology};
use crate::connector::{Connector, Peer};
use crate::resolve::{self, Named};
use crate::{keys, survey};

/// Longest wait for one answer.
const ANSWER: Duration = Duration::from_secs(1);
/// Between two looks at who is master.
const AGAIN: Duration = Duration::from_millis(50);

/// For how long the old master holds back writes at most: it goes on by itself, whatever becomes of this program.
const HELD: Duration = Duration::from_secs(15);
/// How long its replicas may take to have everything; they tell what they have once a second.
const EQUAL_WITHIN: Duration = Duration::from_secs(5);

/// A fail-over that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failover {
    pub from: HostPort,
    pub to: HostPort,
    /// From the order until the new master took a write.
    pub took: Duration,
}

/// A fail-over that did not happen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct FailoverError {
    pub reason: String,
}

fn failed(reason: impl Into<String>) -> FailoverError {
    FailoverError {
        reason: reason.into(),
    }
}

/// Orders a fail-over from a Sentinel that sees a quorum, and waits until the new master takes writes.
pub async fn fail_over(config: &RedisConfig, within: Duration) -> Result<Failover, FailoverError> {
    let Topology::Sentinel { addrs, master } = &config.topology else {
        return Err(failed("this stack has no Sentinels"));
    };
    let connector = Connector::new(config.clone()).map_err(|error| failed(error.to_string()))?;
    let connector = Arc::new(connector);
    let before = resolve::named(&connector).await.map_err(failed)?;
    let begin = Instant::now();
    let mut old = hold(&connector, &before).await.map_err(failed)?;
    let moved = carry_out(&connector, addrs, master, &before, begin, within).await;
    if moved.is_err() {
        // It may be the master still; one that is no longer has closed its connections.
        unpause(&mut old).await;
    }
    moved
}

async fn carry_out(
    connector: &Arc<Connector>,
    addrs: &[HostPort],
    master: &str,
    before: &Named,
    begin: Instant,
    within: Duration,
) -> Result<Failover, FailoverError> {
    order(connector, addrs, master).await?;
    let mut missing = format!("{} is still the master", before.addr);
    while begin.elapsed() < within {
        match arrived(connector, before).await {
            Ok(to) => {
                return Ok(Failover {
                    from: before.addr.clone(),
                    to,
                    took: begin.elapsed(),
                });
            }
            Err(reason) => missing = reason,
        }
        sleep(AGAIN).await;
    }
    Err(failed(format!("after {} s, {missing}", within.as_secs())))
}

/// Makes the master hold back writes, and waits until a replica has everything that was accepted, and all that answer have.
async fn hold(connector: &Connector, named: &Named) -> Result<MultiplexedConnection, String> {
    let mut old = resolve::connect(connector, named, ANSWER).await?.conn;
    let paused: redis::RedisResult<()> = redis::cmd("CLIENT")
        .arg("PAUSE")
        .arg(HELD.as_millis() as u64)
        .arg("WRITE")
        .query_async(&mut old)
        .await;
    paused.map_err(|error| format!("{} does not hold back writes: {error}", named.addr))?;
    let begin = Instant::now();
    loop {
        let missing = match survey::look_at(connector, named.clone()).await {
            Ok(view) if view.online() == 0 => "no replica is there to take over".to_owned(),
            Ok(view) => match view.replicas.iter().find(|it| it.online && it.behind > 0) {
                None => return Ok(old),
                Some(it) => format!("{} lacks {} bytes of what was accepted", it.addr, it.behind),
            },
            Err(reason) => reason,
        };
        if begin.elapsed() >= EQUAL_WITHIN {
            unpause(&mut old).await;
            return Err(missing);
        }
        sleep(AGAIN).await;
    }
}

/// Lets writes go on. Where it is not heard, the pause ends by itself.
async fn unpause(old: &mut MultiplexedConnection) {
    let ended: redis::RedisResult<()> = redis::cmd("CLIENT").arg("UNPAUSE").query_async(old).await;
    if let Err(error) = ended {
        tracing::debug!(%error, "unpause");
    }
}

/// The first Sentinel that sees a quorum and takes the order carries it out.
async fn order(
    connector: &Connector,
    addrs: &[HostPort],
    master: &str,
) -> Result<(), FailoverError> {
    let mut last = "no Sentinel is known".to_owned();
    for addr in addrs {
        match ask(connector, addr, master).await {
            Ok(()) => return Ok(()),
            Err(reason) => last = format!("{addr}: {reason}"),
        }
    }
    Err(failed(last))
}

async fn ask(connector: &Connector, addr: &HostPort, master: &str) -> Result<(), String> {
    let conn = connector.connect(addr, Peer::Sentinel, ANSWER).await;
    let mut conn = conn.map_err(|error| error.to_string())?;
    survey::quorum(&mut conn, master).await?;
    let taken: redis::RedisResult<String> = redis::cmd("SENTINEL")
        .arg("FAILOVER")
        .arg(master)
        .query_async(&mut conn)
        .await;
    taken.map(drop).map_err(|error| error.to_string())
}

/// Another master than before that takes a write, or what is missing.
async fn arrived(connector: &Arc<Connector>, before: &Named) -> Result<HostPort, String> {
    let named = resolve::named(connector).await?;
    if named.addr == before.addr {
        return Err(format!("{} is still the master", before.addr));
    }
    let mut master = resolve::connect(connector, &named, ANSWER)
        .await
        .map_err(|reason| format!("{} is the new master: {reason}", named.addr))?;
    // Refused like any write while the server is read-only or has too few replicas, and nothing is under this name.
    let written: redis::RedisResult<u64> = redis::cmd("DEL")
        .arg(keys::NOTHING)
        .query_async(&mut master.conn)
        .await;
    written
        .map(|_| named.addr.clone())
        .map_err(|error| format!("{} takes no writes yet: {error}", named.addr))
}
