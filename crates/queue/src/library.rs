//! Function libraries: their source, their name, and how they get into a server; and the queue's own.
//!
//! It must not replace a library: the name holds a hash of the source, so that two versions of this crate work side
//! by side on one Redis and neither ever downgrades the other. `kq1` is the layout of the keys, which they share.

use std::sync::LazyLock;

use redis::aio::MultiplexedConnection;

use crate::id::fixed_bits;
use crate::keys;
use crate::name::QueueName;

/// Functions that a Redis server runs, each as one step.
#[derive(Debug)]
pub struct Library {
    name: String,
    source: String,
}

static OWN: LazyLock<Library> = LazyLock::new(|| {
    Library::new(
        "kq1",
        &[
            include_str!("lua/common.lua"),
            include_str!("lua/produce.lua"),
            include_str!("lua/consume.lua"),
            include_str!("lua/schedule.lua"),
            include_str!("lua/inspect.lua"),
        ],
    )
});

impl Library {
    /// One of Lua sources that follow each other; in them `@LIB@` is its name. `layout` names what its keys look like: all
    /// versions of a library that share them share it.
    pub fn new(layout: &str, parts: &[&str]) -> Self {
        // E.g. `kq1_1f2e3d4c`.
        let name = format!("{layout}_{:08x}", fixed_bits(&parts) as u32);
        let body = parts.concat().replace("@LIB@", &name);
        Self {
            source: format!("#!lua name={name}\n{body}"),
            name,
        }
    }

    /// A call of one of its functions, which is registered as `@LIB@_FUNCTION`; the keys and arguments follow.
    pub fn call(&self, function: &str) -> redis::Cmd {
        let mut command = redis::cmd("FCALL");
        command.arg(format!("{}_{function}", self.name));
        command
    }

    /// Loads it where the server lacks it.
    pub(crate) async fn ensure(&self, conn: &mut MultiplexedConnection) -> redis::RedisResult<()> {
        let listed: redis::Value = redis::cmd("FUNCTION")
            .arg("LIST")
            .arg("LIBRARYNAME")
            .arg(&self.name)
            .query_async(conn)
            .await?;
        if matches!(&listed, redis::Value::Array(found) if !found.is_empty()) {
            return Ok(());
        }
        let loaded: redis::RedisResult<String> = redis::cmd("FUNCTION")
            .arg("LOAD")
            .arg(&self.source)
            .query_async(conn)
            .await;
        match loaded {
            // Another process was faster; the name says that it is the same source.
            Err(e) if e.detail().is_some_and(|d| d.contains("already exists")) => Ok(()),
            other => other.map(drop),
        }
    }
}

/// The queue's own.
pub(crate) fn own() -> &'static Library {
    &OWN
}

/// A call of one of the queue's functions on a queue; the arguments follow.
pub(crate) fn call(function: &str, queue: &QueueName) -> redis::Cmd {
    let mut command = own().call(function);
    command.arg(1).arg(keys::live(queue));
    command
}

/// Whether the error says that the server does not have the library.
pub(crate) fn is_missing(error: &redis::RedisError) -> bool {
    error
        .detail()
        .is_some_and(|d| d.contains("unction not found"))
}
