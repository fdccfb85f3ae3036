//! One connection to one Redis server or Sentinel, made again when it broke.
//! Must not wait long: whoever asks has other things to watch.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, FromRedisValue, IntoConnectionInfo as _,
    RedisConnectionInfo, RedisError, RedisResult,
};

/// How long a connection and an answer may take.
const WITHIN: Duration = Duration::from_millis(800);

/// A connection that is made when it is needed.
pub(crate) struct Link {
    port: u16,
    username: Option<String>,
    password: String,
    database: i64,
    connection: Option<MultiplexedConnection>,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link")
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}

impl Link {
    /// A link to a port of 127.0.0.1.
    pub(crate) fn new(port: u16, password: &str) -> Self {
        Self {
            port,
            username: None,
            password: password.to_owned(),
            database: 0,
            connection: None,
        }
    }

    /// Uses another database than 0.
    pub(crate) fn database(mut self, database: u32) -> Self {
        self.database = i64::from(database);
        self
    }

    /// The port that it goes to.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Sends one command and reads its answer.
    pub(crate) async fn ask<T: FromRedisValue>(&mut self, command: &Cmd) -> RedisResult<T> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        let answer = command.query_async(&mut connection).await;
        // An error that the server sent leaves the connection good; anything else does not.
        if answer
            .as_ref()
            .err()
            .is_none_or(|error: &RedisError| error.code().is_some())
        {
            self.connection = Some(connection);
        }
        answer
    }

    async fn connect(&self) -> RedisResult<MultiplexedConnection> {
        let mut settings = RedisConnectionInfo::default()
            .set_password(&self.password)
            .set_db(self.database)
            .set_skip_set_lib_name();
        if let Some(username) = &self.username {
            settings = settings.set_username(username);
        }
        let info = ConnectionAddr::Tcp("127.0.0.1".to_owned(), self.port)
            .into_connection_info()?
            .set_redis_settings(settings);
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(WITHIN))
            .set_response_timeout(Some(WITHIN));
        Client::open(info)?
            .get_multiplexed_async_connection_with_config(&config)
            .await
    }
}
