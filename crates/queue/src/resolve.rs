//! Finds the master: asks every Sentinel at once and believes the newest epoch, or takes the one server there is.
//!
//! It must not hold a lock while it waits, and must not accept a server that does not call itself master.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use redis::Value;
use redis::aio::MultiplexedConnection;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use crate::config::{HostPort, Topology};
use crate::connector::{Connector, Peer};

const ASK_TIMEOUT: Duration = Duration::from_millis(800);

/// What the Sentinels say, or the settings where there are none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) addr: HostPort,
    pub(crate) epoch: u64,
    /// Most of the Sentinels in the settings name this server.
    pub(crate) by_most: bool,
    /// Replicas that the Sentinels know, also those that are away.
    pub(crate) replicas: usize,
}

/// A server that called itself master.
#[derive(Debug)]
pub(crate) struct Master {
    pub(crate) conn: MultiplexedConnection,
    pub(crate) run_id: String,
    pub(crate) connected_replicas: usize,
    pub(crate) version: String,
}

/// Who should be master. The error names every Sentinel's answer.
pub(crate) async fn named(connector: &Arc<Connector>) -> Result<Named, String> {
    match &connector.config().topology {
        Topology::Single { addr } => Ok(Named {
            addr: addr.clone(),
            epoch: 0,
            by_most: true,
            replicas: 0,
        }),
        Topology::Sentinel { addrs, master } => ask_all(connector, addrs, master).await,
    }
}

async fn ask_all(
    connector: &Arc<Connector>,
    addrs: &[HostPort],
    master: &str,
) -> Result<Named, String> {
    let mut asked = JoinSet::new();
    for addr in addrs {
        let (connector, addr, master) = (Arc::clone(connector), addr.clone(), master.to_owned());
        asked.spawn(async move {
            ask(&connector, &addr, &master)
                .await
                .map_err(|e| format!("{addr}: {e}"))
        });
    }
    let until = Instant::now() + ASK_TIMEOUT;
    let (mut answers, mut complaints) = (Vec::<Named>::new(), Vec::new());
    while let Ok(Some(answer)) = timeout_at(until, asked.join_next()).await {
        match answer.map_err(|e| e.to_string()).and_then(|a| a) {
            Ok(named) => answers.push(named),
            Err(complaint) => complaints.push(complaint),
        }
    }
    let best = answers.iter().max_by_key(|named| named.epoch);
    let best = best.map(|best| {
        let votes = answers.iter().filter(|a| a.addr == best.addr).count();
        Named {
            by_most: 2 * votes > addrs.len(),
            ..best.clone()
        }
    });
    best.ok_or_else(|| match complaints.as_slice() {
        [] => "no sentinel answered in time".to_owned(),
        some => format!("no sentinel names a master ({})", some.join("; ")),
    })
}

async fn ask(connector: &Connector, addr: &HostPort, master: &str) -> Result<Named, String> {
    let mut conn = connector
        .connect(addr, Peer::Sentinel, ASK_TIMEOUT)
        .await
        .map_err(|e| e.to_string())?;
    word(&mut conn, master).await
}

/// The master that one Sentinel names.
pub(crate) async fn word(conn: &mut MultiplexedConnection, master: &str) -> Result<Named, String> {
    let facts: HashMap<String, String> = redis::cmd("SENTINEL")
        .arg("MASTER")
        .arg(master)
        .query_async(conn)
        .await
        .map_err(|e| e.to_string())?;
    let number = |name: &str| facts.get(name).and_then(|v| v.parse::<u64>().ok());
    let (Some(host), Some(port)) = (facts.get("ip"), number("port")) else {
        return Err("answer without an address".to_owned());
    };
    let addr = HostPort::new(host.clone(), u16::try_from(port).map_err(|_| "bad port")?);
    let replicas = number("num-slaves").unwrap_or(0) as usize;
    Ok(Named {
        addr,
        epoch: number("config-epoch").unwrap_or(0),
        by_most: false,
        replicas,
    })
}

/// Connects and makes sure that the server is a master of a version that the queue can use.
pub(crate) async fn connect(
    connector: &Connector,
    named: &Named,
    timeout: Duration,
) -> Result<Master, String> {
    let mut conn = connector
        .connect(&named.addr, Peer::Server, timeout)
        .await
        .map_err(|e| e.to_string())?;
    let role: Value = redis::cmd("ROLE")
        .query_async(&mut conn)
        .await
        .map_err(|e| e.to_string())?;
    let is_master = matches!(&role, Value::Array(parts)
        if matches!(parts.first(), Some(Value::BulkString(name)) if name == b"master"));
    if !is_master {
        return Err("not a master".to_owned());
    }
    let connected_replicas = match &role {
        Value::Array(parts) => matches_len(parts.get(2)),
        _ => 0,
    };
    let info: String = redis::cmd("INFO")
        .arg("server")
        .query_async(&mut conn)
        .await
        .map_err(|e| e.to_string())?;
    let field = |name: &str| {
        info.lines()
            .find_map(|l| l.strip_prefix(name)?.strip_prefix(':'))
            .unwrap_or_default()
            .trim()
            .to_owned()
    };
    let version = field("redis_version");
    if version
        .split('.')
        .next()
        .and_then(|v| v.parse::<u32>().ok())
        .is_none_or(|major| major < 7)
    {
        return Err(format!("redis {version} is too old, 7.0 is needed"));
    }
    Ok(Master {
        conn,
        run_id: field("run_id"),
        connected_replicas,
        version,
    })
}

fn matches_len(list: Option<&Value>) -> usize {
    match list {
        Some(Value::Array(items)) => items.len(),
        _ => 0,
    }
}
