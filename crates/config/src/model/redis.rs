//! Redis: where it is, how it is secured, how it fails over.
//! Holds names of secrets, never secrets.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Resources, Strictness};

/// Redis replication with Sentinels, or a single server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Redis {
    /// Which chart runs it in a cluster: `own`, `bitnami`, or a file of the project's,
    /// `values/releases/redis/<profile>.yaml`
    #[schemars(extend("format" = "dns-label"))]
    pub profile: String,
    /// Name by which the Sentinels know the master
    #[schemars(extend("format" = "queue-name"))]
    pub master: String,
    /// Servers: one master, the rest replicas
    #[schemars(range(min = 1, max = 9))]
    pub nodes: u32,
    /// Sentinels; 0: a single server without fail-over (then `nodes` is 1)
    #[schemars(range(max = 9))]
    pub sentinels: u32,
    /// `host:port` of every Sentinel; empty: the pods of the release `redis`
    #[serde(default)]
    #[schemars(extend("x-items" = "host-port"))]
    pub sentinel_addresses: Vec<String>,
    /// `host:port` of the server where there are no Sentinels; absent: the Service of the release `redis`
    #[serde(default)]
    #[schemars(extend("format" = "host-port"))]
    pub address: Option<String>,
    /// Number of the database
    #[schemars(range(max = 15))]
    pub database: u32,
    /// User name at the servers (Redis ACL); absent: the default user
    #[serde(default)]
    #[schemars(length(min = 1, max = 128))]
    pub username: Option<String>,
    /// User name at the Sentinels; absent: the default user
    #[serde(default)]
    #[schemars(length(min = 1, max = 128))]
    pub sentinel_username: Option<String>,
    /// The Secret with the passwords
    pub secret: RedisSecret,
    /// Encryption; absent: none
    #[serde(default)]
    pub tls: Option<RedisTls>,
    /// Milliseconds without an answer after which a Sentinel takes a server for dead
    #[schemars(range(min = 100, max = 600_000))]
    pub down_after_ms: u32,
    /// Milliseconds after which a fail-over is tried again
    #[schemars(range(min = 100, max = 3_600_000))]
    pub failover_timeout_ms: u32,
    /// The master refuses writes with fewer replicas than this
    #[schemars(range(max = 8))]
    pub min_replicas_to_write: u32,
    /// A replica that was silent for more seconds does not count
    #[schemars(range(min = 1, max = 600))]
    pub min_replicas_max_lag_seconds: u32,
    /// When the append-only file is flushed to the disk
    pub appendfsync: Appendfsync,
    /// Each server on a node of its own. `hard`: a server for which there is none waits
    pub anti_affinity: Strictness,
    /// Image of servers and Sentinels in a cluster, with a POSIX shell in it; absent: the chart's own
    #[serde(default)]
    #[schemars(extend("format" = "image"))]
    pub image: Option<String>,
    /// The volume of each server in a cluster; a cluster does not change it later
    pub storage: RedisStorage,
    /// CPU, memory and disk of one server in a cluster
    pub resources: Resources,
}

/// A volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RedisStorage {
    /// Its size
    #[schemars(extend("x-text" = true, "format" = "quantity"))]
    pub size: String,
    /// Name of the `StorageClass`; absent: the cluster's default class
    #[serde(default)]
    #[schemars(extend("format" = "dns-name"))]
    pub storage_class: Option<String>,
}

/// Keys of the Secret with the passwords.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RedisSecret {
    /// Name of the Secret
    #[schemars(extend("format" = "dns-name"))]
    pub name: String,
    /// Key with the password of the servers
    #[schemars(extend("format" = "secret-key"))]
    pub password_key: String,
    /// Key with the password of the Sentinels
    #[schemars(extend("format" = "secret-key"))]
    pub sentinel_password_key: String,
}

/// Encryption between the services and Redis.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RedisTls {
    /// Secret with `ca.crt`, and with `tls.crt` and `tls.key` where `clientCertificate` is set
    #[schemars(extend("format" = "dns-name"))]
    pub secret_name: String,
    /// Show a certificate of our own to the servers
    pub client_certificate: bool,
    /// Accept any certificate of the servers
    pub insecure_skip_verify: bool,
}

/// When the append-only file is flushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Appendfsync {
    /// Before every answer.
    Always,
    /// Once a second.
    Everysec,
    /// When the system likes.
    No,
}
