//! How to reach Redis: one server, or Sentinels that name the master.
//!
//! It must not connect; a wrong password shows when the service starts.

use std::path::PathBuf;

use kedactl_queue::{HostPort, RedisConfig, Secret, Tls, Topology};

use super::Problems;

/// The flags about Redis; shared by both binaries.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Redis")]
pub struct RedisArgs {
    /// Address of a single Redis server; not with `--redis-sentinels` [default: 127.0.0.1:6379]
    #[arg(long, env = "KEDACTL_REDIS_ADDR", value_name = "HOST:PORT")]
    pub redis_addr: Option<String>,
    /// Addresses of the Sentinels, comma separated
    #[arg(long, env = "KEDACTL_REDIS_SENTINELS", value_name = "HOST:PORT,…")]
    pub redis_sentinels: Option<String>,
    /// The name under which the Sentinels know the master
    #[arg(
        long,
        env = "KEDACTL_REDIS_MASTER_NAME",
        default_value = "mymaster",
        value_name = "NAME"
    )]
    pub redis_master_name: String,
    /// ACL user for Redis
    #[arg(long, env = "KEDACTL_REDIS_USERNAME", value_name = "NAME")]
    pub redis_username: Option<String>,
    /// File with the password of Redis
    #[arg(long, env = "KEDACTL_REDIS_PASSWORD_FILE", value_name = "FILE")]
    pub redis_password_file: Option<PathBuf>,
    /// ACL user for the Sentinels
    #[arg(long, env = "KEDACTL_REDIS_SENTINEL_USERNAME", value_name = "NAME")]
    pub redis_sentinel_username: Option<String>,
    /// File with the password of the Sentinels
    #[arg(
        long,
        env = "KEDACTL_REDIS_SENTINEL_PASSWORD_FILE",
        value_name = "FILE"
    )]
    pub redis_sentinel_password_file: Option<PathBuf>,
    /// Talk TLS to Redis and to the Sentinels
    #[arg(long, env = "KEDACTL_REDIS_TLS")]
    pub redis_tls: bool,
    /// Certificates to trust, PEM; default: those of the system
    #[arg(long, env = "KEDACTL_REDIS_CA_FILE", value_name = "FILE")]
    pub redis_ca_file: Option<PathBuf>,
    /// Our certificate, PEM; with `--redis-key-file`
    #[arg(long, env = "KEDACTL_REDIS_CERT_FILE", value_name = "FILE")]
    pub redis_cert_file: Option<PathBuf>,
    /// Our key, PEM; with `--redis-cert-file`
    #[arg(long, env = "KEDACTL_REDIS_KEY_FILE", value_name = "FILE")]
    pub redis_key_file: Option<PathBuf>,
    /// Do not check the certificate of the server
    #[arg(long, env = "KEDACTL_REDIS_INSECURE")]
    pub redis_insecure: bool,
    /// Number of the database; Sentinel set-ups use 0
    #[arg(long, env = "KEDACTL_REDIS_DB", default_value = "0", value_name = "N")]
    pub redis_db: String,
}

impl RedisArgs {
    /// Returns how to reach Redis, or notes what is wrong.
    pub(crate) fn resolve(&self, p: &mut Problems) -> Option<RedisConfig> {
        let topology = self.topology(p);
        let db = p.number("redis-db", &self.redis_db, 0..=65_535) as u32;
        let mut secret = |setting, path: &Option<PathBuf>| {
            let text = p.file(setting, path.as_deref()?)?;
            Some(Secret::new(text))
        };
        let password = secret("redis-password-file", &self.redis_password_file);
        let sentinel_password = secret(
            "redis-sentinel-password-file",
            &self.redis_sentinel_password_file,
        );
        let tls = self.tls(p);
        let mut config = RedisConfig::single(HostPort::new("127.0.0.1", 6379));
        config.topology = topology?;
        config.username.clone_from(&self.redis_username);
        config.password = password;
        config
            .sentinel_username
            .clone_from(&self.redis_sentinel_username);
        config.sentinel_password = sentinel_password;
        config.tls = tls;
        config.db = db;
        Some(config)
    }

    fn topology(&self, p: &mut Problems) -> Option<Topology> {
        let Some(list) = self
            .redis_sentinels
            .as_deref()
            .filter(|s| !s.trim().is_empty())
        else {
            let raw = self.redis_addr.as_deref().filter(|s| !s.is_empty());
            let addr = p.parse("redis-addr", raw.unwrap_or("127.0.0.1:6379"))?;
            return Some(Topology::Single { addr });
        };
        if self.redis_addr.as_deref().is_some_and(|s| !s.is_empty()) {
            p.add("redis-addr", "cannot stand beside `--redis-sentinels`");
        }
        if self.redis_master_name.trim().is_empty() {
            p.add("redis-master-name", "must not be empty");
        }
        let parts = list.split(',').map(str::trim).filter(|s| !s.is_empty());
        let addrs: Vec<HostPort> = parts
            .filter_map(|s| p.parse("redis-sentinels", s))
            .collect();
        let master = self.redis_master_name.clone();
        (!addrs.is_empty()).then_some(Topology::Sentinel { addrs, master })
    }

    fn tls(&self, p: &mut Problems) -> Option<Tls> {
        let files = [
            ("redis-ca-file", &self.redis_ca_file),
            ("redis-cert-file", &self.redis_cert_file),
            ("redis-key-file", &self.redis_key_file),
        ];
        if !self.redis_tls {
            for (setting, _) in files.iter().filter(|(_, path)| path.is_some()) {
                p.add(setting, "has no effect without `--redis-tls`");
            }
            if self.redis_insecure {
                p.add("redis-insecure", "has no effect without `--redis-tls`");
            }
            return None;
        }
        for (setting, path) in files {
            if let Some(path) = path {
                p.file(setting, path);
            }
        }
        if self.redis_cert_file.is_some() != self.redis_key_file.is_some() {
            p.add("redis-key-file", "stands together with `--redis-cert-file`");
        }
        Some(Tls {
            ca: self.redis_ca_file.clone(),
            cert: self.redis_cert_file.clone(),
            key: self.redis_key_file.clone(),
            insecure: self.redis_insecure,
        })
    }
}
