//! `Channel`: a way to the present master for libraries beside the queue's, on a connection of its own.
//!
//! It must not send anything twice: whether a call may be repeated is its caller's knowledge.

use std::time::Duration;

use redis::{Pipeline, Value};

use crate::error::QueueError;
use crate::library::Library;
use crate::redis_handle::{CALL_TIMEOUT, Conn, Redis, unavailable};

/// A connection that follows the master. WAIT blocks it, and nothing else.
#[derive(Debug)]
pub struct Channel {
    redis: Redis,
    library: &'static Library,
    /// Longest wait of a call that blocks.
    blocks: Duration,
    conn: Option<Conn>,
}

impl Channel {
    /// One for calls of a library that block for at most so long.
    pub fn new(redis: &Redis, library: &'static Library, blocks: Duration) -> Self {
        Self {
            redis: redis.clone(),
            library,
            blocks,
            conn: None,
        }
    }

    /// Several commands in one write; one answer each, and an error of any of them is the error of all. Where the library was
    /// missing it is there for the next try.
    pub async fn send(&mut self, pipeline: &Pipeline) -> Result<Vec<Value>, QueueError> {
        let answers = self.connected().await?.query_all(pipeline).await;
        if answers.is_err() {
            self.conn = None;
        }
        answers
    }

    /// Replicas that the present master has or had.
    pub async fn replicas(&mut self) -> Result<usize, QueueError> {
        Ok(self.connected().await?.generation.replicas)
    }

    async fn connected(&mut self) -> Result<&mut Conn, QueueError> {
        let generation = self.redis.master(CALL_TIMEOUT).await?;
        let stale = |conn: &Conn| conn.generation.number != generation.number;
        if self.conn.as_ref().is_none_or(stale) {
            let within = self.blocks + CALL_TIMEOUT;
            let conn = self.redis.own_conn_to(generation, within).await?;
            self.conn = Some(conn.of_library(self.library));
        }
        self.conn
            .as_mut()
            .ok_or_else(|| unavailable("no connection"))
    }
}
