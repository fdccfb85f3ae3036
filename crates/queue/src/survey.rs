//! What Sentinels and the master say of themselves: for those who look at Redis, not for those who use it.
//!
//! It must not change anything, and one that does not answer must not keep the others waiting.

use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use serde::Serialize;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::config::{HostPort, RedisConfig, Topology};
use crate::connector::{Connector, Peer};
use crate::error::QueueError;
use crate::resolve::{self, Named};

/// Longest wait for one answer.
const ANSWER: Duration = Duration::from_secs(1);

/// Everything that answered.
#[derive(Debug, Clone, Serialize)]
pub struct Survey {
    /// The Sentinels of the settings, in their order; none where there is a single server.
    pub sentinels: Vec<SentinelView>,
    /// The master, or why it is not known.
    pub master: Result<MasterView, String>,
}

/// One Sentinel.
#[derive(Debug, Clone, Serialize)]
pub struct SentinelView {
    pub addr: HostPort,
    /// The master that it names, or why it names none.
    pub master: Result<HostPort, String>,
    /// Whether it could order a fail-over now, or why not (`NOQUORUM …`).
    pub quorum: Result<(), String>,
}

/// The master, as it sees itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MasterView {
    pub addr: HostPort,
    pub version: String,
    /// The replicas that are connected to it.
    pub replicas: Vec<ReplicaView>,
    /// It refuses writes with fewer good replicas than this; absent where it may not be asked.
    pub min_replicas: Option<u32>,
    /// Bytes that it uses.
    pub memory: u64,
    /// Most bytes that it may use; 0 is no limit.
    pub max_memory: u64,
    /// What it does at the limit, e.g. `noeviction`.
    pub at_the_limit: String,
    /// Whether it keeps an append-only file.
    pub append_only: bool,
    /// Why the file could not be written, where that is so.
    pub append_only_error: Option<String>,
    /// Why it could not be rewritten, where that is so.
    pub rewrite_error: Option<String>,
    /// Why the snapshot could not be written, where that is so.
    pub snapshot_error: Option<String>,
    /// Connections of clients.
    pub clients: u64,
    /// Commands that it ran since it was started.
    pub commands: u64,
}

impl MasterView {
    /// The replicas that receive what it writes.
    pub fn online(&self) -> usize {
        self.replicas.iter().filter(|it| it.online).count()
    }
}

/// One replica, as the master sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReplicaView {
    pub addr: HostPort,
    pub online: bool,
    /// Bytes of the stream of changes that it has not confirmed yet.
    pub behind: u64,
    /// Seconds since it last confirmed anything.
    pub silent_s: u64,
}

impl Survey {
    /// Whether the most of the Sentinels could order a fail-over.
    pub fn quorum(&self) -> bool {
        let able = self.sentinels.iter().filter(|it| it.quorum.is_ok()).count();
        2 * able > self.sentinels.len()
    }
}

/// Asks every Sentinel, side by side, and then the master. Ends by itself within about 3 s.
pub async fn survey(config: &RedisConfig) -> Result<Survey, QueueError> {
    let connector = Arc::new(Connector::new(config.clone())?);
    let (sentinels, named) = match &config.topology {
        Topology::Single { .. } => (Vec::new(), resolve::named(&connector).await),
        Topology::Sentinel { addrs, master } => ask_all(&connector, addrs, master).await,
    };
    let master = match named {
        Ok(named) => look_at(&connector, named).await,
        Err(reason) => Err(reason),
    };
    Ok(Survey { sentinels, master })
}

/// Every Sentinel, and the master by the newest word.
async fn ask_all(
    connector: &Arc<Connector>,
    addrs: &[HostPort],
    master: &str,
) -> (Vec<SentinelView>, Result<Named, String>) {
    let mut asked = JoinSet::new();
    for (place, addr) in addrs.iter().cloned().enumerate() {
        let (connector, master) = (Arc::clone(connector), master.to_owned());
        asked.spawn(async move {
            let answer = timeout(ANSWER, ask(&connector, &addr, &master)).await;
            let late = || "no answer in time".to_owned();
            let answer = answer.unwrap_or_else(|_| (Err(late()), Err(late())));
            (place, addr, answer)
        });
    }
    let mut answers = asked.join_all().await;
    answers.sort_by_key(|(place, _, _)| *place);
    let words = answers
        .iter()
        .filter_map(|(_, _, (word, _))| word.as_ref().ok());
    let newest = words.max_by_key(|word| word.epoch).cloned();
    let views = answers
        .into_iter()
        .map(|(_, addr, (word, quorum))| SentinelView {
            addr,
            master: word.map(|it| it.addr),
            quorum,
        });
    let views: Vec<SentinelView> = views.collect();
    let why = || {
        views
            .iter()
            .find_map(|it| it.master.as_ref().err().cloned())
    };
    let named = newest.ok_or_else(|| why().unwrap_or_else(|| "no Sentinel is known".to_owned()));
    (views, named)
}

