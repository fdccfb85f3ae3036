//! How Redis is reached: topology, credentials, TLS, and where its addresses lead from here.
//!
//! It must not connect, and a secret must never appear in its `Debug` or `Serialize`.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::reach::AddressMap;

/// A host and a port; IPv6 hosts are written in brackets.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HostPort {
    pub host: String,
    pub port: u16,
}

impl HostPort {
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self {
            host: host.into(),
            port,
        }
    }
}

/// A text that is no `host:port`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("address must be host:port, not {0:?}")]
pub struct BadHostPort(pub String);

impl FromStr for HostPort {
    type Err = BadHostPort;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || BadHostPort(text.to_owned());
        let (host, port) = text.trim().rsplit_once(':').ok_or_else(bad)?;
        let host = host
            .strip_prefix('[')
            .and_then(|h| h.strip_suffix(']'))
            .unwrap_or(host);
        let port: u16 = port.parse().map_err(|_| bad())?;
        if host.is_empty() || port == 0 || host.contains(['/', ' ', '@']) {
            return Err(bad());
        }
        Ok(Self::new(host, port))
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl TryFrom<String> for HostPort {
    type Error = BadHostPort;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<HostPort> for String {
    fn from(addr: HostPort) -> Self {
        addr.to_string()
    }
}

/// A password; shows itself as `***` and is written out as nothing.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret itself: for the AUTH command and nothing else.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Which Redis holds the queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Topology {
    /// One server, with or without replicas; nobody fails it over.
    Single { addr: HostPort },
    /// A master that Sentinels name and replace.
    Sentinel {
        addrs: Vec<HostPort>,
        master: String,
    },
}

/// TLS for Redis and for the Sentinels alike; files are PEM.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Tls {
    /// The authority that signed the servers' certificates; the system's store where absent.
    pub ca: Option<PathBuf>,
    /// This client's certificate, where the servers ask for one.
    pub cert: Option<PathBuf>,
    pub key: Option<PathBuf>,
    /// Takes any certificate. For a laptop only.
    #[serde(default)]
    pub insecure: bool,
}

/// All that is needed to reach Redis.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RedisConfig {
    pub topology: Topology,
    #[serde(default)]
    pub username: Option<String>,
    #[serde(default, skip_serializing)]
    pub password: Option<Secret>,
    #[serde(default)]
    pub sentinel_username: Option<String>,
    #[serde(default, skip_serializing)]
    pub sentinel_password: Option<Secret>,
    #[serde(default)]
    pub tls: Option<Tls>,
    #[serde(default)]
    pub db: u32,
    /// Where the addresses of the settings and those that Sentinels announce are dialled. Empty: where they point.
    #[serde(default, skip_serializing_if = "AddressMap::is_empty")]
    pub reach: AddressMap,
}

impl RedisConfig {
    /// One server without a password.
    pub fn single(addr: HostPort) -> Self {
        Self::of(Topology::Single { addr })
    }

    /// Sentinels without passwords.
    pub fn sentinel(addrs: Vec<HostPort>, master: impl Into<String>) -> Self {
        Self::of(Topology::Sentinel {
            addrs,
            master: master.into(),
        })
    }

    fn of(topology: Topology) -> Self {
        let (username, password, sentinel_username, sentinel_password) = (None, None, None, None);
        Self {
            topology,
            username,
            password,
            sentinel_username,
            sentinel_password,
            tls: None,
            db: 0,
            reach: AddressMap::default(),
        }
    }
}
