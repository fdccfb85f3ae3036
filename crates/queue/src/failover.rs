//! A fail-over that somebody ordered: the Sentinels carry it out, and it is over when the new master takes writes.
//!
//! It must not choose the new master, and must not touch a server: the one write changes nothing.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::config::{HostPort, RedisConfig, Topology};
use crate::connector::{Connector, Peer};
use crate::resolve::{self, Named};
use crate::{keys, survey};

/// Longest wait for one answer.
const ANSWER: Duration = Duration::from_secs(1);
/// Between two looks at who is master.
const AGAIN: Duration = Duration::from_millis(50);

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
    order(&connector, addrs, master).await?;
    let mut missing = format!("{} is still the master", before.addr);
    while begin.elapsed() < within {
        match arrived(&connector, &before).await {
            Ok(to) => {
                return Ok(Failover {
                    from: before.addr,
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
