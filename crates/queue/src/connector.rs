//! Opens connections to Redis servers and Sentinels with the credentials and certificates of the settings.
//!
//! It must not choose a server, and must not retry.

use std::io;
use std::path::Path;
use std::time::Duration;

use redis::aio::{AsyncPushSender, MultiplexedConnection};
use redis::{
    AsyncConnectionConfig, Client, ClientTlsConfig, ConnectionAddr, ConnectionInfo,
    IntoConnectionInfo as _, ProtocolVersion, RedisConnectionInfo, TlsCertificates,
};

use crate::config::{HostPort, RedisConfig, Secret};
use crate::error::QueueError;
use crate::reach::Only;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// Whom a connection speaks to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peer {
    Server,
    Sentinel,
}

/// The settings with their certificate files read.
#[derive(Debug)]
pub(crate) struct Connector {
    config: RedisConfig,
    certificates: Option<TlsCertificates>,
}

/// Makes ring the process's TLS provider, unless the program chose one already.
pub(crate) fn install_tls_provider() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Another thread may have been faster, which is as good.
        drop(rustls::crypto::ring::default_provider().install_default());
    }
}

impl Connector {
    pub(crate) fn new(config: RedisConfig) -> Result<Self, QueueError> {
        let certificates = match &config.tls {
            None => None,
            Some(tls) => {
                install_tls_provider();
                let client_tls = match (&tls.cert, &tls.key) {
                    (Some(cert), Some(key)) => Some(ClientTlsConfig {
                        client_cert: read(cert)?,
                        client_key: read(key)?,
                    }),
                    (None, None) => None,
                    _ => {
                        return Err(config_error(
                            "a client certificate needs its key, and a key its certificate",
                        ));
                    }
                };
                Some(TlsCertificates {
                    client_tls,
                    root_cert: tls.ca.as_deref().map(read).transpose()?,
                })
            }
        };
        Ok(Self {
            config,
            certificates,
        })
    }

    pub(crate) fn config(&self) -> &RedisConfig {
        &self.config
    }

    fn info(
        &self,
        addr: &HostPort,
        peer: Peer,
        protocol: ProtocolVersion,
    ) -> redis::RedisResult<ConnectionInfo> {
        let mut login = RedisConnectionInfo::default()
            .set_protocol(protocol)
            .set_skip_set_lib_name();
        let (name, password) = match peer {
            Peer::Server => (&self.config.username, &self.config.password),
            Peer::Sentinel => (
                &self.config.sentinel_username,
                &self.config.sentinel_password,
            ),
        };
        if let Some(name) = name {
            login = login.set_username(name);
        }
        if let Some(password) = password.as_ref().map(Secret::reveal) {
            login = login.set_password(password);
        }
        if peer == Peer::Server {
            login = login.set_db(i64::from(self.config.db));
        }
        let host = addr.host.clone();
        let addr = match &self.config.tls {
            None => ConnectionAddr::Tcp(host, addr.port),
            Some(tls) => ConnectionAddr::TcpTls {
                host,
                port: addr.port,
                insecure: tls.insecure,
                tls_params: None,
            },
        };
        Ok(addr.into_connection_info()?.set_redis_settings(login))
    }

    fn client(
        &self,
        addr: &HostPort,
        peer: Peer,
        protocol: ProtocolVersion,
    ) -> redis::RedisResult<Client> {
        let info = self.info(addr, peer, protocol)?;
        match &self.certificates {
            None => Client::open(info),
            Some(certificates) => Client::build_with_tls(info, certificates.clone()),
        }
    }

    /// How a connection is opened: to the address itself, or to what the map of addresses has in its place.
    fn dialling(
        &self,
        addr: &HostPort,
        response_timeout: Duration,
    ) -> redis::RedisResult<AsyncConnectionConfig> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(response_timeout));
        let found = self.config.reach.find(addr);
        let found = found.map_err(|error| io::Error::new(io::ErrorKind::HostUnreachable, error))?;
        Ok(match found {
            Some(to) => config.set_dns_resolver(Only(to)),
            None => config,
        })
    }

    /// A connection whose calls end after the given time; blocking commands need one of their own.
    pub(crate) async fn connect(
        &self,
        addr: &HostPort,
        peer: Peer,
        response_timeout: Duration,
    ) -> redis::RedisResult<MultiplexedConnection> {
        let config = self.dialling(addr, response_timeout)?;
        self.client(addr, peer, ProtocolVersion::RESP2)?
            .get_multiplexed_async_connection_with_config(&config)
            .await
    }

    /// A connection to a Sentinel that hands over what the Sentinel announces.
    pub(crate) async fn listen(
        &self,
        addr: &HostPort,
        to: impl AsyncPushSender,
    ) -> redis::RedisResult<MultiplexedConnection> {
        let config = self.dialling(addr, CONNECT_TIMEOUT)?.set_push_sender(to);
        let client = self.client(addr, Peer::Sentinel, ProtocolVersion::RESP3)?;
        let mut conn = client
            .get_multiplexed_async_connection_with_config(&config)
            .await?;
        conn.subscribe("+switch-master").await?;
        Ok(conn)
    }
}

fn read(path: impl AsRef<Path>) -> Result<Vec<u8>, QueueError> {
    let path = path.as_ref();
    std::fs::read(path).map_err(|e| config_error(format!("cannot read {}: {e}", path.display())))
}

fn config_error(what: impl Into<String>) -> QueueError {
    QueueError::Config { what: what.into() }
}