/// Whom a Sentinel names, and whether it sees a quorum.
async fn ask(
    connector: &Connector,
    addr: &HostPort,
    name: &str,
) -> (Result<Named, String>, Result<(), String>) {
    match connector.connect(addr, Peer::Sentinel, ANSWER).await {
        Ok(mut conn) => {
            let word = resolve::word(&mut conn, name).await;
            (word, quorum(&mut conn, name).await)
        }
        Err(error) => (Err(error.to_string()), Err(error.to_string())),
    }
}

/// Whether a Sentinel sees enough others to order a fail-over.
pub(crate) async fn quorum(conn: &mut MultiplexedConnection, name: &str) -> Result<(), String> {
    let answer: redis::RedisResult<String> = redis::cmd("SENTINEL")
        .arg("CKQUORUM")
        .arg(name)
        .query_async(conn)
        .await;
    answer.map(drop).map_err(|error| error.to_string())
}

pub(crate) async fn look_at(connector: &Connector, named: Named) -> Result<MasterView, String> {
    let mut master = resolve::connect(connector, &named, ANSWER).await?;
    let info: String = redis::cmd("INFO")
        .query_async(&mut master.conn)
        .await
        .map_err(|error| error.to_string())?;
    // A server of somebody else's may keep its settings to itself.
    let setting: redis::RedisResult<Vec<String>> = redis::cmd("CONFIG")
        .arg("GET")
        .arg("min-replicas-to-write")
        .query_async(&mut master.conn)
        .await;
    let min_replicas = setting.ok().and_then(|it| it.get(1)?.parse().ok());
    Ok(read(&named.addr, &info, min_replicas))
}

fn read(addr: &HostPort, info: &str, min_replicas: Option<u32>) -> MasterView {
    let text = |name: &str| {
        let mut lines = info.lines();
        let found = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        found.unwrap_or_default().trim().to_owned()
    };
    let number = |name: &str| text(name).parse::<u64>().unwrap_or(0);
    let offset = number("master_repl_offset");
    let replicas = (0..number("connected_slaves"))
        .filter_map(|index| replica(&text(&format!("slave{index}")), offset))
        .collect();
    // `ok`, `err`, or nothing where a server does not say it.
    let failed = |name: &str| Some(text(name)).filter(|it| !matches!(it.as_str(), "" | "ok"));
    MasterView {
        addr: addr.clone(),
        version: text("redis_version"),
        replicas,
        min_replicas,
        memory: number("used_memory"),
        max_memory: number("maxmemory"),
        at_the_limit: text("maxmemory_policy"),
        append_only: number("aof_enabled") == 1,
        append_only_error: failed("aof_last_write_status"),
        rewrite_error: failed("aof_last_bgrewrite_status"),
        snapshot_error: failed("rdb_last_bgsave_status"),
        clients: number("connected_clients"),
        commands: number("total_commands_processed"),
    }
}

/// `ip=10.0.0.2,port=6379,state=online,offset=42,lag=0`
fn replica(line: &str, offset: u64) -> Option<ReplicaView> {
    let field = |name: &str| {
        let mut pairs = line.split(',').filter_map(|pair| pair.split_once('='));
        pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
    };
    let seen: u64 = field("offset")?.parse().ok()?;
    Some(ReplicaView {
        addr: HostPort::new(field("ip")?, field("port")?.parse().ok()?),
        online: field("state")? == "online",
        behind: offset.saturating_sub(seen),
        silent_s: field("lag").and_then(|it| it.parse().ok()).unwrap_or(0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_masters_own_words_are_read() {
        let info = "# Server\r\nredis_version:8.4.1\r\n# Memory\r\nused_memory:1048576\r\nmaxmemory:0\r\n\
            maxmemory_policy:noeviction\r\n# Persistence\r\naof_enabled:1\r\naof_last_write_status:err\r\n\
            # Replication\r\nrole:master\r\nconnected_slaves:2\r\n\
            slave0:ip=redis-node-1.x,port=6379,state=online,offset=90,lag=1,io-thread=0\r\n\
            slave1:ip=redis-node-2.x,port=6379,state=wait_bgsave,offset=0,lag=0\r\nmaster_repl_offset:100\r\n";
        let it = read(&HostPort::new("redis-node-0.x", 6379), info, Some(1));
        assert_eq!(
            (it.version.as_str(), it.memory, it.max_memory),
            ("8.4.1", 1 << 20, 0)
        );
        assert_eq!((it.online(), it.replicas.len()), (1, 2));
        assert_eq!((it.replicas[0].behind, it.replicas[0].silent_s), (10, 1));
        assert!(it.append_only && it.append_only_error.as_deref() == Some("err"));
    }

    #[test]
    fn half_of_the_sentinels_are_no_quorum() {
        let sentinel = |able: bool| SentinelView {
            addr: HostPort::new("s", 1),
            master: Err(String::new()),
            quorum: if able {
                Ok(())
            } else {
                Err("NOQUORUM".to_owned())
            },
        };
        let survey = |able: &[bool]| Survey {
            sentinels: able.iter().map(|it| sentinel(*it)).collect(),
            master: Err(String::new()),
        };
        assert!(survey(&[true, true, false]).quorum());
        assert!(!survey(&[true, false]).quorum() && !survey(&[]).quorum());
    }
}
